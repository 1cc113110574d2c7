//! Which hosts are slowed down, by which rule, until when.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use sipward_engine::{RuleName, Timestamp};

/// Hosts remembered at most: of scanners there are 100 more every ten seconds at most, for ten minutes each. Those
/// beyond are slowed, but `why` does not say so.
const MOST: usize = 8_192;

/// The slowed hosts.
#[derive(Debug, Default)]
pub(crate) struct SlowedHosts {
    all: HashMap<IpNet, SlowedHost>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowedHost {
    /// The IPv4 address or IPv6 /64.
    pub net: IpNet,
    /// The rule that slowed it down.
    pub rule: RuleName,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl SlowedHosts {
    /// Remembers a host, and forgets those whose time is over.
    pub(super) fn add(&mut self, host: SlowedHost) {
        if self.all.len() >= MOST {
            self.all.retain(|_, other| other.until > host.since);
        }
        if self.all.len() < MOST || self.all.contains_key(&host.net) {
            self.all.insert(host.net, host);
        }
    }

    /// The host of an address, if it is slowed down now.
    pub(crate) fn of(&self, address: IpAddr, now: Timestamp) -> Option<SlowedHost> {
        self.all.get(&host(address)).copied().filter(|slowed| slowed.until > now)
    }

    /// Forgets the host of an address if `rule` slowed it down. Gives its network.
    pub(super) fn forget(&mut self, address: IpAddr, rule: RuleName) -> Option<IpNet> {
        let net = host(address);
        let is_by_rule = self.all.get(&net).is_some_and(|slowed| slowed.rule == rule);
        (is_by_rule && self.all.remove(&net).is_some()).then_some(net)
    }

    /// Forgets the host of an address, whatever slowed it down.
    pub(super) fn end(&mut self, address: IpAddr) {
        self.all.remove(&host(address));
    }

    /// Forgets all that `rule` slowed down. Gives their networks.
    pub(super) fn forget_all(&mut self, rule: RuleName) -> Vec<IpNet> {
        let gone = self.all.extract_if(|_, slowed| slowed.rule == rule);
        gone.map(|(net, _)| net).collect()
    }
}

/// An address as the shield knows it: itself, or its IPv6 /64.
pub(super) fn host(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => IpNet::from(IpAddr::from(address)),
        IpAddr::V6(address) => Ipv6Net::new_assert(address, 64).trunc().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn slowed(net: IpNet, rule: RuleName, until: u64) -> SlowedHost {
        SlowedHost { net, rule, since: at(0), until: at(until) }
    }

    #[test]
    fn a_host_is_slowed_until_its_time_is_over() {
        let mut hosts = SlowedHosts::default();
        let address: IpAddr = "2001:db8:66::7".parse().unwrap();
        hosts.add(slowed(host(address), RuleName::Scan, 600));
        assert!(hosts.of("2001:db8:66::8".parse().unwrap(), at(599)).is_some(), "its /64");
        assert!(hosts.of(address, at(600)).is_none());
        assert_eq!(hosts.forget(address, RuleName::Insider), None);
        assert_eq!(hosts.forget(address, RuleName::Scan), Some(host(address)));
        assert!(hosts.of(address, at(1)).is_none());
    }

    #[test]
    fn there_is_room_for_so_many_and_those_whose_time_is_over_give_way() {
        let mut hosts = SlowedHosts::default();
        let most = u32::try_from(MOST).unwrap();
        let net = |n: u32| host(IpAddr::from(n.to_be_bytes()));
        for n in 0..=most {
            hosts.add(slowed(net(n), RuleName::Scan, 600));
        }
        assert_eq!(hosts.all.len(), MOST);
        let late = SlowedHost { since: at(601), ..slowed(net(most), RuleName::Insider, 1_201) };
        hosts.add(late);
        assert_eq!(hosts.all.len(), 1);
        assert_eq!(hosts.forget_all(RuleName::Scan), []);
        assert_eq!(hosts.forget_all(RuleName::Insider), [net(most)]);
    }
}
