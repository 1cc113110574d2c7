//! What is counted of each source.

mod history;

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;

pub(crate) use history::{Entry, Finding, Findings, History, Tally};

use crate::limits::{Limits, seconds};
use crate::lru::{LruTable, Slot};
use crate::{Grade, Timestamp};

/// Classes of weight: the lighter a source weighs, the sooner it is forgotten when memory is short.
const CLASSES: usize = 8;

/// Failures kept for each source on average. One source may need more (20,000 with the strangest
/// policy), all of them together may not: beyond it the lightest and oldest sources go.
const MEAN_HISTORY: usize = 16;

/// What a source is counted under: its network as two words, IPv4 in mapped form. The prefix length
/// is the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    high: u64,
    low: u64,
}

impl Key {
    /// The key of a network that [`Limits::source_net`] made, or of a host.
    pub(crate) fn of(net: &IpNet) -> Self {
        Self::of_addr(net.network())
    }

    /// The key of a host.
    pub(crate) fn of_addr(addr: IpAddr) -> Self {
        Self::of_bits(match addr {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        })
    }

    /// The bits that a prefix length keeps.
    pub(crate) fn mask(is_ipv4: bool, prefix: u8) -> Self {
        let cut = if is_ipv4 { 32 } else { 128_u32 }.saturating_sub(prefix.into());
        Self::of_bits(u128::MAX.checked_shl(cut).unwrap_or_default())
    }

    /// The key of the network whose bits `mask` keeps.
    pub(crate) fn masked(self, mask: Self) -> Self {
        Self { high: self.high & mask.high, low: self.low & mask.low }
    }

    fn of_bits(bits: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        Self { high, low }
    }

    /// Mixed down to one word. Who finds two keys with the same one gains a count too many in a crowd.
    pub(crate) fn hash(self) -> u64 {
        (self.high ^ self.low.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.low
    }

    /// Half of [`Key::hash`].
    pub(crate) fn short_hash(self) -> Option<NonZeroU32> {
        NonZeroU32::new((self.hash() >> 32) as u32)
    }

    /// The first address of the network.
    pub(crate) fn addr(self) -> IpAddr {
        let bits = u128::from(self.high) << 64 | u128::from(self.low);
        std::net::Ipv6Addr::from_bits(bits).to_canonical()
    }
}

/// The sources that failed with evidence, as many as `max_tracked`.
#[derive(Debug)]
pub(crate) struct Sources {
    table: LruTable<Key, Source, CLASSES>,
    /// Failures kept in all histories.
    entries: usize,
    max_entries: usize,
    evicted: u64,
}

/// One source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) history: History,
    /// Number of its newest entry in [`crate::recent::Recent`].
    pub(crate) newest_detail: Option<NonZeroU32>,
    /// The address whose ACLs were asked for last, hashed.
    pub(crate) asked_for: Option<NonZeroU32>,
    /// When it failed last: seconds of the epoch.
    seen: u32,
    /// Rules that were due and did not ban, which was told: one bit for each [`crate::RuleName`].
    pub(crate) told: u16,
}

impl Sources {
    pub(crate) fn new(max_tracked: usize, seed: u64) -> Self {
        let max_entries = max_tracked.saturating_mul(MEAN_HISTORY);
        Self { table: LruTable::new(max_tracked, seed), entries: 0, max_entries, evicted: 0 }
    }

    /// Adds a failure and weighs the window.
    pub(crate) fn record(
        &mut self,
        key: Key,
        entry: Entry,
        now: Timestamp,
        limits: &Limits,
    ) -> (Slot, Tally) {
        let (slot, evicted) = self.table.find_or_insert(key);
        if let Some((_, source)) = evicted {
            self.entries -= source.history.len();
            self.evicted += 1;
        }
        let Some(source) = self.table.value_mut(slot) else {
            return (slot, Tally::default());
        };
        let before = source.history.len();
        let now_seconds = seconds(now);
        if u64::from(now_seconds.saturating_sub(source.seen)) > limits.idle().as_secs() {
            // Also what keeps the wrapping clock of the entries right.
            source.history.clear();
        }
        source.seen = now_seconds;
        source.history.push(entry, limits);
        let tally = source.history.tally(entry.at(), limits, None);
        self.entries = self.entries + source.history.len() - before;
        self.table.touch(slot, class(&tally, limits));
        while self.entries > self.max_entries {
            let Some((_, source)) = self.table.evict() else {
                break;
            };
            self.entries -= source.history.len();
            self.evicted += 1;
        }
        (slot, tally)
    }

