//! Whether a network may cover an address, in constant time.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr};

use hashbrown::HashTable;
use ipnet::IpNet;

use crate::hash::Seed;
use crate::key::Key;

/// A set of networks that answers "none of them covers this address" with one probe for each prefix
/// length in use: usually one or two, however many networks there are.
///
/// It stands in front of a trie, which is walked only for the addresses that pass.
#[derive(Debug)]
pub(crate) struct NetFilter {
    hasher: Seed,
    /// Fingerprints of the networks. Two networks with the same one cost a walk, nothing else.
    fingerprints: HashTable<u32>,
    /// Prefix lengths in use.
    ipv4: Vec<Length>,
    ipv6: Vec<Length>,
    /// IPv4 networks that share an address with each /8: what is exempt lies in few of them.
    octets: Octets,
}

#[derive(Debug)]
struct Octets([u32; 256]);

impl Default for Octets {
    fn default() -> Self {
        Self([0; 256])
    }
}

#[derive(Debug)]
struct Length {
    prefix: u8,
    mask: Key,
    /// Networks of this length.
    count: usize,
}

impl NetFilter {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            hasher: Seed::new(seed),
            fingerprints: HashTable::new(),
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            octets: Octets::default(),
        }
    }

    /// Adds a network that is not in the set.
    pub(crate) fn insert(&mut self, net: &IpNet) {
        let (key, prefix) = (Key::of(net), net.prefix_len());
        let fingerprint = self.fingerprint(key, prefix);
        self.fingerprints.insert_unique(spread(fingerprint), fingerprint, |&other| spread(other));
        for networks in self.octets.touched(net) {
            *networks = networks.saturating_add(1);
        }
        let lengths = self.lengths_mut(net);
        if let Some(length) = lengths.iter_mut().find(|length| length.prefix == prefix) {
            length.count += 1;
            return;
        }
        let mask = Key::mask(matches!(net, IpNet::V4(_)), prefix);
        lengths.push(Length { prefix, mask, count: 1 });
    }

    /// Removes a network that is in the set.
    pub(crate) fn remove(&mut self, net: &IpNet) {
        let fingerprint = self.fingerprint(Key::of(net), net.prefix_len());
        let entry =
            self.fingerprints.find_entry(spread(fingerprint), |&other| other == fingerprint);
        let Ok(entry) = entry else { return };
        entry.remove();
        for networks in self.octets.touched(net) {
            *networks = networks.saturating_sub(1);
        }
        let lengths = self.lengths_mut(net);
        if let Some(length) = lengths.iter_mut().find(|length| length.prefix == net.prefix_len()) {
            length.count -= 1;
        }
        lengths.retain(|length| length.count > 0);
    }

    /// False when no network of the set covers the address.
    pub(crate) fn may_cover(&self, addr: IpAddr) -> bool {
        let lengths = match addr {
            IpAddr::V4(v4) if self.octets.none(v4) => return false,
            IpAddr::V4(_) => &self.ipv4,
            IpAddr::V6(_) => &self.ipv6,
        };
        let key = Key::of_addr(addr);
        lengths.iter().any(|length| {
            let fingerprint = self.fingerprint(key.masked(length.mask), length.prefix);
            self.fingerprints.find(spread(fingerprint), |&other| other == fingerprint).is_some()
        })
    }

    fn fingerprint(&self, key: Key, prefix: u8) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "half of it")]
        let half = self.hasher.hash_one((key, prefix)) as u32;
        half
    }

    fn lengths_mut(&mut self, net: &IpNet) -> &mut Vec<Length> {
        match net {
            IpNet::V4(_) => &mut self.ipv4,
            IpNet::V6(_) => &mut self.ipv6,
        }
    }
}

/// A hash for the table, which looks at the highest bits and the lowest.
fn spread(fingerprint: u32) -> u64 {
    u64::from(fingerprint).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Octets {
    fn none(&self, addr: Ipv4Addr) -> bool {
        let [first, ..] = addr.octets();
        self.0.get(usize::from(first)) == Some(&0)
    }

    fn touched(&mut self, net: &IpNet) -> impl Iterator<Item = &mut u32> {
        let range = match net {
            IpNet::V4(v4) => {
                let octet = |addr: Ipv4Addr| usize::from(addr.octets()[0]);
                octet(v4.network())..octet(v4.broadcast()) + 1
            }
            IpNet::V6(_) => 0..0,
        };
        self.0.get_mut(range).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests;
