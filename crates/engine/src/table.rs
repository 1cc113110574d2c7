//! A bounded table for what every event looks up.
//!
//! Finding an entry writes nothing but the entry, because it is the memory of its neighbours that
//! makes an ordered list slow. The price: what goes first is chosen among a few, not among all.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::hash::Seed;
use crate::key::Key;
use crate::slot::{PAGE, Pages, Slot};

/// Entries among which the least important is looked for when one has to go: it is in the least
/// sixteenth of all, nearly always.
const SAMPLE: usize = 16;

/// Pages looked through at once for what is old: 65,536 entries, about a millisecond.
const SWEEP: usize = 64;

/// What an entry is worth.
pub(crate) trait Rank {
    /// Lower classes go first.
    fn class(&self) -> u8;

    /// In seconds; among entries of one class the oldest goes first.
    fn last_use(&self) -> u32;
}

/// A hash table of at most `capacity` entries. Keys are hashed with a seed, because strangers choose
/// them.
#[derive(Debug)]
pub(crate) struct Table<V> {
    capacity: usize,
    hasher: Seed,
    index: HashTable<Slot>,
    nodes: Pages<Option<Node<V>>>,
    /// For each page a time, in seconds, before which nothing on it is old.
    fresh_until: Vec<u32>,
    /// The entry found last: the events of one guess follow each other.
    latest: Option<Slot>,
    /// The next place to look at for an entry that can go.
    clock_hand: usize,
    /// The next page to look through for what is old.
    sweep_page: usize,
}

#[derive(Debug)]
struct Node<V> {
    key: Key,
    value: V,
}

