//! Which of several messages count: of those of one peer with one [`Key`] the one with the greatest `n`.
//!
//! Pure, and the same whatever the order: merging is commutative, associative and idempotent, so messages that
//! arrive twice, late or in another order do no harm. That something has ended is a value like any other.
//!
//! It is bounded by rules that keep these laws, because they do not depend on the order either:
//!
//! * Of more than [`Limits::sites`] sites those whose names come first are kept, and so are the first
//!   [`Limits::nodes`] nodes of a site. Permissions of NATS decide which names there are; this only bounds memory.
//! * A peer has room for [`Limits::per_peer`] keys, or for its share of [`Limits::total`] if that is less: the total
//!   divided by the number of sites, and that by the number of nodes of its site. So neither a peer nor a site that
//!   says too much takes the room of others. What a peer said last, by `n`, is kept.
//!
//! What is forgotten by these rules would not have been kept in any other order of the same messages.
//! [`Merge::prune`] forgets what is so old that no older message can count any more.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Key, Kind, MAX_JUDGEMENT, MAX_KNOWN, MAX_STANDING, MAX_STATUS, Message};
use crate::name::{Name, Peer};

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sites. At least 1.
    pub sites: usize,
    /// Nodes of a site. At least 1.
    pub nodes: usize,
    /// Keys of a peer.
    pub per_peer: usize,
    /// Keys of all peers together, about 150 bytes each. A peer has room for one in any case.
    pub total: usize,
}

impl Default for Limits {
    /// 64 sites, 512 nodes each, 20,000 keys a peer and 1,000,000 in all: at most about 150 MB.
    fn default() -> Self {
        Self { sites: 64, nodes: 512, per_peer: 20_000, total: 1_000_000 }
    }
}

/// What counts, by peer and key.
#[derive(Debug)]
pub struct Merge {
    limits: Limits,
    sites: BTreeMap<Name, Site>,
}

type Site = BTreeMap<Name, Node>;

/// What counts of one peer.
#[derive(Debug, Default)]
struct Node {
    by_key: BTreeMap<Key, Version>,
    /// The same keys, what was said first at the front.
    by_n: BTreeSet<(u64, Key)>,
}

/// Which message of a key this is, the greater one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    n: u64,
    /// Of two different messages with one `n`, which only a faulty peer sends, everybody takes the same.
    hash: u64,
    /// When it was stored, in milliseconds since 1970 by the server's clock.
    stamp: u64,
}

/// What a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It counts now. The keys are forgotten for it: what they stood for no longer counts.
    Newer(Vec<(Peer, Key)>),
    /// It was there already.
    Same,
    /// A newer one is there.
    Older,
    /// There is no room for it.
    Full,
}

