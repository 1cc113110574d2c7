//! Healthy hosts and the reasons: one table of the addresses that no limit for strangers may affect.
//!
//! It is complete, or names its unknown parts: limits for strangers must then be less strict.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use sipward_engine::{Exemption, Timestamp};

use super::phones::Phones;

/// The table. The engine's task owns it, so that reading it needs no lock.
#[derive(Debug)]
pub struct Protected {
    exempt: BTreeMap<Exemption, BTreeMap<IpNet, Timestamp>>,
    /// Names of gateways.
    gateways: BTreeMap<IpAddr, String>,
    /// Active registrations.
    pub phones: Phones,
    unknown: BTreeSet<Part>,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address, or a network of an access list or of `allow`.
    pub net: IpNet,
    /// Why it is here. A network that is here for several reasons has a line for each.
    pub reason: Reason,
    /// Since when, in this run of the daemon.
    pub since: Timestamp,
    /// Live registrations there: users, each counted once at each address. 0 for a network.
    pub registrations: u32,
}

/// Why an address is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is never banned.
    Exempt(Exemption),
    /// A user is registered from there now.
    Registered,
}

/// A part of the table that comes from FreeSWITCH, or from a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The registered users.
    Registrations,
    /// Where the gateways are.
    Trunks,
    /// Whom the access lists allow.
    AccessLists,
}

impl Part {
    pub const ALL: [Self; 3] = [Self::Registrations, Self::Trunks, Self::AccessLists];

    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registrations => "registrations",
            Self::Trunks => "gateways",
            Self::AccessLists => "access lists",
        }
    }
}

impl Protected {
    /// An empty table, of which nothing is known yet.
    pub fn new() -> Self {
        Self {
            exempt: BTreeMap::new(),
            gateways: BTreeMap::new(),
            phones: Phones::new(),
            unknown: Part::ALL.into(),
        }
    }

    /// Replaces the networks of one class. Those that were there before keep their age.
    pub fn exempt(&mut self, class: Exemption, nets: &[IpNet], now: Timestamp) {
        let before = self.exempt.remove(&class).unwrap_or_default();
        let since = |net: &IpNet| before.get(net).copied().unwrap_or(now);
        let nets = nets.iter().map(IpNet::trunc).map(|net| (net, since(&net))).collect();
        self.exempt.insert(class, nets);
    }

    /// Replaces the names of the gateways by their addresses.
    pub fn name_gateways(&mut self, names: BTreeMap<IpAddr, String>) {
        self.gateways = names;
    }

    /// The names of the gateways at an address.
    pub fn gateways_at(&self, address: IpAddr) -> Option<&str> {
        self.gateways.get(&address.to_canonical()).map(String::as_str)
    }

    /// Whether all of a part is known.
    pub fn know(&mut self, part: Part, whole: bool) {
        if whole {
            self.unknown.remove(&part);
        } else {
            self.unknown.insert(part);
        }
    }

    /// The parts of which something is missing; none when the table is complete.
    pub fn unknown(&self) -> impl Iterator<Item = Part> {
        let lost = (self.phones.is_incomplete() && !self.unknown.contains(&Part::Registrations))
            .then_some(Part::Registrations);
        self.unknown.iter().copied().chain(lost)
    }

    /// The exempt networks with their classes.
    pub fn exempt_nets(&self) -> impl Iterator<Item = (Exemption, IpNet)> {
        self.exempt.iter().flat_map(|(class, nets)| nets.keys().map(|net| (*class, *net)))
    }

