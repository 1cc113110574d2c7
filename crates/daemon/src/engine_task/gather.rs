//! Records that others can cause by the thousand, gathered into one with a count.

use std::time::{Duration, Instant};

use super::EngineTask;
use sipward_model::record::Record;

/// How long they are gathered while more come.
const LONGEST: Duration = Duration::from_secs(60);

/// What was gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    latest: Option<Record>,
    count: u64,
    since: Option<Instant>,
    /// More came since the last look.
    goes_on: bool,
}

impl Gathered {
    /// Takes one more.
    pub(super) fn take(&mut self, record: Record) {
        self.latest = Some(record);
        self.count += 1;
        self.since.get_or_insert_with(Instant::now);
        self.goes_on = true;
    }

    /// The latest with the count of all, when no more came since the last call, or they come for a minute.
    fn due(&mut self, at_once: bool) -> Option<Record> {
        let since = self.since?;
        if std::mem::take(&mut self.goes_on) && since.elapsed() < LONGEST && !at_once {
            return None;
        }
        let Self { latest, count, .. } = std::mem::take(self);
        latest.map(|record| match record {
            Record::EventForged { error, address, .. } => {
                Record::EventForged { error, address, count }
            }
            Record::EventUnusable { error, .. } => Record::EventUnusable { error, count },
            other => other,
        })
    }
}

impl EngineTask {
    /// Reports what was gathered, as far as it is due. To be called once a second.
    pub(super) fn tell_gathered(&mut self, at_once: bool) {
        let due = [self.forged.due(at_once), self.unusable.due(at_once)];
        due.into_iter().flatten().for_each(|record| self.publish(record));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forged(count: u64) -> Record {
        Record::EventForged { error: "sendevent".into(), address: None, count }
    }

    fn count(record: Option<&Record>) -> Option<u64> {
        match record {
            Some(Record::EventForged { count, .. }) => Some(*count),
            _ => None,
        }
    }

    #[test]
    fn a_burst_is_one_record_with_a_count_and_the_next_is_another() {
        let mut gathered = Gathered::default();
        assert_eq!(count(gathered.due(false).as_ref()), None);
        for _ in 0..20_000 {
            gathered.take(forged(1));
        }
        assert_eq!(count(gathered.due(false).as_ref()), None, "more may come");
        assert_eq!(count(gathered.due(false).as_ref()), Some(20_000));
        assert_eq!(count(gathered.due(false).as_ref()), None);
        gathered.take(forged(1));
        assert_eq!(count(gathered.due(true).as_ref()), Some(1), "at the end nothing waits");
    }

    #[test]
    fn what_does_not_end_is_reported_once_a_minute() {
        let mut gathered = Gathered::default();
        gathered.take(forged(1));
        gathered.since = Instant::now().checked_sub(LONGEST);
        assert_eq!(count(gathered.due(false).as_ref()), Some(1));
    }
}
