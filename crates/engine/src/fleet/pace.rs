//! How much somebody says.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Timestamp;

/// A bound on how much may be said within each slot of time.
///
/// What counts is when it was said or decided, not when it came: after a restart or a partition everything of a day
/// comes within a second. What is older than all slots shares the oldest one, with a bound of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// Length of a slot; whole seconds.
    pub(super) slot: Duration,
    /// Most within a slot.
    pub(super) most: u32,
    /// Slots that are told apart.
    pub(super) slots: u64,
    /// Most that is older.
    pub(super) older: u32,
}

/// What was said in each slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(BTreeMap<u64, u32>);

impl Pace {
    /// Counts something that was said at `at`. False, and not counted, when it is one too many.
    pub(super) fn take(&mut self, at: Timestamp, now: Timestamp, bound: &Bound) -> bool {
        let slot = |at: Timestamp| at.as_micros() / 1_000_000 / bound.slot.as_secs().max(1);
        let oldest = slot(now).saturating_sub(bound.slots);
        self.0 = self.0.split_off(&oldest);
        let slot = slot(at).max(oldest);
        let most = if slot == oldest { bound.older } else { bound.most };
        let count = self.0.entry(slot).or_default();
        let within = *count < most;
        *count += u32::from(within);
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const BOUND: Bound = Bound { slot: MINUTE, most: 2, slots: 60, older: 5 };

    fn taken(pace: &mut Pace, at: Timestamp, now: Timestamp) -> usize {
        (0..10).filter(|_| pace.take(at, now, &BOUND)).count()
    }

    #[test]
    fn each_minute_has_its_own_bound() {
        let mut pace = Pace::default();
        assert_eq!(taken(&mut pace, NOW, NOW), 2);
        assert_eq!(taken(&mut pace, NOW.earlier(MINUTE), NOW), 2, "a minute that came late");
        assert_eq!(taken(&mut pace, NOW + MINUTE, NOW + MINUTE), 2);
        assert_eq!(taken(&mut pace, NOW, NOW + MINUTE), 0, "counted already");
    }

    #[test]
    fn what_is_older_than_all_slots_is_counted_together() {
        let mut pace = Pace::default();
        assert_eq!(taken(&mut pace, NOW.earlier(600 * MINUTE), NOW), 5);
        assert_eq!(taken(&mut pace, Timestamp::EPOCH, NOW), 0);
        for minutes in 0..1_000 {
            pace.take(NOW + MINUTE * minutes, NOW + MINUTE * minutes, &BOUND);
        }
        assert_eq!(pace.0.len(), 61, "slots that are over are forgotten");
    }
}
