//! Sources whose failures weigh nothing.

use crate::key::Key;
use crate::limits::Limits;
use crate::lru::LruTable;
use crate::{Grade, Timestamp};

/// Sources whose failures weigh nothing: counted for the log and the views, in a table of their own,
/// so that a flood of forged addresses evicts nothing real.
#[derive(Debug)]
pub(crate) struct UnprovenSources {
    table: LruTable<Key, Counts>,
}

impl Counts {
    /// Failures whose nonce was valid.
    pub(crate) fn guesses(self) -> u32 {
        self.other
    }
}

/// Failures of one source that weigh nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) unproven: u32,
    pub(crate) unjoined: u32,
    /// Of another grade, which counts nothing against this source.
    pub(crate) other: u32,
    last: Timestamp,
}

impl UnprovenSources {
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        Self { table: LruTable::new(capacity, seed) }
    }

    /// Counts one; gives the counts of its source.
    pub(crate) fn record(&mut self, key: Key, grade: Grade, now: Timestamp) -> Counts {
        let (slot, _) = self.table.find_or_insert(key);
        let Some(counts) = self.table.value_mut(slot) else {
            return Counts::default();
        };
        let count = match grade {
            Grade::Unproven => &mut counts.unproven,
            Grade::Unjoined => &mut counts.unjoined,
            Grade::Unchallenged
            | Grade::Challenged
            | Grade::Assumed
            | Grade::Answered
            | Grade::Genuine => &mut counts.other,
        };
        *count = count.saturating_add(1);
        counts.last = now;
        *counts
    }

    pub(crate) fn get(&self, key: &Key) -> Counts {
        self.table.get(key).copied().unwrap_or_default()
    }

    /// Takes over what `other` counts of one source.
    pub(crate) fn copy(&mut self, other: &Self, key: Key) {
        if let Some(counts) = other.table.get(&key) {
            *self.table.entry(key) = *counts;
        }
    }

    /// Forgets the sources that were quiet for a window.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &Limits) {
        self.table.expire(|_, counts| now.since(counts.last) > limits.policy.window);
    }

    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.table.set_capacity(capacity);
    }

    pub(crate) fn clear(&mut self) {
        self.table.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
