//! A bounded table that forgets the least important entry first.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::slot::{PAGE, Slot};

/// A hash table of at most `capacity` entries, each in one of `CLASSES` lists ordered by last use.
///
/// When it is full, the oldest entry of the lowest class makes room, in constant time. Keys are
/// hashed with a seed, because strangers choose them.
#[derive(Debug)]
pub(crate) struct LruTable<K, V, const CLASSES: usize = 1> {
    capacity: usize,
    hasher: FixedState,
    index: HashTable<Slot>,
    pages: Vec<Vec<Node<K, V>>>,
    free: Vec<Slot>,
    lists: [List; CLASSES],
    /// Stands in for a slot that does not exist, which cannot be: there is no panic in here.
    spare: V,
}

#[derive(Debug)]
struct Node<K, V> {
    key: K,
    value: V,
    older: Option<Slot>,
    newer: Option<Slot>,
    class: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct List {
    oldest: Option<Slot>,
    newest: Option<Slot>,
}

impl<K: Copy + Eq + Hash, V: Default, const CLASSES: usize> LruTable<K, V, CLASSES> {
    /// An empty table; memory is taken as entries come.
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            capacity: capacity.clamp(1, u32::MAX as usize - 1),
            hasher: FixedState::with_seed(seed),
            index: HashTable::new(),
            pages: Vec::new(),
            free: Vec::new(),
            lists: [List::default(); CLASSES],
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
        self.index.find(hash, |&slot| self.node(slot).is_some_and(|n| n.key == *key)).copied()
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.value(self.find(key)?)
    }

    /// The value behind a handle.
    pub(crate) fn value(&self, slot: Slot) -> Option<&V> {
        self.node(slot).map(|node| &node.value)
    }

    /// The value behind a handle.
    pub(crate) fn value_mut(&mut self, slot: Slot) -> Option<&mut V> {
        self.node_mut(slot).map(|node| &mut node.value)
    }

    /// The entry of `key`, made when missing (with the default value, in class 0), now the newest of
    /// its class. Tells what had to go for it.
    pub(crate) fn find_or_insert(&mut self, key: K) -> (Slot, Option<(K, V)>) {
        if let Some(slot) = self.find(&key) {
            let class = self.node(slot).map_or(0, |node| node.class);
            self.touch(slot, class);
            return (slot, None);
        }
        let evicted = if self.len() >= self.capacity { self.evict() } else { None };
        (self.insert_new(key), evicted)
    }

    /// The value of `key`, made when missing, now the newest of its class. What has to go for it goes
    /// in silence.
    pub(crate) fn entry(&mut self, key: K) -> &mut V {
        let (slot, _) = self.find_or_insert(key);
        let (page, place) = slot.place();
        let spare = &mut self.spare;
        let page = self.pages.get_mut(page);
        page.and_then(|page| page.get_mut(place)).map_or(spare, |node| &mut node.value)
    }

    /// Makes an entry the newest of `class` (clamped to the highest there is).
    pub(crate) fn touch(&mut self, slot: Slot, class: u8) {
        let class = usize::from(class).min(CLASSES.saturating_sub(1));
        if self.lists.get(class).is_some_and(|list| list.newest == Some(slot)) {
            return;
        }
        self.unlink(slot);
        self.link(slot, class);
    }

