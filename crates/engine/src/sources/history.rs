//! The failures of one source: exact times, hashes instead of names.

use crate::limits::{Limits, millis};
use crate::seen::Seen;
use crate::{Grade, Timestamp};

const GRADE_BITS: u32 = 3;
const USER_BITS: u32 = 32 - GRADE_BITS;

/// One counted failure in eight bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Milliseconds on the wrapping clock of [`millis`].
    at: u32,
    /// Hash of the user above, grade below.
    tag: u32,
}

impl Entry {
    pub(crate) fn new(seen: &Seen, grade: Grade, now: Timestamp) -> Self {
        let user = (seen.user_hash >> (64 - USER_BITS)) as u32;
        Self {
            at: millis(now),
            tag: user << GRADE_BITS | grade as u32,
        }
    }

    pub(crate) fn at(self) -> u32 {
        self.at
    }

    fn grade(self) -> Grade {
        let index = (self.tag & ((1 << GRADE_BITS) - 1)) as usize;
        Grade::ALL.get(index).copied().unwrap_or(Grade::Unjoined)
    }
}

/// The failures of one source that can still matter, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<Entry>);

/// The weighed window of one source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Failures with weight.
    pub(crate) failures: u32,
    /// Their weights, in thousandths.
    pub(crate) score: u32,
    /// The weakest of their grades.
    pub(crate) weakest: Option<Grade>,
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a failure; drops those that left the window, and the oldest of too many.
    pub(crate) fn push(&mut self, entry: Entry, limits: &Limits) {
        let old = self
            .0
            .iter()
            .take_while(|e| age(entry.at, **e) >= limits.window_ms)
            .count();
        let too_many = (self.0.len() + 1).saturating_sub(limits.max_history);
        self.0.drain(..old.max(too_many).min(self.0.len()));
        self.0.push(entry);
    }

    /// Weighs the failures younger than the window. `now` is on the clock of [`millis`].
    pub(crate) fn tally(&self, now: u32, limits: &Limits) -> Tally {
        let mut tally = Tally::default();
        for entry in self
            .0
            .iter()
            .filter(|entry| age(now, **entry) < limits.window_ms)
        {
            let grade = entry.grade();
            let weight = limits.weight(grade);
            if weight > 0 {
                tally.failures += 1;
                tally.score = tally.score.saturating_add(weight);
                tally.weakest = Some(tally.weakest.map_or(grade, |weakest| weakest.min(grade)));
            }
        }
        tally
    }
}

/// Milliseconds since a failure.
fn age(now: u32, entry: Entry) -> u32 {
    now.wrapping_sub(entry.at)
}
