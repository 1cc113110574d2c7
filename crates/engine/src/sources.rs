//! What is counted of each source.

mod history;
mod unproven_sources;

use std::num::NonZeroU32;

use ipnet::IpNet;

use crate::key::Key;
pub(crate) use history::{Entry, Finding, Findings, History, MISTYPES, SourceRule, Tally};
pub(crate) use unproven_sources::{Counts, UnprovenSources};

use crate::effect::Standing;
use crate::limits::{Limits, seconds};
use crate::slot::Slot;
use crate::table::{Rank, Table};
use crate::{Grade, Timestamp};

/// The heaviest class: the lighter a source weighs, the sooner it is forgotten when memory is short.
const HEAVIEST: u64 = 7;

/// Failures kept for each source on average. One source may need more (20,000 with the strangest
/// policy), all of them together may not: beyond it the lightest and oldest sources go.
const MEAN_HISTORY: usize = 16;

/// The sources that failed with evidence, as many as `max_tracked`.
#[derive(Debug)]
pub(crate) struct Sources {
    table: Table<Source>,
    /// Failures kept in all histories.
    entries: usize,
    max_entries: usize,
    evicted: u64,
}

/// One source. With its key a cache line of 64 bytes, beside the failures themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) history: History,
    /// Number of its newest entry in [`crate::recent::Recent`].
    pub(crate) newest_detail: Option<NonZeroU32>,
    /// The address whose ACLs were asked for last, hashed.
    pub(crate) asked_for: Option<NonZeroU32>,
    /// When it failed last: seconds of the epoch.
    seen: u32,
    /// Rules that were due and did not ban, which was reported: one bit for each [`crate::RuleName`].
    pub(crate) told: u16,
    /// How far it is on its way to the threshold.
    class: u8,
}

impl Rank for Source {
    fn class(&self) -> u8 {
        self.class
    }

    fn last_use(&self) -> u32 {
        self.seen
    }
}

impl Sources {
    pub(crate) fn new(max_tracked: usize, seed: u64) -> Self {
        let max_entries = max_tracked.saturating_mul(MEAN_HISTORY);
        Self { table: Table::new(max_tracked, seed), entries: 0, max_entries, evicted: 0 }
    }

    /// Adds a failure and weighs the window against `standing`. `hint` is where the source may be.
    pub(crate) fn record(
        &mut self,
        key: Key,
        hint: Option<Slot>,
        entry: Entry,
        standing: Standing,
        now: Timestamp,
        limits: &Limits,
    ) -> (Slot, Tally) {
        let (slot, evicted) = self.table.find_or_insert(key, hint);
        if let Some(source) = evicted {
            self.entries -= source.history.len();
            self.evicted += 1;
        }
        let Some(source) = self.table.get_mut(slot) else {
            return (slot, Tally::default());
        };
        let before = source.history.len();
        let now_seconds = seconds(now);
        if now_seconds.saturating_sub(source.seen) > limits.idle_seconds() {
            // Also what keeps the wrapping clock of the entries right.
            source.history.clear();
        }
        source.seen = now_seconds;
        source.history.push(entry, limits);
        let (counted, _) = limits.base_grades(standing);
        let tally = source.history.tally(entry.at(), limits, counted);
        source.class = class(&tally, limits);
        self.entries = self.entries + source.history.len() - before;
        while self.entries > self.max_entries {
            let Some(source) = self.table.evict() else {
                break;
            };
            self.entries -= source.history.len();
            self.evicted += 1;
        }
        (slot, tally)
    }

    /// The source behind a handle that is still good.
    pub(crate) fn at(&self, slot: Slot) -> Option<&Source> {
        self.table.get(slot)
    }

    /// The source behind a handle that is still good.
    pub(crate) fn at_mut(&mut self, slot: Slot) -> Option<&mut Source> {
        self.table.get_mut(slot)
    }

    /// The handle of a source.
    pub(crate) fn find(&self, key: &Key) -> Option<Slot> {
        self.table.find(key)
    }

    /// A user succeeded: its failures are forgiven.
    pub(crate) fn forgive(&mut self, key: &Key, user_hash: u64) {
        let Some(slot) = self.table.find(key) else {
            return;
        };
        let Some(source) = self.table.get_mut(slot) else {
            return;
        };
        let before = source.history.len();
        source.history.forgive(user_hash);
        self.entries -= before - source.history.len();
    }

    /// All of them, with how many failures each has within the base window that are unchallenged or better.
    pub(crate) fn unchallenged(
        &self,
        now: Timestamp,
        limits: &Limits,
    ) -> impl Iterator<Item = (Key, u32)> {
        let now = crate::limits::millis(now);
        self.table.iter().map(move |(key, s)| {
            (key, s.history.at_least(Grade::Unchallenged, now, limits.window_ms))
        })
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Source> {
        self.table.value(key)
    }

    /// Takes over what `other` counts against one source, without the texts.
    pub(crate) fn copy(&mut self, other: &Self, key: Key) {
        let Some(source) = other.get(&key) else {
            return;
        };
        let (slot, _) = self.table.find_or_insert(key, None);
        let Some(mine) = self.table.get_mut(slot) else {
            return;
        };
        let before = mine.history.len();
        *mine = Source { newest_detail: None, class: 0, ..source.clone() };
        self.entries = self.entries + source.history.len() - before;
    }

    /// Forgets a source.
    pub(crate) fn remove(&mut self, key: &Key) {
        if let Some(source) = self.table.remove(key) {
            self.entries -= source.history.len();
        }
    }

    /// Forgets the sources inside a network.
    pub(crate) fn remove_inside(&mut self, net: &IpNet) {
        let inside: Vec<Key> =
            self.table.iter().map(|(key, _)| key).filter(|key| net.contains(&key.addr())).collect();
        for key in &inside {
            self.remove(key);
        }
    }

    /// Forgets the sources of which nothing can count any more. True when it has looked at all of them.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &Limits) -> bool {
        let entries = &mut self.entries;
        self.table.expire(seconds(now), limits.idle_seconds(), |source| {
            *entries -= source.history.len();
        })
    }

    /// Windows have changed.
    pub(crate) fn distrust_ages(&mut self) {
        self.table.distrust_ages();
    }

    /// Changes how many are remembered.
    pub(crate) fn set_capacity(&mut self, max_tracked: usize) {
        self.max_entries = max_tracked.saturating_mul(MEAN_HISTORY);
        self.table.set_capacity(max_tracked);
        self.entries = self.table.iter().map(|(_, source)| source.history.len()).sum();
    }

    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.entries = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Sources forgotten to make room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// How far a source is on its way to the threshold.
fn class(tally: &Tally, limits: &Limits) -> u8 {
    let class = u64::from(tally.score) * HEAVIEST / u64::from(limits.threshold.max(1));
    u8::try_from(class.min(HEAVIEST)).unwrap_or_default()
}
