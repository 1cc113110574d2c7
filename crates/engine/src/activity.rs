//! What every source does lately, whether it fails or not: challenges, floods, calls given up.

use std::num::NonZeroU32;

use crate::Timestamp;
use crate::key::Key;
use crate::limits::{ActivityLimits, Limit, millis, seconds};
use crate::slot::Slot;
use crate::table::{Rank, Table};

/// Sources watched at once: 90 s of a forger's best, 2,900 challenges/s each with a new address.
/// About 15 MB when full.
const MAX_ACTIVE: usize = 262_144;

/// The latest doings of the sources.
#[derive(Debug)]
pub(crate) struct Activity {
    table: Table<Doings>,
}

/// 36 bytes: with all sources active this is the largest table.
#[derive(Clone, Debug, Default)]
struct Doings {
    /// Seconds of the epoch.
    last: u32,
    /// Seconds of the epoch.
    challenged_at: Option<NonZeroU32>,
    /// Hash of profile, port and user of that challenge.
    challenged_for: u32,
    /// Where its failures are counted, if it is still there.
    source: Option<Slot>,
    events: Count,
    unanswered: Count,
    abandoned: Count,
    /// It did more than what makes others be challenged in its name.
    answered: bool,
}

impl Rank for Doings {
    fn class(&self) -> u8 {
        self.answered.into()
    }

    fn last_use(&self) -> u32 {
        self.last
    }
}

/// A count within a window that begins with the first event after the last window. Coarser than the
/// sliding window of the failures, and six bytes: for counts where the times of 200 events would be
/// too much to keep.
#[derive(Clone, Debug, Default)]
struct Count {
    /// On the wrapping clock of [`millis`], in two halves, so that nothing is padded.
    begin: [u16; 2],
    /// [`REACHED`] once it has reached the threshold.
    count: u16,
}

/// The count of a window that has reached its threshold, which it does once, whatever the threshold becomes.
const REACHED: u16 = u16::MAX;

