//! Whether a network may cover an address, in constant time.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use ipnet::IpNet;

use crate::net;
use crate::sources::Key;

/// A set of networks that answers "none of them covers this address" with one probe for each prefix
/// length in use: usually one or two, however many networks there are.
///
/// It stands in front of a trie, which is walked only for the addresses that pass.
#[derive(Debug, Default)]
pub(crate) struct NetFilter {
    hasher: FixedState,
    /// Fingerprints of the networks. Two networks with the same one cost a walk, nothing else.
    fingerprints: HashTable<u64>,
    /// Prefix lengths in use, and by how many networks.
    ipv4: Vec<(u8, usize)>,
    ipv6: Vec<(u8, usize)>,
}

impl NetFilter {
    pub(crate) fn new(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), ..Self::default() }
    }

    /// Adds a network that is not in the set.
    pub(crate) fn insert(&mut self, net: &IpNet) {
        let fingerprint = self.fingerprint(net);
        self.fingerprints.insert_unique(fingerprint, fingerprint, |&fingerprint| fingerprint);
        let lengths = self.lengths_mut(net);
        match lengths.iter_mut().find(|(length, _)| *length == net.prefix_len()) {
            Some((_, count)) => *count += 1,
            None => lengths.push((net.prefix_len(), 1)),
        }
    }

    /// Removes a network that is in the set.
    pub(crate) fn remove(&mut self, net: &IpNet) {
        let fingerprint = self.fingerprint(net);
        let entry = self.fingerprints.find_entry(fingerprint, |&other| other == fingerprint);
        let Ok(entry) = entry else { return };
        entry.remove();
        let lengths = self.lengths_mut(net);
        if let Some((_, count)) = lengths.iter_mut().find(|(length, _)| *length == net.prefix_len())
        {
            *count -= 1;
        }
        lengths.retain(|(_, count)| *count > 0);
    }

    /// False when no network of the set covers the address.
    pub(crate) fn may_cover(&self, addr: IpAddr) -> bool {
        let lengths = if addr.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        lengths.iter().any(|(length, _)| {
            let fingerprint = self.fingerprint(&net::net_of(addr, *length));
            self.fingerprints.find(fingerprint, |&other| other == fingerprint).is_some()
        })
    }

    fn fingerprint(&self, net: &IpNet) -> u64 {
        self.hasher.hash_one((Key::of(net), net.prefix_len()))
    }

    fn lengths_mut(&mut self, net: &IpNet) -> &mut Vec<(u8, usize)> {
        match net {
            IpNet::V4(_) => &mut self.ipv4,
            IpNet::V6(_) => &mut self.ipv6,
        }
    }
}

#[cfg(test)]
mod tests;