    /// Every line, exempt networks first.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let exempt = self.exempt.iter().flat_map(|(class, nets)| {
            nets.iter().map(|(net, since)| Entry {
                net: *net,
                reason: Reason::Exempt(*class),
                since: *since,
                registrations: if is_host(net) { self.phones.at(net.addr()) } else { 0 },
            })
        });
        let registered = self.phones.addresses().map(|(address, since, registrations)| Entry {
            net: address.into(),
            reason: Reason::Registered,
            since,
            registrations,
        });
        exempt.chain(registered)
    }

    /// Why hosts inside `net`, or around it, are in the table: each class once, then whether a user is registered
    /// there. For a check before a ban.
    pub fn touching(&self, net: &IpNet) -> Vec<Entry> {
        let touches = |other: &IpNet| net.contains(other) || other.contains(net);
        let mut found: Vec<Entry> = Vec::new();
        for entry in self.entries().filter(|entry| touches(&entry.net)) {
            match found.iter_mut().find(|known| known.reason == entry.reason) {
                // Of several, how many are registered in all.
                Some(known) => known.registrations += entry.registrations,
                None => found.push(entry),
            }
        }
        found
    }
}

fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

#[cfg(test)]
mod tests {
    use super::super::phones::Phone;
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn nets(nets: &[&str]) -> Vec<IpNet> {
        nets.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn it_says_what_it_does_not_know() {
        let mut table = Protected::new();
        assert_eq!(table.unknown().collect::<Vec<_>>(), Part::ALL);
        for part in Part::ALL {
            table.know(part, true);
        }
        assert_eq!(table.unknown().count(), 0);
        table.know(Part::Trunks, false);
        assert_eq!(table.unknown().collect::<Vec<_>>(), [Part::Trunks]);
    }

    #[test]
    fn each_line_has_its_reason_its_age_and_its_registrations() {
        let mut table = Protected::new();
        table.exempt(Exemption::Trunk, &nets(&["192.0.2.1/32", "192.0.2.2/32"]), at(10));
        table.exempt(Exemption::Trunk, &nets(&["192.0.2.2/32", "192.0.2.3/32"]), at(20));
        table.exempt(Exemption::Acl, &nets(&["192.0.2.0/24"]), at(30));
        let phone = |user, address: &str, call_id| Phone {
            user,
            domain: "pbx.test",
            source: address.parse().unwrap(),
            call_id,
            port: None,
        };
        table.phones.registered(&phone("1000", "192.0.2.3", "a"), None, at(40));
        table.phones.registered(&phone("1001", "192.0.2.3", "b"), None, at(41));
        table.phones.registered(&phone("1001", "192.0.2.77", "c"), None, at(42));
        let all: Vec<_> = table
            .entries()
            .map(|entry| (entry.net.to_string(), entry.reason, entry.since, entry.registrations))
            .collect();
        assert_eq!(
            all[..3],
            [
                ("192.0.2.2/32".to_owned(), Reason::Exempt(Exemption::Trunk), at(10), 0),
                ("192.0.2.3/32".to_owned(), Reason::Exempt(Exemption::Trunk), at(20), 2),
                ("192.0.2.0/24".to_owned(), Reason::Exempt(Exemption::Acl), at(30), 0),
            ]
        );
        let mut registered = all[3..].to_vec();
        registered.sort();
        assert_eq!(
            registered,
            [
                ("192.0.2.3/32".to_owned(), Reason::Registered, at(40), 2),
                ("192.0.2.77/32".to_owned(), Reason::Registered, at(42), 1),
            ]
        );
        let touching = table.touching(&"192.0.2.3/32".parse().unwrap());
        let reasons: Vec<_> =
            touching.iter().map(|entry| (entry.reason, entry.registrations)).collect();
        assert_eq!(
            reasons,
            [
                (Reason::Exempt(Exemption::Trunk), 2),
                (Reason::Exempt(Exemption::Acl), 0),
                (Reason::Registered, 2)
            ]
        );
        let around = table.touching(&"192.0.0.0/16".parse().unwrap());
        assert_eq!(around.iter().map(|entry| entry.registrations).max(), Some(3), "in all");
        assert!(table.touching(&"198.51.100.0/24".parse().unwrap()).is_empty());
    }
}
