//! Which hosts are slowed down, by which rule, until when.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{RuleName, Timestamp};
use sipward_route::MOST_SLOWED;

/// Hosts remembered at most: as many as can be slowed.
const MOST: usize = MOST_SLOWED;
/// From the end of a host's time until it is forgotten: the kernel must have let it go.
const GRACE: Duration = Duration::from_secs(2);

/// The slowed hosts.
#[derive(Debug, Default)]
pub(crate) struct SlowedHosts {
    all: HashMap<IpNet, SlowedHost>,
    /// The IPv6 addresses for which a /64 is slowed, and until when: others may live there. Not of scanners, who are
    /// counted by their /64.
    sources: HashMap<IpAddr, Timestamp>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowedHost {
    /// The IPv4 address or IPv6 /64.
    pub net: IpNet,
    /// The address for which it is slowed; for scanners any of the host.
    pub source: IpAddr,
    /// The rule that slowed it down.
    pub rule: RuleName,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl SlowedHosts {
    /// Remembers a host, and forgets those whose time is over. False when there is no room.
    pub(super) fn add(&mut self, host: SlowedHost) -> bool {
        if self.all.len() >= MOST {
            self.all.retain(|_, other| other.until > host.since);
        }
        if self.all.len() >= MOST && !self.all.contains_key(&host.net) {
            return false;
        }
        if host.source.is_ipv6() && host.rule != RuleName::Scan {
            if self.sources.len() >= MOST {
                self.sources.retain(|_, until| *until > host.since);
            }
            if self.sources.len() < MOST {
                self.sources.insert(host.source, host.until);
            }
        }
        // The kernel keeps the longest time, too.
        let entry = self.all.entry(host.net).or_insert(host);
        if entry.until <= host.until {
            *entry = host;
        }
        true
    }

    /// The host of an address, if it is slowed down now.
    pub(crate) fn of(&self, address: IpAddr, now: Timestamp) -> Option<SlowedHost> {
        let slowed = self.all.get(&host(address)).filter(|slowed| slowed.until > now)?;
        let source = if self.is_for(address) { address } else { slowed.source };
        Some(SlowedHost { source, ..*slowed })
    }

    /// Whether a host is slowed down.
    pub(super) fn holds(&self, net: IpNet) -> bool {
        self.all.contains_key(&net)
    }

    /// Whether the /64 of an IPv6 address is slowed down because of this address.
    pub(super) fn is_for(&self, address: IpAddr) -> bool {
        self.sources.contains_key(&address)
    }

    /// The hosts' networks.
    pub(super) fn nets(&self) -> impl Iterator<Item = IpNet> {
        self.all.keys().copied()
    }

    /// Forgets those whose time is over. Gives their networks.
    pub(super) fn forget_over(&mut self, now: Timestamp) -> Vec<IpNet> {
        self.sources.retain(|_, until| *until + GRACE > now);
        let over = self.all.extract_if(|_, slowed| slowed.until + GRACE <= now);
        over.map(|(net, _)| net).collect()
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

/// An address as the shield knows it: itself, or its IPv6 /64. What the engine's time of a limit is counted for.
pub(super) use sipward_engine::slowed_net as host;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_limits_the_longer_holds_and_each_address_is_to_blame_for_its_own() {
        let mut hosts = SlowedHosts::default();
        let [one, other, third] =
            [1, 2, 3].map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]));
        let net = host(one);
        let insider = |source, until| SlowedHost {
            net,
            source,
            rule: RuleName::Insider,
            since: at(0),
            until: at(until),
        };
        for slowed in [insider(one, 3_600), insider(other, 4_000), insider(one, 3_900)] {
            assert!(hosts.add(slowed));
        }
        assert_eq!([one, other, third].map(|one| hosts.is_for(one)), [true, true, false]);
        let source = |address| hosts.of(address, at(3_950)).map(|slowed| slowed.source);
        assert_eq!([one, other, third].map(source), [one, other, other].map(Some));
        assert_eq!(hosts.forget_over(at(4_001)), []);
        assert!(!hosts.is_for(one) && hosts.is_for(other));
        assert_eq!(hosts.forget_over(at(4_002)), [net]);
        assert!(!hosts.holds(net) && !hosts.is_for(other));
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn slowed(net: IpNet, rule: RuleName, until: u64) -> SlowedHost {
        SlowedHost { net, source: net.addr(), rule, since: at(0), until: at(until) }
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
