//! A bounded table that forgets what was not used for the longest time.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

use crate::hash::Seed;
use crate::slot::{Pages, Slot};

/// A hash table of at most `capacity` entries in a list ordered by last use.
///
/// When it is full, the oldest entry makes room, in constant time. Keys are hashed with a seed,
/// because strangers choose them.
#[derive(Debug)]
pub(crate) struct LruTable<K, V> {
    capacity: usize,
    hasher: Seed,
    index: HashTable<Slot>,
    nodes: Pages<Node<K, V>>,
    oldest: Option<Slot>,
    newest: Option<Slot>,
    /// Stands in for a slot that does not exist, which cannot be: there is no panic in here.
    spare: V,
}

#[derive(Debug)]
struct Node<K, V> {
    key: K,
    value: V,
    older: Option<Slot>,
    newer: Option<Slot>,
}

impl<K: Copy + Eq + Hash, V: Default> LruTable<K, V> {
    /// An empty table; memory is taken as entries come.
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            capacity: capacity.clamp(1, u32::MAX as usize - 1),
            hasher: Seed::new(seed),
            index: HashTable::new(),
            nodes: Pages::new(),
            oldest: None,
            newest: None,
            spare: V::default(),
        }
    }

    /// Entries held.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The entry of `key`.
    pub(crate) fn find(&self, key: &K) -> Option<Slot> {
        if self.index.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |&slot| self.nodes.get(slot).is_some_and(|n| n.key == *key)).copied()
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.value(self.find(key)?)
    }

    /// The value behind a handle.
    pub(crate) fn value(&self, slot: Slot) -> Option<&V> {
        self.nodes.get(slot).map(|node| &node.value)
    }

    /// The value behind a handle.
    pub(crate) fn value_mut(&mut self, slot: Slot) -> Option<&mut V> {
        self.nodes.get_mut(slot).map(|node| &mut node.value)
    }

    /// The entry of `key`, made when missing (with the default value), now the newest. Tells what had
    /// to go for it.
    pub(crate) fn find_or_insert(&mut self, key: K) -> (Slot, Option<(K, V)>) {
        if let Some(slot) = self.find(&key) {
            self.touch(slot);
            return (slot, None);
        }
        let evicted = if self.len() >= self.capacity { self.evict() } else { None };
        (self.insert_new(key), evicted)
    }

    /// The value of `key`, made when missing, now the newest. What has to go for it goes in silence.
    pub(crate) fn entry(&mut self, key: K) -> &mut V {
        let (slot, _) = self.find_or_insert(key);
        self.nodes.get_mut(slot).map_or(&mut self.spare, |node| &mut node.value)
    }

    /// Removes the entry of `key`.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.find(key)?;
        self.remove_slot(slot).map(|(_, value)| value)
    }

    /// The oldest entry: what [`LruTable::evict`] would remove.
    pub(crate) fn oldest(&self) -> Option<&V> {
        self.value(self.oldest?)
    }

    /// Removes the oldest entry.
    pub(crate) fn evict(&mut self) -> Option<(K, V)> {
        self.remove_slot(self.oldest?)
    }

    /// Removes the oldest entries as long as `done_with` says so, oldest first. Takes time for what it
    /// removes, not for what stays.
    pub(crate) fn expire(&mut self, mut done_with: impl FnMut(&K, &V) -> bool) {
        while let Some(slot) = self.oldest {
            if !self.nodes.get(slot).is_some_and(|node| done_with(&node.key, &node.value)) {
                break;
            }
            self.remove_slot(slot);
        }
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
        (self.oldest, self.newest) = (None, None);
    }

    /// All entries, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.index
            .iter()
            .filter_map(|&slot| self.nodes.get(slot))
            .map(|node| (&node.key, &node.value))
    }

    fn insert_new(&mut self, key: K) -> Slot {
        let node = Node { key, value: V::default(), older: None, newer: None };
        let slot = self.nodes.store(node);
        let hash = self.hasher.hash_one(key);
        let (hasher, nodes) = (&self.hasher, &self.nodes);
        self.index.insert_unique(hash, slot, |&slot| {
            nodes.get(slot).map_or(0, |node| hasher.hash_one(node.key))
        });
        self.link(slot);
        slot
    }

    /// Makes an entry the newest.
    fn touch(&mut self, slot: Slot) {
        if self.newest != Some(slot) {
            self.unlink(slot);
            self.link(slot);
        }
    }

    fn remove_slot(&mut self, slot: Slot) -> Option<(K, V)> {
        self.unlink(slot);
        let node = self.nodes.get_mut(slot)?;
        let key = node.key;
        let value = std::mem::take(&mut node.value);
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.nodes.release(slot);
        Some((key, value))
    }

    fn link(&mut self, slot: Slot) {
        let newest = self.newest.replace(slot);
        self.oldest = self.oldest.or(Some(slot));
        if let Some(node) = self.nodes.get_mut(slot) {
            (node.older, node.newer) = (newest, None);
        }
        if let Some(node) = newest.and_then(|newest| self.nodes.get_mut(newest)) {
            node.newer = Some(slot);
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(node) = self.nodes.get(slot) else { return };
        let (older, newer) = (node.older, node.newer);
        match older.and_then(|older| self.nodes.get_mut(older)) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.nodes.get_mut(newer)) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests;