impl Merge {
    /// Nothing yet.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, sites: BTreeMap::new() }
    }

    /// Keys of all peers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sites.values().flat_map(Site::values).map(|node| node.by_key.len()).sum()
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// Peers that said something that counts.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        self.sites.iter().flat_map(|(site, nodes)| {
            nodes.keys().map(|node| Peer { site: site.clone(), node: node.clone() })
        })
    }

    /// Takes a message that was stored at `stamp`, in milliseconds since 1970 by the server's clock. `value` is what it
    /// was read from.
    pub fn take(&mut self, message: &Message, value: &[u8], stamp: u64) -> Outcome {
        self.insert(
            &message.from,
            &message.body.key(),
            Version { n: message.n, hash: hash(value), stamp },
        )
    }

    fn insert(&mut self, peer: &Peer, key: &Key, version: Version) -> Outcome {
        let Limits { sites: max_sites, nodes: max_nodes, .. } = self.limits;
        if is_beyond(&self.sites, &peer.site, max_sites) {
            return Outcome::Full;
        }
        let site = self.sites.entry(peer.site.clone()).or_default();
        if is_beyond(site, &peer.node, max_nodes) {
            return Outcome::Full;
        }
        let nodes = site.len();
        let node = site.entry(peer.node.clone()).or_default();
        let is_new_peer = node.by_key.is_empty();
        if let Some(there) = node.by_key.get_mut(key) {
            let same = there.n == version.n && there.hash == version.hash;
            if *there >= version {
                return if same { Outcome::Same } else { Outcome::Older };
            }
            let before = std::mem::replace(there, version);
            if same {
                return Outcome::Same;
            }
            node.by_n.remove(&(before.n, key.clone()));
        } else {
            node.by_key.insert(key.clone(), version);
        }
        node.by_n.insert((version.n, key.clone()));
        let mut forgotten = Vec::new();
        if is_new_peer {
            if nodes + 1 > max_nodes {
                site.pop_last().into_iter().for_each(|(name, node)| {
                    forget(&peer.site, &name, node.by_key.into_keys(), &mut forgotten);
                });
            }
            self.bound_sites(&mut forgotten);
            self.trim_all(&mut forgotten);
        } else {
            self.trim(peer, &mut forgotten);
        }
        // Then it is older than all that is kept, and nothing else went for it.
        if forgotten.iter().any(|(from, lost)| from == peer && lost == key) {
            return Outcome::Full;
        }
        Outcome::Newer(forgotten)
    }

    fn bound_sites(&mut self, forgotten: &mut Vec<(Peer, Key)>) {
        while self.sites.len() > self.limits.sites {
            let Some((site, nodes)) = self.sites.pop_last() else { return };
            for (name, node) in nodes {
                forget(&site, &name, node.by_key.into_keys(), forgotten);
            }
        }
    }

    /// Room for each node of a site with so many nodes.
    fn room(&self, nodes: usize) -> usize {
        let share = self.limits.total / self.sites.len().max(1) / nodes.max(1);
        share.min(self.limits.per_peer).max(1)
    }

    fn trim(&mut self, peer: &Peer, forgotten: &mut Vec<(Peer, Key)>) {
        let Some(nodes) = self.sites.get(&peer.site).map(BTreeMap::len) else { return };
        let room = self.room(nodes);
        if let Some(node) = self.sites.get_mut(&peer.site).and_then(|site| site.get_mut(&peer.node))
        {
            forget(&peer.site, &peer.node, node.trim(room), forgotten);
        }
    }

    /// A new peer makes the shares of others smaller.
    fn trim_all(&mut self, forgotten: &mut Vec<(Peer, Key)>) {
        let rooms: Vec<usize> = self.sites.values().map(|site| self.room(site.len())).collect();
        for ((site, nodes), room) in self.sites.iter_mut().zip(rooms) {
            for (name, node) in nodes {
                forget(site, name, node.trim(room), forgotten);
            }
        }
    }

    /// Forgets what was stored so long before `now` (milliseconds since 1970 by the server's clock) that it no longer
    /// counts, and neither would anything said before it. Call it about every minute.
    pub fn prune(&mut self, now: u64) {
        for nodes in self.sites.values_mut() {
            for node in nodes.values_mut() {
                let Node { by_key, by_n } = node;
                by_key.retain(|key, version| {
                    let keep = now.saturating_sub(version.stamp) <= memory(key.kind());
                    if !keep {
                        by_n.remove(&(version.n, key.clone()));
                    }
                    keep
                });
            }
            nodes.retain(|_, node| !node.by_key.is_empty());
        }
        self.sites.retain(|_, nodes| !nodes.is_empty());
    }
}

impl Node {
    fn trim(&mut self, room: usize) -> impl Iterator<Item = Key> + use<> {
        let mut lost = Vec::new();
        while self.by_key.len() > room {
            let Some((_, key)) = self.by_n.pop_first() else { break };
            self.by_key.remove(&key);
            lost.push(key);
        }
        lost.into_iter()
    }
}

/// Whether there is no room for a new name: all that are there come before it.
fn is_beyond<T>(map: &BTreeMap<Name, T>, name: &Name, max: usize) -> bool {
    map.len() >= max && map.last_key_value().is_some_and(|(last, _)| name > last)
}

fn forget(
    site: &Name,
    node: &Name,
    keys: impl Iterator<Item = Key>,
    forgotten: &mut Vec<(Peer, Key)>,
) {
    let peer = Peer { site: site.clone(), node: node.clone() };
    forgotten.extend(keys.map(|key| (peer.clone(), key)));
}

/// How many milliseconds a message can count, and so how long the one that took its place is remembered.
fn memory(kind: Kind) -> u64 {
    let longest = match kind {
        Kind::Ban | Kind::Lift | Kind::Veto => MAX_STANDING,
        Kind::Peer => MAX_JUDGEMENT,
        Kind::Known => MAX_KNOWN,
        Kind::Node => MAX_STATUS,
    };
    u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)
}

/// FNV-1a: the same on every node and in every version.
fn hash(value: &[u8]) -> u64 {
    value.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
