//! The table of healthy hosts, and what of it has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Admission, Admitted, MOST_HEALTHY};

/// Hosts of one network at most.
const MOST_OF_A_NETWORK: u32 = 256;
/// Registrations of a host that count: more change nothing that a host could send.
const MOST_REGISTRATIONS: u32 = 1_000;

/// A host as the shield's sets know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 /64, by its first address.
    V6(Ipv6Addr),
}

/// A host whose place in the kernel may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    /// Its registrations, at least 1; `None` for a stranger.
    pub(crate) registrations: Option<u32>,
}

/// The healthy hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// With their registrations.
    table: HashMap<Key, u32>,
    /// Hosts without a registration, the earliest first, and the place of each among them.
    known: BTreeMap<u64, Key>,
    places: HashMap<Key, u64>,
    next: u64,
    changed: BTreeSet<Key>,
}

impl Hosts {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn admit(&mut self, key: Key, registrations: u32) -> Admission {
        let registrations = registrations.min(MOST_REGISTRATIONS);
        let mut admission = Admission::Admitted;
        if let Some(before) = self.table.get(&key) {
            if *before == registrations {
                return admission;
            }
            self.remove(key);
        } else if self.table.len() >= MOST_HEALTHY {
            let Some((_, oldest)) = self.known.first_key_value().filter(|_| registrations > 0)
            else {
                return Admission::Full;
            };
            self.remove(*oldest);
            admission = Admission::Replaced;
        }
        if registrations == 0 {
            self.give_place(key);
        }
        self.table.insert(key, registrations);
        self.changed.insert(key);
        admission
    }

    pub(super) fn remove(&mut self, key: Key) {
        if self.table.remove(&key).is_some() {
            if let Some(place) = self.places.remove(&key) {
                self.known.remove(&place);
            }
            self.changed.insert(key);
        }
    }

    /// Replaces all of them. What stays as it was is not changed.
    pub(super) fn replace(&mut self, hosts: impl IntoIterator<Item = (IpNet, u32)>) -> Admitted {
        // The list may be the longest thing that the process ever holds: it becomes the table, and beside it
        // are only the hosts without a registration.
        let mut fresh: HashMap<Key, u32> = HashMap::new();
        let (mut idle, mut registered, mut left_out) = (Vec::new(), 0, 0);
        for (net, registrations) in hosts {
            let Some(keys) = keys(net) else {
                left_out += 1;
                continue;
            };
            let registrations = registrations.min(MOST_REGISTRATIONS);
            for key in keys {
                let before = fresh.get(&key).copied();
                if registrations > 0 && before.unwrap_or_default() == 0 {
                    if registered >= MOST_HEALTHY {
                        left_out += usize::from(before.is_none());
                        continue;
                    }
                    registered += 1;
                }
                if registrations == 0 && before.is_none() {
                    idle.push(key);
                }
                fresh.insert(key, registrations.max(before.unwrap_or_default()));
            }
        }
        idle.retain(|key| fresh.get(key) == Some(&0));
        for key in idle.drain(idle.len().min(MOST_HEALTHY - registered)..) {
            fresh.remove(&key);
            left_out += 1;
        }
        self.become_table(fresh, &idle);
        Admitted { hosts: self.table.len(), left_out }
    }

    /// Takes `fresh` as the table; `idle` are its hosts without a registration, in the order in which they
    /// were admitted.
    fn become_table(&mut self, fresh: HashMap<Key, u32>, idle: &[Key]) {
        let gone = self.table.keys().filter(|key| !fresh.contains_key(key));
        self.changed.extend(gone);
        let is_new = |(key, registrations): &(&Key, &u32)| {
            self.table.get(key).is_none_or(|before| before != *registrations)
        };
        self.changed.extend(fresh.iter().filter(is_new).map(|(key, _)| key));
        self.table = fresh;
        let table = &self.table;
        self.places.retain(|key, _| table.get(key) == Some(&0));
        let places = &self.places;
        self.known.retain(|_, key| places.contains_key(key));
        for key in idle {
            if !self.places.contains_key(key) {
                self.give_place(*key);
            }
        }
    }

    fn give_place(&mut self, key: Key) {
        self.next += 1;
        self.known.insert(self.next, key);
        self.places.insert(key, self.next);
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn take_changed(&mut self, most: usize) -> Vec<Wanted> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(key) = self.changed.pop_first()
        {
            let registrations = self.table.get(&key).map(|registrations| (*registrations).max(1));
            taken.push(Wanted { key, registrations });
        }
        taken
    }

    pub(super) fn mark_all(&mut self, also: impl IntoIterator<Item = Key>) {
        self.changed.extend(self.table.keys().copied());
        self.changed.extend(also);
    }
}

impl Key {
    /// The key of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }
    }

    /// The network of the host.
    pub(crate) fn net(self) -> IpNet {
        match self {
            Self::V4(address) => ipnet::Ipv4Net::from(address).into(),
            Self::V6(address) => ipnet::Ipv6Net::new_assert(address, 64).into(),
        }
    }
}

/// The hosts of a network; `None` when they are too many.
pub(super) fn keys(net: IpNet) -> Option<Vec<Key>> {
    let net = net.trunc();
    let length = match net {
        IpNet::V4(_) => 32,
        IpNet::V6(_) => 64,
    };
    let count = 1_u32.checked_shl(u32::from(length.max(net.prefix_len()) - net.prefix_len()))?;
    if count > MOST_OF_A_NETWORK {
        return None;
    }
    let key = |n: u32| match net {
        IpNet::V4(net) => Key::V4(Ipv4Addr::from_bits(net.network().to_bits() | n)),
        IpNet::V6(net) => {
            Key::of(Ipv6Addr::from_bits(net.network().to_bits() | u128::from(n) << 64).into())
        }
    };
    Some((0..count).map(key).collect())
}
