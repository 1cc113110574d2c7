//! Who logged in, and which bans would have hit them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{Text, Timestamp};

/// Addresses with log-ins that are kept: as many as the engine keeps known ones.
const MAX_ADDRESSES: usize = 131_072;

/// The attempt and the registration of one login come within this time: one tick of FreeSWITCH's clock,
/// or the next. Phones register every minute at most.
const ONE_LOGIN: Duration = Duration::from_secs(1);

/// Successes by address.
#[derive(Debug, Default)]
pub(super) struct Logins {
    by_address: BTreeMap<IpAddr, Login>,
    /// All of them, those of addresses that found no room too.
    pub(super) count: u64,
    /// Addresses that found no room, each time.
    pub(super) not_kept: u64,
}

/// An address with a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// The user of the last log-in.
    pub(super) user: Text,
}

impl Logins {
    /// Notes a log-in. False when the event before reported it: FreeSWITCH reports a registration by
    /// two events.
    pub(super) fn note(&mut self, address: IpAddr, user: &str, at: Timestamp) -> bool {
        let full = self.by_address.len() >= MAX_ADDRESSES;
        let user = Text::new(user);
        match self.by_address.entry(address.to_canonical()) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.user == user && at.since(known.last) < ONE_LOGIN {
                    return false;
                }
                (known.last, known.user) = (at, user);
            }
            Entry::Vacant(_) if full => self.not_kept += 1,
            Entry::Vacant(new) => {
                new.insert(Login { first: at, last: at, user });
            }
        }
        self.count += 1;
        true
    }

    pub(super) fn addresses(&self) -> usize {
        self.by_address.len()
    }

    /// Those inside `net`.
    pub(super) fn inside(&self, net: &IpNet) -> impl Iterator<Item = (IpAddr, Login)> {
        let range = self.by_address.range(net.network()..=net.broadcast());
        range.map(|(address, login)| (*address, *login))
    }
}

/// The active bans, each with what it belongs to.
#[derive(Debug, Default)]
pub(super) struct InForce {
    nets: HashMap<IpNet, usize>,
    /// How many nets there are of each prefix length, of IPv6 or not: an address is looked for once in
    /// each.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl InForce {
    pub(super) fn insert(&mut self, net: IpNet, entry: usize) {
        if self.nets.insert(net, entry).is_none() {
            *self.lengths.entry(length(&net)).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, net: &IpNet) {
        if self.nets.remove(net).is_none() {
            return;
        }
        if let Entry::Occupied(mut count) = self.lengths.entry(length(net)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    pub(super) fn get(&self, net: &IpNet) -> Option<usize> {
        self.nets.get(net).copied()
    }

    /// What the narrowest ban of `address` belongs to.
    pub(super) fn covering(&self, address: IpAddr) -> Option<usize> {
        let address = address.to_canonical();
        let own = (address.is_ipv6(), 0)..=(address.is_ipv6(), u8::MAX);
        let lengths = self.lengths.range(own).rev();
        lengths
            .filter_map(|((_, length), _)| Some(IpNet::new(address, *length).ok()?.trunc()))
            .find_map(|net| self.get(&net))
    }
}

fn length(net: &IpNet) -> (bool, u8) {
    (matches!(net, IpNet::V6(_)), net.prefix_len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_narrowest_ban_in_force_covers_an_address() {
        let mut bans = InForce::default();
        for (entry, text) in
            ["192.0.2.0/24", "192.0.2.7/32", "2001:db8:1:2::/64"].iter().enumerate()
        {
            bans.insert(net(text), entry);
        }
        assert_eq!(bans.covering(address("192.0.2.7")), Some(1));
        assert_eq!(bans.covering(address("::ffff:192.0.2.7")), Some(1));
        assert_eq!(bans.covering(address("192.0.2.8")), Some(0));
        assert_eq!(bans.covering(address("2001:db8:1:2::9")), Some(2));
        assert_eq!(bans.covering(address("198.51.100.1")), None);
        bans.remove(&net("192.0.2.7/32"));
        bans.remove(&net("192.0.2.7/32"));
        assert_eq!(bans.covering(address("192.0.2.7")), Some(0));
        bans.remove(&net("192.0.2.0/24"));
        assert_eq!(bans.covering(address("192.0.2.7")), None);
        assert_eq!(bans.lengths.len(), 1, "lengths that nothing has are not looked for");
    }

    #[test]
    fn logins_are_found_by_network() {
        let mut logins = Logins::default();
        let at = Timestamp::from_micros;
        assert!(logins.note(address("192.0.2.7"), "1000", at(1)));
        assert!(!logins.note(address("192.0.2.7"), "1000", at(2)), "the second event of the same");
        assert!(logins.note(address("192.0.2.7"), "1001", at(5)));
        assert!(logins.note(address("192.0.3.7"), "1002", at(2)));
        let found: Vec<_> = logins.inside(&net("192.0.2.0/24")).collect();
        let login = Login { first: at(1), last: at(5), user: Text::new("1001") };
        assert_eq!(found, [(address("192.0.2.7"), login)]);
        assert_eq!((logins.addresses(), logins.count), (2, 3));
    }
}