    /// The source behind a handle that is still good.
    pub(crate) fn at(&self, slot: Slot) -> Option<&Source> {
        self.table.value(slot)
    }

    /// The source behind a handle that is still good.
    pub(crate) fn at_mut(&mut self, slot: Slot) -> Option<&mut Source> {
        self.table.value_mut(slot)
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
        let Some(source) = self.table.value_mut(slot) else {
            return;
        };
        let before = source.history.len();
        source.history.forgive(user_hash);
        self.entries -= before - source.history.len();
    }

    /// All of them, with how many answered failures each has within the base window.
    pub(crate) fn answered(
        &self,
        now: Timestamp,
        limits: &Limits,
    ) -> impl Iterator<Item = (Key, u32)> {
        let now = crate::limits::millis(now);
        self.table.iter().map(move |(key, s)| (*key, s.history.answered(now, limits.window_ms)))
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Source> {
        self.table.get(key)
    }

    /// Takes over what `other` counts against one source, without the texts.
    pub(crate) fn copy(&mut self, other: &Self, key: Key, limits: &Limits) {
        let Some(source) = other.get(&key) else {
            return;
        };
        let (slot, _) = self.table.find_or_insert(key);
        let Some(mine) = self.table.value_mut(slot) else {
            return;
        };
        let before = mine.history.len();
        *mine = Source { newest_detail: None, ..source.clone() };
        self.entries = self.entries + source.history.len() - before;
        let tally = Tally::default();
        self.table.touch(slot, class(&tally, limits));
    }

    /// Forgets a source.
    pub(crate) fn remove(&mut self, key: &Key) {
        if let Some(source) = self.table.remove(key) {
            self.entries -= source.history.len();
        }
    }

    /// Forgets the sources inside a network.
    pub(crate) fn remove_inside(&mut self, net: &IpNet) {
        let inside: Vec<Key> = self
            .table
            .iter()
            .map(|(key, _)| *key)
            .filter(|key| net.contains(&key.addr()))
            .collect();
        for key in &inside {
            self.remove(key);
        }
    }

    /// Forgets the sources of which nothing can count any more.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &Limits) {
        let now_seconds = seconds(now);
        let idle = limits.idle().as_secs();
        let entries = &mut self.entries;
        self.table.expire(|_, source| {
            let old = u64::from(now_seconds.saturating_sub(source.seen)) > idle;
            if old {
                *entries -= source.history.len();
            }
            old
        });
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

/// Sources whose failures weigh nothing: counted for the log and the views, in a table of their own,
/// so that a flood of forged addresses evicts nothing real.
#[derive(Debug)]
pub(crate) struct Weightless {
    table: LruTable<Key, Counts>,
}

/// Failures of one source that weigh nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) unproven: u32,
    pub(crate) unjoined: u32,
    /// Of another grade that the policy gives no weight.
    pub(crate) other: u32,
    last: Timestamp,
}

impl Weightless {
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        Self { table: LruTable::new(capacity, seed) }
    }

    pub(crate) fn record(&mut self, key: Key, grade: Grade, now: Timestamp) {
        let (slot, _) = self.table.find_or_insert(key);
        let Some(counts) = self.table.value_mut(slot) else {
            return;
        };
        let count = match grade {
            Grade::Unproven => &mut counts.unproven,
            Grade::Unjoined => &mut counts.unjoined,
            Grade::Unchallenged | Grade::Assumed | Grade::Answered => &mut counts.other,
        };
        *count = count.saturating_add(1);
        counts.last = now;
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

/// How far a source is on its way to the threshold.
fn class(tally: &Tally, limits: &Limits) -> u8 {
    let top = CLASSES as u64 - 1;
    let class = u64::from(tally.score) * top / u64::from(limits.threshold.max(1));
    u8::try_from(class.min(top)).unwrap_or_default()
}
