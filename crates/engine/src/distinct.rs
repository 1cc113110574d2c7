//! How many different ones did the same thing within a window: sources of an account, hosts of a
//! network.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Timestamp;
use crate::lru::LruTable;

/// Counters at once.
const MAX_COUNTERS: usize = 4_096;

/// Distinct members, by what they are counted for.
#[derive(Debug)]
pub(crate) struct DistinctCounters {
    table: LruTable<u64, DistinctCounter>,
}

#[derive(Debug, Default)]
struct DistinctCounter {
    /// Hash and last time of each, the latest last; at most the rule's threshold, of 64.
    members: VecDeque<(u64, Timestamp)>,
    /// It was as large as the threshold when a member came last.
    full: bool,
}

/// What a counter shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Members within the window, as far as the threshold: more need not be told apart.
    pub(crate) count: u32,
    /// It has just become as large as the threshold, or the threshold as low as the count.
    pub(crate) new: bool,
}

impl DistinctCounters {
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: LruTable::new(MAX_COUNTERS, seed) }
    }

    /// Adds a member; `most` is the threshold.
    pub(crate) fn add(
        &mut self,
        key: u64,
        member: u64,
        (most, window): (u32, Duration),
        now: Timestamp,
    ) -> Size {
        let counter = self.table.entry(key);
        let members = &mut counter.members;
        while members.front().is_some_and(|(_, at)| *at + window <= now) {
            members.pop_front();
        }
        counter.full &= count(members) >= most;
        if let Some(known) = members.iter().position(|(other, _)| *other == member) {
            members.remove(known);
        } else if count(members) >= most {
            // Of more than that, if the threshold has fallen.
            members.drain(..=members.len().saturating_sub(most as usize));
        }
        members.push_back((member, now));
        let count = count(members);
        let full = count >= most;
        let was_full = std::mem::replace(&mut counter.full, full);
        Size { count, new: full && !was_full }
    }

    /// Members within the window but for this one, as far as they are told apart.
    pub(crate) fn others(&self, key: u64, member: u64, window: Duration, now: Timestamp) -> u32 {
        let members = self.table.get(&key).map(|counter| &counter.members);
        let within = members.into_iter().flatten().filter(|(_, at)| *at + window > now);
        let others = within.filter(|(other, _)| *other != member).count();
        u32::try_from(others).unwrap_or(u32::MAX)
    }

    /// Begins anew.
    pub(crate) fn remove(&mut self, key: u64) {
        self.table.remove(&key);
    }

    /// Forgets counters without a member in the window.
    pub(crate) fn expire(&mut self, now: Timestamp, window: Duration) {
        self.table.expire(|_, counter| {
            counter.members.back().is_none_or(|(_, last)| now.since(*last) >= window)
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

fn count(members: &VecDeque<(u64, Timestamp)>) -> u32 {
    u32::try_from(members.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const WINDOW: Duration = Duration::from_secs(600);

    #[test]
    fn a_threshold_is_new_once_for_as_long_as_it_is_reached() {
        let mut counters = DistinctCounters::new(42);
        let mut come = |n: u32, most, now| counters.add(1, n.into(), (most, WINDOW), now);
        for count in 1..=9 {
            assert_eq!(come(count, 10, NOW), Size { count, new: false });
        }
        assert_eq!(come(9, 10, NOW).count, 9, "again");
        assert_eq!(come(10, 10, NOW), Size { count: 10, new: true });
        assert_eq!(come(11, 10, NOW), Size { count: 10, new: false });
        let later = NOW + WINDOW;
        assert_eq!(come(1, 10, later), Size { count: 1, new: false });
        assert_eq!(come(2, 10, later), Size { count: 2, new: false });
        assert_eq!(come(3, 3, later), Size { count: 3, new: true }, "a lower threshold");
        assert_eq!(come(4, 2, later), Size { count: 2, new: false });
    }

    #[test]
    fn a_threshold_that_falls_below_a_count_is_reached_by_its_next_member() {
        let mut counters = DistinctCounters::new(42);
        for member in 0..20 {
            assert!(!counters.add(1, member, (64, WINDOW), NOW).new);
        }
        assert_eq!(counters.add(1, 20, (10, WINDOW), NOW), Size { count: 10, new: true });
    }
}