    /// Removes the entry of `key`.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.find(key)?;
        self.remove_slot(slot).map(|(_, value)| value)
    }

    /// The oldest entry of the lowest class: what [`LruTable::evict`] would remove.
    pub(crate) fn oldest(&self) -> Option<&V> {
        let slot = self.lists.iter().find_map(|list| list.oldest)?;
        self.value(slot)
    }

    /// Removes the oldest entry of the lowest class.
    pub(crate) fn evict(&mut self) -> Option<(K, V)> {
        let slot = self.lists.iter().find_map(|list| list.oldest)?;
        self.remove_slot(slot)
    }

    /// Removes the oldest entries of every class as long as `done_with` says so, oldest first.
    /// Takes time for what it removes, not for what stays.
    pub(crate) fn expire(&mut self, mut done_with: impl FnMut(&K, &V) -> bool) {
        for class in 0..CLASSES {
            while let Some(slot) = self.lists.get(class).and_then(|list| list.oldest) {
                if !self.node(slot).is_some_and(|node| done_with(&node.key, &node.value)) {
                    break;
                }
                self.remove_slot(slot);
            }
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
        self.pages = Vec::new();
        self.free = Vec::new();
        self.lists = [List::default(); CLASSES];
    }

    /// All entries, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.index.iter().filter_map(|&slot| self.node(slot)).map(|node| (&node.key, &node.value))
    }

    fn insert_new(&mut self, key: K) -> Slot {
        let node = Node { key, value: V::default(), older: None, newer: None, class: 0 };
        let slot = self.store(node);
        let hash = self.hasher.hash_one(key);
        let (hasher, pages) = (&self.hasher, &self.pages);
        self.index.insert_unique(hash, slot, |&slot| {
            node_in(pages, slot).map_or(0, |node| hasher.hash_one(node.key))
        });
        self.link(slot, 0);
        slot
    }

    fn store(&mut self, node: Node<K, V>) -> Slot {
        if let Some(slot) = self.free.pop() {
            if let Some(place) = self.node_mut(slot) {
                *place = node;
            }
            return slot;
        }
        if self.pages.last().is_none_or(|page| page.len() >= PAGE) {
            // The first page grows as needed: most tables of a quiet host stay small.
            let size = if self.pages.is_empty() { 0 } else { PAGE };
            self.pages.push(Vec::with_capacity(size));
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(node);
        }
        let nodes = (self.pages.len() - 1) * PAGE + self.pages.last().map_or(0, Vec::len);
        Slot::new(nodes.saturating_sub(1))
    }

    fn remove_slot(&mut self, slot: Slot) -> Option<(K, V)> {
        self.unlink(slot);
        let node = self.node_mut(slot)?;
        let key = node.key;
        let value = std::mem::take(&mut node.value);
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some((key, value))
    }

    fn link(&mut self, slot: Slot, class: usize) {
        let Some(list) = self.lists.get_mut(class) else {
            return;
        };
        let newest = list.newest.replace(slot);
        if list.oldest.is_none() {
            list.oldest = Some(slot);
        }
        if let Some(node) = self.node_mut(slot) {
            node.older = newest;
            node.newer = None;
            node.class = u8::try_from(class).unwrap_or_default();
        }
        if let Some(node) = newest.and_then(|newest| self.node_mut(newest)) {
            node.newer = Some(slot);
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(node) = self.node(slot) else { return };
        let (older, newer, class) = (node.older, node.newer, usize::from(node.class));
        match older.and_then(|older| self.node_mut(older)) {
            Some(node) => node.newer = newer,
            None => {
                if let Some(list) = self.lists.get_mut(class) {
                    list.oldest = newer;
                }
            }
        }
        match newer.and_then(|newer| self.node_mut(newer)) {
            Some(node) => node.older = older,
            None => {
                if let Some(list) = self.lists.get_mut(class) {
                    list.newest = older;
                }
            }
        }
    }

    fn node(&self, slot: Slot) -> Option<&Node<K, V>> {
        node_in(&self.pages, slot)
    }

    fn node_mut(&mut self, slot: Slot) -> Option<&mut Node<K, V>> {
        let (page, place) = slot.place();
        self.pages.get_mut(page)?.get_mut(place)
    }
}

fn node_in<K, V>(pages: &[Vec<Node<K, V>>], slot: Slot) -> Option<&Node<K, V>> {
    let (page, place) = slot.place();
    pages.get(page)?.get(place)
}

#[cfg(test)]
mod tests;
