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
    table: HashMap<Key, Host>,
    /// Hosts without a registration, the earliest first.
    known: BTreeMap<u64, Key>,
    next: u64,
    changed: BTreeSet<Key>,
}

#[derive(Clone, Copy, Debug)]
struct Host {
    registrations: u32,
    /// Its place among `known`.
    place: Option<u64>,
}

impl Hosts {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn admit(&mut self, key: Key, registrations: u32) -> Admission {
        let registrations = registrations.min(MOST_REGISTRATIONS);
        let mut admission = Admission::Admitted;
        if let Some(before) = self.table.get(&key) {
            if before.registrations == registrations {
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
        let place = (registrations == 0).then(|| {
            self.next += 1;
            self.known.insert(self.next, key);
            self.next
        });
        self.table.insert(key, Host { registrations, place });
        self.changed.insert(key);
        admission
    }

    pub(super) fn remove(&mut self, key: Key) {
        if let Some(host) = self.table.remove(&key) {
            if let Some(place) = host.place {
                self.known.remove(&place);
            }
            self.changed.insert(key);
        }
    }

    /// Replaces all of them. What stays as it was is not changed.
    pub(super) fn replace(&mut self, hosts: impl IntoIterator<Item = (IpNet, u32)>) -> Admitted {
        let mut left_out = 0;
        let mut fresh: HashMap<Key, (u32, usize)> = HashMap::new();
        for (order, (net, registrations)) in hosts.into_iter().enumerate() {
            let Some(keys) = keys(net) else {
                left_out += 1;
                continue;
            };
            for key in keys {
                let host = fresh.entry(key).or_insert((0, order));
                host.0 = host.0.max(registrations);
            }
        }
        let mut fresh: Vec<_> = fresh.into_iter().collect();
        fresh.sort_unstable_by_key(|(_, (registrations, order))| (*registrations == 0, *order));
        left_out += fresh.len().saturating_sub(MOST_HEALTHY);
        fresh.truncate(MOST_HEALTHY);
        let stays: HashMap<Key, (u32, usize)> = fresh.iter().copied().collect();
        let gone: Vec<Key> =
            self.table.keys().filter(|key| !stays.contains_key(key)).copied().collect();
        for key in gone {
            self.remove(key);
        }
        for (key, (registrations, _)) in fresh {
            self.admit(key, registrations);
        }
        Admitted { hosts: self.table.len(), left_out }
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn take_changed(&mut self, most: usize) -> Vec<Wanted> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(key) = self.changed.pop_first()
        {
            let host = self.table.get(&key);
            taken.push(Wanted { key, registrations: host.map(|host| host.registrations.max(1)) });
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
