//! How often each source was banned before.

use crate::Timestamp;
use crate::key::Key;
use crate::limits::seconds;
use crate::lru::LruTable;

/// Offenders remembered: as many as sources by default (about 10 MB). The one whose last ban is
/// longest ago is forgotten first.
const MAX_OFFENDERS: usize = 262_144;

/// Ban counts for escalation.
#[derive(Debug)]
pub(crate) struct Offenders {
    table: LruTable<Key, Offender>,
}

#[derive(Clone, Debug, Default)]
struct Offender {
    bans: u32,
    /// Seconds of the epoch.
    forget_at: u32,
}

impl Offenders {
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: LruTable::new(MAX_OFFENDERS, seed) }
    }

    /// Bans of a source so far.
    pub(crate) fn bans(&self, key: &Key, now: Timestamp) -> u32 {
        self.table
            .get(key)
            .filter(|offender| offender.forget_at > seconds(now))
            .map_or(0, |o| o.bans)
    }

    /// Remembers ban number `bans` of a source.
    pub(crate) fn record(&mut self, key: Key, bans: u32, forget_at: Timestamp) {
        let (slot, _) = self.table.find_or_insert(key);
        if let Some(offender) = self.table.value_mut(slot) {
            *offender = Offender { bans, forget_at: seconds(forget_at) };
        }
    }

    /// Remembers what is reported an earlier run: the larger count, the later time.
    pub(crate) fn raise(&mut self, key: Key, bans: u32, forget_at: Timestamp) {
        let offender = self.table.entry(key);
        offender.bans = offender.bans.max(bans);
        offender.forget_at = offender.forget_at.max(seconds(forget_at));
    }

    /// Takes over what `other` knows of one source.
    pub(crate) fn copy(&mut self, other: &Self, key: Key) {
        if let Some(offender) = other.table.get(&key) {
            *self.table.entry(key) = offender.clone();
        }
    }

    /// Removes expired ones among the oldest.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.table.expire(|_, offender| offender.forget_at <= seconds(now));
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
