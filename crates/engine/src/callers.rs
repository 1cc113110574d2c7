//! Callers: hosts whose calls the dialplan accepted.

use std::time::Duration;

use crate::Timestamp;
use crate::key::Key;
use crate::lru::LruTable;

/// Callers at once, oldest out first.
const MAX_CALLERS: usize = 65_536;

/// New callers of one network within a day. A /24 has no more hosts; a /48 has any number, and whose network it is
/// must not push out everybody else.
const MAX_PER_NETWORK: u16 = 256;

/// How long an accepted call makes a host a caller.
const CALLER_FOR: Duration = Duration::from_secs(86_400);

/// Hosts, each with the end of its time, and their /24s and /48s.
#[derive(Debug)]
pub(crate) struct Callers {
    hosts: LruTable<Key, Timestamp>,
    networks: LruTable<Key, Network>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Network {
    /// The end of its latest caller.
    until: Timestamp,
    /// New callers, and since when they are counted.
    new: u16,
    since: Timestamp,
}

impl Callers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { hosts: LruTable::new(MAX_CALLERS, seed), networks: LruTable::new(MAX_CALLERS, seed) }
    }

    /// A call of a host in a network was accepted; `shared` where every host of it stands for another one. False
    /// when its network has too many callers already.
    pub(crate) fn accept(&mut self, host: Key, network: Key, shared: bool, now: Timestamp) -> bool {
        let is_new = !self.holds(&host, now);
        let held = self.networks.get(&network).copied().unwrap_or_default();
        let (new, since) = if now.since(held.since) < CALLER_FOR && held.new > 0 {
            (held.new, held.since)
        } else {
            (0, now)
        };
        if is_new && !shared && new >= MAX_PER_NETWORK {
            return false;
        }
        let (until, new) = (now + CALLER_FOR, new.saturating_add(is_new.into()));
        *self.hosts.entry(host) = until;
        *self.networks.entry(network) = Network { until, new, since };
        true
    }

    /// A host is a caller.
    pub(crate) fn holds(&self, host: &Key, now: Timestamp) -> bool {
        self.hosts.get(host).is_some_and(|until| *until > now)
    }

    /// A caller is, or was lately, in a network.
    pub(crate) fn inhabit(&self, network: &Key, now: Timestamp) -> bool {
        self.networks.get(network).is_some_and(|network| network.until > now)
    }

    /// All of them.
    pub(crate) fn hosts(&self, now: Timestamp) -> impl Iterator<Item = Key> {
        self.hosts.iter().filter(move |(_, until)| **until > now).map(|(host, _)| *host)
    }

    /// Takes over what `other` knows of one host.
    pub(crate) fn copy(&mut self, other: &Self, host: Key) {
        if let Some(until) = other.hosts.get(&host) {
            *self.hosts.entry(host) = *until;
        }
    }

    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.hosts.expire(|_, until| *until <= now);
        self.networks.expire(|_, network| network.until <= now);
    }

    pub(crate) fn len(&self) -> usize {
        self.hosts.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::*;
    use crate::net;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn call(callers: &mut Callers, addr: IpAddr, now: Timestamp) -> bool {
        callers.accept(Key::of_addr(addr), Key::of(&net::wide_net(addr)), false, now)
    }

    #[test]
    fn a_network_does_not_push_out_the_callers_of_others() {
        let mut callers = Callers::new(42);
        let carrier: IpAddr = "192.0.2.7".parse().unwrap();
        assert!(call(&mut callers, carrier, NOW));
        let host = |n: u128| IpAddr::from(Ipv6Addr::from_bits(0x2001_0db8 << 96 | n << 64 | 1));
        let taken = (0..70_000).filter(|n| call(&mut callers, host(n % 65_536), NOW)).count();
        assert!(callers.holds(&Key::of_addr(carrier), NOW));
        assert_eq!((callers.len(), taken), (257, 256 + 256), "the first again");
        assert!(call(&mut callers, host(7), NOW + CALLER_FOR), "the next day");
        assert!(!callers.holds(&Key::of_addr(carrier), NOW + CALLER_FOR));
    }
}
