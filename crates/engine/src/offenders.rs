//! How often each source was banned before.

use std::num::NonZeroU32;

use crate::Timestamp;
use crate::key::Key;
use crate::limits::seconds;
use crate::table::{Rank, Table};

/// Offenders remembered: as many as sources by default (about 8 MB). One whose bans are soon
/// forgotten makes room.
const MAX_OFFENDERS: usize = 262_144;

/// Ban counts for escalation.
#[derive(Debug)]
pub(crate) struct Offenders {
    table: Table<Offender>,
}

#[derive(Clone, Debug)]
pub(crate) struct Offender {
    bans: NonZeroU32,
    /// Seconds of the epoch.
    forget_at: u32,
}

/// Forgotten already.
impl Default for Offender {
    fn default() -> Self {
        Self { bans: NonZeroU32::MIN, forget_at: 0 }
    }
}

impl Rank for Offender {
    fn class(&self) -> u8 {
        0
    }

    fn last_use(&self) -> u32 {
        self.forget_at
    }
}

impl Offenders {
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: Table::new(MAX_OFFENDERS, seed) }
    }

    /// Bans of a source so far.
    pub(crate) fn bans(&self, key: &Key, now: Timestamp) -> u32 {
        self.table
            .value(key)
            .filter(|offender| offender.forget_at > seconds(now))
            .map_or(0, |offender| offender.bans.get())
    }

    /// Remembers ban number `bans` of a source.
    pub(crate) fn record(&mut self, key: Key, bans: u32, forget_at: Timestamp) {
        self.change(key, bans, |offender, bans| {
            *offender = Offender { bans, forget_at: seconds(forget_at) };
        });
    }

    /// Remembers what is reported of an earlier run: the larger count, the later time.
    pub(crate) fn raise(&mut self, key: Key, bans: u32, forget_at: Timestamp) {
        self.change(key, bans, |offender, bans| {
            offender.bans = offender.bans.max(bans);
            offender.forget_at = offender.forget_at.max(seconds(forget_at));
        });
    }

    /// Takes over what `other` knows of one source.
    pub(crate) fn copy(&mut self, other: &Self, key: Key) {
        if let Some(offender) = other.table.value(&key) {
            self.change(key, offender.bans.get(), |mine, _| *mine = offender.clone());
        }
    }

    /// Removes expired ones. True when it has looked at all of them.
    pub(crate) fn expire(&mut self, now: Timestamp) -> bool {
        self.table.expire(seconds(now), 0, |_| {})
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Makes an entry for a source that was banned.
    fn change(&mut self, key: Key, bans: u32, change: impl FnOnce(&mut Offender, NonZeroU32)) {
        let Some(bans) = NonZeroU32::new(bans) else {
            return;
        };
        let (slot, _) = self.table.find_or_insert(key, None);
        if let Some(offender) = self.table.get_mut(slot) {
            change(offender, bans);
        }
    }
}
