//! Exempt hosts that would have been banned.

use std::time::Duration;

use crate::Timestamp;
use crate::key::Key;
use crate::limits::Limits;
use crate::lru::LruTable;

/// Exempt hosts counted at once.
const MAX_EXEMPT: usize = 4_096;

/// Counts the failures of exempt hosts, so that one who reaches the threshold is reported once per
/// window instead of being passed over in silence.
#[derive(Debug)]
pub(crate) struct ExemptFailures {
    table: LruTable<Key, Count>,
}

/// Failures in a window that begins with the first of them: coarser than the sliding window of the
/// bannable, because nothing but a report hangs on it.
#[derive(Debug, Default)]
struct Count {
    begin: Timestamp,
    score: u32,
}

impl ExemptFailures {
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: LruTable::new(MAX_EXEMPT, seed) }
    }

    /// Adds a failure. True when it is the one that reaches the threshold.
    pub(crate) fn record(
        &mut self,
        key: Key,
        weight: u32,
        now: Timestamp,
        limits: &Limits,
    ) -> bool {
        let (slot, _) = self.table.find_or_insert(key);
        let Some(count) = self.table.value_mut(slot) else {
            return false;
        };
        if count.score == 0 || now.since(count.begin) >= limits.policy.window {
            *count = Count { begin: now, score: 0 };
        }
        let before = count.score;
        count.score = count.score.saturating_add(weight);
        before < limits.threshold && count.score >= limits.threshold
    }

    /// Forgets the hosts whose window is over.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &Limits) {
        let old: Duration = limits.policy.window;
        self.table.expire(|_, count| now.since(count.begin) >= old);
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
