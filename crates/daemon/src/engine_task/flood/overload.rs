//! Hosts that the shield does not limit, and that send more than FreeSWITCH takes.

use std::time::Duration;

use sipward_engine::Timestamp;

use sipward_model::record::Record;

/// They must send too much for so long before that is a state: three counts, one a second.
const BEGINS_AFTER: Duration = Duration::from_secs(2);

/// It is over when they have not for so long.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// Exempt hosts, trunks and access lists together send more than a profile takes a second. The kernel has one
/// count for all of them.
#[derive(Debug, Default)]
pub struct Overload {
    counted_at: Option<Timestamp>,
    above: Option<Above>,
    is_state: bool,
}

/// They send too much without a pause.
#[derive(Clone, Copy, Debug)]
struct Above {
    since: Timestamp,
    last: Timestamp,
    /// Packets in the latest such second, and in the worst.
    latest: u64,
    most: u64,
    limit: u32,
}

impl Overload {
    /// Takes the packets of unlimited hosts since the last such call; `limit` is what each profile takes a second.
    pub(super) fn counted(&mut self, packets: u64, limit: u32, now: Timestamp) {
        // A late count is that of more than a second.
        let before = self.counted_at.replace(now);
        let span = before.map_or(0, |at| now.since(at).as_millis()).clamp(1_000, 10_000);
        let rate = packets.saturating_mul(1_000) / u64::try_from(span).unwrap_or(u64::MAX);
        if rate <= u64::from(limit) {
            // Within the state it may come again.
            self.above = self.above.filter(|_| self.is_state);
            return;
        }
        let above =
            self.above.get_or_insert(Above { since: now, last: now, latest: 0, most: 0, limit });
        (above.last, above.latest, above.limit) = (now, rate, limit);
        above.most = above.most.max(rate);
    }

    /// Since when it is a state.
    pub fn since(&self) -> Option<Timestamp> {
        self.above.filter(|_| self.is_state).map(|above| above.since)
    }

    /// Looks whether the state has begun or is over.
    pub(super) fn beat(&mut self, now: Timestamp) -> Option<Record> {
        let Above { since, last, latest, most, limit } = self.above?;
        if !self.is_state && last.since(since) >= BEGINS_AFTER {
            self.is_state = true;
            return Some(Record::Overload { packets_per_second: latest, limit });
        }
        if now.since(last) < OVER_AFTER {
            return None;
        }
        self.above = None;
        let seconds = last.since(since).as_secs_f64();
        let over = Record::OverloadOver { seconds, most_per_second: most };
        std::mem::take(&mut self.is_state).then_some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    /// Counts and beats each second from 1 on; the records, each with its second.
    fn told(overload: &mut Overload, counts: impl IntoIterator<Item = u64>) -> Vec<(u64, Record)> {
        let mut told = Vec::new();
        for (second, packets) in (1..).zip(counts) {
            overload.counted(packets, 1_000, at(second));
            told.extend(overload.beat(at(second)).map(|record| (second, record)));
        }
        told
    }

    #[test]
    fn three_seconds_above_the_limit_are_a_state_until_ten_below() {
        let mut overload = Overload::default();
        let counts = [1_100, 1_500, 1_200, 900, 1_300].into_iter().chain([1_000; 11]);
        let told = told(&mut overload, counts);
        let [
            (3, Record::Overload { packets_per_second: 1_200, limit: 1_000 }),
            (15, Record::OverloadOver { seconds, most_per_second: 1_500 }),
        ] = told.as_slice()
        else {
            panic!("{told:?}")
        };
        assert!((*seconds - 4.0).abs() < 0.01, "{seconds}");
        assert_eq!(overload.since(), None);
    }

    #[test]
    fn bursts_and_late_counts_are_none() {
        let mut overload = Overload::default();
        let bursts = (0..60).map(|second| if second % 3 < 2 { 5_000 } else { 10 });
        assert!(told(&mut overload, bursts).is_empty());
        let mut overload = Overload::default();
        for second in (10..100).step_by(2) {
            overload.counted(1_900, 1_000, at(second));
            assert!(overload.beat(at(second)).is_none(), "950 a second");
        }
    }
}