impl Activity {
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: Table::new(MAX_ACTIVE, seed) }
    }

    /// An event of a source: which rules it brings to their threshold.
    #[inline]
    pub(crate) fn note(
        &mut self,
        key: Key,
        event: Event,
        limits: &ActivityLimits,
        now: Timestamp,
    ) -> Reached {
        let (slot, _) = self.table.find_or_insert(key, None);
        let Some(doings) = self.table.get_mut(slot) else {
            return Reached::default();
        };
        let (seconds, millis) = (seconds(now), millis(now));
        if seconds.saturating_sub(doings.last) > limits.keep_seconds {
            // Also what keeps the wrapping clock of the counts right.
            *doings = Doings { source: doings.source, ..Doings::default() };
        }
        doings.last = seconds;
        let events = doings.events.add(limits.flood, millis);
        let mut reached = Reached { flood: events, ..Reached::default() };
        match event {
            Event::Challenged(whom) => {
                doings.challenged_at = NonZeroU32::new(seconds);
                doings.challenged_for = whom;
                reached.challenges = doings.unanswered.add(limits.challenges, millis);
            }
            // Any answer, right or wrong: the source does more than fetch challenges.
            Event::Answered => {
                doings.unanswered = Count::default();
                doings.answered = true;
            }
            Event::Abandoned => reached.calls = doings.abandoned.add(limits.calls, millis),
            Event::Other => {}
        }
        reached
    }

    /// Takes over what `other` knows of one source.
    pub(crate) fn copy(&mut self, other: &Self, key: Key) {
        let Some(doings) = other.doings(&key) else {
            return;
        };
        let (slot, _) = self.table.find_or_insert(key, None);
        if let Some(mine) = self.table.get_mut(slot) {
            *mine = Doings { source: None, ..doings.clone() };
        }
    }

    /// A challenge went to this source within so many seconds.
    pub(crate) fn was_challenged(&self, key: &Key, life: u32, now: Timestamp) -> bool {
        self.doings(key).is_some_and(|doings| doings.was_challenged(life, now))
    }

    /// The last challenge that went to this source did within so many seconds, and was for `whom`: a hash
    /// of profile, port and user.
    pub(crate) fn was_challenged_for(
        &self,
        key: &Key,
        whom: u32,
        life: u32,
        now: Timestamp,
    ) -> bool {
        self.doings(key)
            .is_some_and(|doings| doings.challenged_for == whom && doings.was_challenged(life, now))
    }

    /// Where the failures of this source may be counted: spares them a look-up of their own.
    pub(crate) fn source(&self, key: &Key) -> Option<Slot> {
        self.doings(key)?.source
    }

    /// Remembers where the failures of this source are counted.
    pub(crate) fn set_source(&mut self, key: &Key, source: Slot) {
        let slot = self.table.find(key);
        if let Some(doings) = slot.and_then(|slot| self.table.get_mut(slot)) {
            doings.source = Some(source);
        }
    }

    /// A source was banned: its windows begin anew.
    pub(crate) fn begin_anew(&mut self, key: &Key) {
        let slot = self.table.find(key);
        if let Some(doings) = slot.and_then(|slot| self.table.get_mut(slot)) {
            doings.events = Count::default();
            doings.unanswered = Count::default();
            doings.abandoned = Count::default();
        }
    }

    /// Forgets sources that have been quiet for longer than any of the windows. True when it has
    /// looked at all of them.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &ActivityLimits) -> bool {
        self.table.expire(seconds(now), limits.keep_seconds, |_| {})
    }

    /// Windows have changed.
    pub(crate) fn distrust_ages(&mut self) {
        self.table.distrust_ages();
    }

    fn doings(&self, key: &Key) -> Option<&Doings> {
        self.table.value(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn clear(&mut self) {
        self.table.clear();
    }
}

impl Doings {
    fn was_challenged(&self, life: u32, now: Timestamp) -> bool {
        self.challenged_at.is_some_and(|at| seconds(now).saturating_sub(at.get()) <= life)
    }
}

impl Count {
    /// Counts one. True when it is the one that reaches the threshold.
    fn add(&mut self, limit: Limit, now: u32) -> bool {
        let [low, high] = self.begin;
        let age = now.wrapping_sub(u32::from(high) << 16 | u32::from(low));
        if self.count == 0 || age >= limit.window_ms {
            #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
            let begin = [now as u16, (now >> 16) as u16];
            *self = Self { begin, count: 0 };
        }
        if self.count == REACHED {
            return false;
        }
        self.count += 1;
        let reached = u32::from(self.count) >= limit.threshold;
        if reached {
            self.count = REACHED;
        }
        reached
    }
}

/// What a source did.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// It was challenged: hash of profile, port and user.
    Challenged(u32),
    /// It answered a challenge.
    Answered,
    /// It gave up a call after its challenge.
    Abandoned,
    /// Anything else.
    Other,
}

/// Rules whose threshold an event reached: true at that very event only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) flood: bool,
    pub(crate) challenges: bool,
    pub(crate) calls: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(count: &mut Count, threshold: u32, times: u32) -> Vec<u32> {
        let limit = Limit { threshold, window_ms: 1_000 };
        (1..=times).filter(|_| count.add(limit, 7)).collect()
    }

    #[test]
    fn every_threshold_is_reached_once_in_a_window() {
        for threshold in [1, 2, 64, 1_000, 65_534, 65_535] {
            assert_eq!(reached(&mut Count::default(), threshold, 140_000), [threshold]);
        }
    }

    #[test]
    fn a_threshold_that_falls_below_the_count_is_reached_by_the_next_event() {
        let mut count = Count::default();
        assert!(reached(&mut count, 1_000, 500).is_empty());
        assert_eq!(reached(&mut count, 60, 500), [1]);
        assert!(reached(&mut count, 30, 500).is_empty());
        assert!(count.add(Limit { threshold: 1, window_ms: 1_000 }, 1_007), "the next window");
    }
}
