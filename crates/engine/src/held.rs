//! Held accusations: forgeable evidence waits a second for answers that may show the accused host as known.
//!
//! A report waits for the answer of FreeSWITCH's access lists, a flood for the first log-in: two hundred
//! phones that boot together behind one new address look like a flood until one of them has answered its
//! challenge.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::{Grade, RuleName, Text, Timestamp};

/// How long an accusation waits.
pub(crate) const HELD_FOR: Duration = Duration::from_secs(1);

/// Accusations that wait at once. One more is judged without waiting: the oldest.
const MAX_HELD: usize = 1_024;

/// Something that is no failed authentication reached a threshold.
#[derive(Clone, Debug)]
pub(crate) struct Accusation {
    pub(crate) rule: RuleName,
    /// What proves the address: unjoined or answered.
    pub(crate) grade: Grade,
    pub(crate) count: u32,
    pub(crate) addr: IpAddr,
    pub(crate) reason: Option<Box<Text>>,
}

/// Accusations in the order of their deadlines.
#[derive(Debug, Default)]
pub(crate) struct HeldAccusations {
    queue: VecDeque<(Timestamp, Accusation)>,
}

impl HeldAccusations {
    /// Lets an accusation wait, unless the same one does: then the better evidence of the two goes on waiting, no
    /// longer than the first. Gives its deadline.
    pub(crate) fn hold(&mut self, accusation: Accusation, now: Timestamp) -> Timestamp {
        let same = |(_, held): &&mut (Timestamp, Accusation)| {
            held.addr == accusation.addr && held.rule == accusation.rule
        };
        if let Some((deadline, held)) = self.queue.iter_mut().find(same) {
            let deadline = *deadline;
            if accusation.grade > held.grade {
                *held = accusation;
            }
            return deadline;
        }
        let deadline = now + HELD_FOR;
        self.queue.push_back((deadline, accusation));
        deadline
    }

    /// The next accusation that has waited long enough, or is one too many.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Accusation> {
        let (deadline, _) = self.queue.front()?;
        if *deadline > now && self.queue.len() <= MAX_HELD {
            return None;
        }
        self.queue.pop_front().map(|(_, accusation)| accusation)
    }

    /// When the next one has waited long enough.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.queue.front().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn better_evidence_takes_the_place_of_what_waits_and_waits_no_longer() {
        let mut held = HeldAccusations::default();
        let accusation = |grade, count| Accusation {
            rule: RuleName::Report,
            grade,
            count,
            addr: IpAddr::from([192, 0, 2, 7]),
            reason: None,
        };
        let deadline = held.hold(accusation(Grade::Unjoined, 3), NOW);
        let later = NOW + HELD_FOR / 2;
        assert_eq!(held.hold(accusation(Grade::Answered, 4), later), deadline);
        assert_eq!(held.hold(accusation(Grade::Unjoined, 9), later), deadline);
        assert!(held.due(later).is_none());
        let due = held.due(deadline).unwrap();
        assert_eq!((due.grade, due.count), (Grade::Answered, 4));
        assert!(held.due(deadline + HELD_FOR).is_none(), "one accusation");
    }
}
