//! Answers that hold for a while: whois, names of addresses.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// A bounded map whose entries expire. When it is full, the key that came first goes.
#[derive(Debug)]
pub struct ExpiringMap<K, V> {
    entries: HashMap<K, (V, Instant)>,
    /// In the order they came.
    order: VecDeque<K>,
    most: usize,
}

impl<K: Copy + Eq + Hash, V: Clone> ExpiringMap<K, V> {
    /// Holds at most `most` entries.
    pub fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), most }
    }

    /// The value of a key, while it holds.
    pub fn get(&self, key: &K) -> Option<V> {
        let (value, until) = self.entries.get(key)?;
        (Instant::now() < *until).then(|| value.clone())
    }

    /// Keeps a value for as long as `holds` says.
    pub fn insert(&mut self, key: K, value: V, holds: Duration) {
        if self.entries.insert(key, (value, Instant::now() + holds)).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Entries that are held, expired ones too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