impl<V: Default + Rank> Table<V> {
    /// An empty table; memory is taken as entries come.
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            capacity: capacity.clamp(1, u32::MAX as usize - 1),
            hasher: Seed::new(seed),
            index: HashTable::new(),
            nodes: Pages::new(),
            fresh_until: Vec::new(),
            latest: None,
            clock_hand: 0,
            sweep_page: 0,
        }
    }

    /// Entries held.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The entry of `key`.
    #[inline]
    pub(crate) fn find(&self, key: &Key) -> Option<Slot> {
        match self.latest {
            Some(slot) if self.holds(slot, key) => Some(slot),
            _ => self.look_up(key),
        }
    }

    fn look_up(&self, key: &Key) -> Option<Slot> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |&slot| self.holds(slot, key)).copied()
    }

    /// The value behind a handle.
    pub(crate) fn get(&self, slot: Slot) -> Option<&V> {
        self.node(slot).map(|node| &node.value)
    }

    /// The value of `key`.
    #[inline]
    pub(crate) fn value(&self, key: &Key) -> Option<&V> {
        let latest = self.latest.and_then(|slot| self.node(slot)).filter(|node| node.key == *key);
        let node = latest.or_else(|| self.node(self.look_up(key)?))?;
        Some(&node.value)
    }

    /// The value behind a handle.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut V> {
        self.nodes.get_mut(slot)?.as_mut().map(|node| &mut node.value)
    }

    /// The entry of `key`, made when missing; `hint` is where it may stand. Tells what had to go for
    /// it.
    #[inline]
    pub(crate) fn find_or_insert(&mut self, key: Key, hint: Option<Slot>) -> (Slot, Option<V>) {
        for likely in [hint, self.latest].into_iter().flatten() {
            if self.holds(likely, &key) {
                self.latest = Some(likely);
                return (likely, None);
            }
        }
        self.look_up_or_insert(key)
    }

    fn look_up_or_insert(&mut self, key: Key) -> (Slot, Option<V>) {
        if let Some(slot) = self.look_up(&key) {
            self.latest = Some(slot);
            return (slot, None);
        }
        self.insert(key)
    }

    /// Out of the way of those who are there already.
    #[inline(never)]
    fn insert(&mut self, key: Key) -> (Slot, Option<V>) {
        let evicted = if self.len() >= self.capacity { self.evict() } else { None };
        let slot = self.store(key);
        self.latest = Some(slot);
        (slot, evicted)
    }

    /// Removes the entry of `key`.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<V> {
        self.remove_slot(self.find(key)?)
    }

    /// Removes the oldest entry of the lowest class among a few.
    pub(crate) fn evict(&mut self) -> Option<V> {
        let places = self.nodes.count() * PAGE;
        let (mut least, mut seen) = (None, 0);
        for _ in 0..places {
            let slot = Slot::new(self.clock_hand);
            self.clock_hand = (self.clock_hand + 1) % places;
            let Some(value) = self.get(slot) else {
                continue;
            };
            let rank = (value.class(), value.last_use());
            if least.is_none_or(|(least, _)| rank < least) {
                least = Some((rank, slot));
            }
            seen += 1;
            if seen >= SAMPLE {
                break;
            }
        }
        self.remove_slot(least?.1)
    }

    /// Removes what was not used for more than `keep` seconds, on as many pages as may be looked
    /// through at once. True when that was the last of them.
    pub(crate) fn expire(&mut self, now: u32, keep: u32, mut gone: impl FnMut(&V)) -> bool {
        let mut looked_through = 0;
        while looked_through < SWEEP {
            let Some(&fresh_until) = self.fresh_until.get(self.sweep_page) else {
                self.sweep_page = 0;
                return true;
            };
            if fresh_until <= now {
                looked_through += 1;
                self.expire_page(self.sweep_page, now, keep, &mut gone);
            }
            self.sweep_page += 1;
        }
        false
    }

    /// Looks at everything anew when next asked for what is old.
    pub(crate) fn distrust_ages(&mut self) {
        self.sweep_page = 0;
        self.fresh_until.fill(0);
    }

    /// Changes the capacity; evicts what no longer fits.
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.clamp(1, u32::MAX as usize - 1);
        while self.len() > self.capacity {
            self.evict();
        }
    }

    /// Removes everything and gives the memory back.
    pub(crate) fn clear(&mut self) {
        self.index = HashTable::new();
        self.nodes = Pages::new();
        self.fresh_until = Vec::new();
        (self.latest, self.clock_hand, self.sweep_page) = (None, 0, 0);
    }

    /// All entries, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &V)> {
        self.nodes.iter().flatten().map(|node| (node.key, &node.value))
    }

    fn expire_page(&mut self, page: usize, now: u32, keep: u32, gone: &mut impl FnMut(&V)) {
        let mut oldest = now;
        for place in page * PAGE..(page + 1) * PAGE {
            let slot = Slot::new(place);
            let Some(value) = self.get(slot) else {
                continue;
            };
            if now.saturating_sub(value.last_use()) > keep {
                gone(value);
                self.remove_slot(slot);
            } else {
                oldest = oldest.min(value.last_use());
            }
        }
        if let Some(fresh_until) = self.fresh_until.get_mut(page) {
            *fresh_until = oldest.saturating_add(keep).saturating_add(1);
        }
    }

    fn store(&mut self, key: Key) -> Slot {
        let slot = self.nodes.store(Some(Node { key, value: V::default() }));
        self.fresh_until.resize(self.nodes.count(), 0);
        let hash = self.hasher.hash_one(key);
        let (hasher, nodes) = (&self.hasher, &self.nodes);
        self.index.insert_unique(hash, slot, |&slot| {
            nodes.get(slot).and_then(Option::as_ref).map_or(0, |node| hasher.hash_one(node.key))
        });
        slot
    }

    fn remove_slot(&mut self, slot: Slot) -> Option<V> {
        let Node { key, value } = self.nodes.get_mut(slot)?.take()?;
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.nodes.release(slot);
        Some(value)
    }

    fn holds(&self, slot: Slot, key: &Key) -> bool {
        self.node(slot).is_some_and(|node| node.key == *key)
    }

    fn node(&self, slot: Slot) -> Option<&Node<V>> {
        self.nodes.get(slot)?.as_ref()
    }
}

#[cfg(test)]
mod tests;
