//! Addresses and phones that peers know.

use std::time::Duration;

use ipnet::IpNet;

use super::MAX_KNOWN_PER_HOME;
use super::peers::{PeerId, Peers};
use crate::accounts::Accounts;
use crate::key::Key;
use crate::lru::LruTable;
use crate::{Home, Identity, KnownClass, Timestamp, net};

/// Addresses, and phones: as many as a node itself knows.
const MAX_ELSEWHERE: usize = 131_072;

/// Peers that trust an address, for which it is trusted here.
const TRUSTED_BY: usize = 2;

/// What peers know.
#[derive(Debug)]
pub(crate) struct KnownElsewhere {
    addresses: LruTable<Key, Elsewhere>,
    homes: LruTable<u64, Elsewhere>,
    /// Addresses by phone.
    spread: Accounts,
    /// Networks with such addresses: those that sources are counted by, and /24s and /48s.
    inhabited: LruTable<Key, Timestamp>,
    populated: LruTable<Key, Timestamp>,
}

/// What is known elsewhere, by at most two peers: as many as matter.
#[derive(Clone, Copy, Debug, Default)]
struct Elsewhere([Option<Said>; TRUSTED_BY]);

#[derive(Clone, Copy, Debug)]
struct Said {
    peer: PeerId,
    trusted: bool,
    at: Timestamp,
}

impl Elsewhere {
    /// Of more peers than there is room for, those that trust it stay, then the latest.
    fn note(&mut self, said: Said) {
        let place = match self.0.iter_mut().find(|held| held.is_some_and(|it| it.peer == said.peer))
        {
            Some(place) => Some(place),
            None => self.0.iter_mut().min_by_key(|held| held.map(|it| (it.trusted, it.at))),
        };
        let Some(place) = place else { return };
        let yields = |held: Said| {
            held.peer == said.peer || (held.trusted, held.at) <= (said.trusted, said.at)
        };
        if place.is_none_or(yields) {
            *place = Some(said);
        }
    }

    fn holds(&self, peer: PeerId) -> bool {
        self.0.iter().flatten().any(|said| said.peer == peer)
    }

    fn count(&self, fresh: &Fresh<'_>, only_trusted: bool) -> usize {
        let counts = |said: &&Said| (said.trusted || !only_trusted) && fresh.is(said);
        self.0.iter().flatten().filter(counts).count()
    }
}

/// Whose word counts, and for how long.
pub(crate) struct Fresh<'a> {
    pub(crate) peers: &'a Peers,
    pub(crate) remember: Duration,
    pub(crate) now: Timestamp,
}

impl Fresh<'_> {
    fn is(&self, said: &Said) -> bool {
        self.peers.protects(said.peer) && self.now.since(said.at) < self.remember
    }
}

impl KnownElsewhere {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            addresses: LruTable::new(MAX_ELSEWHERE, seed),
            homes: LruTable::new(MAX_ELSEWHERE, seed),
            spread: Accounts::new(seed),
            inhabited: LruTable::new(MAX_ELSEWHERE, seed),
            populated: LruTable::new(MAX_ELSEWHERE, seed),
        }
    }

    /// The peer is already believed to know the address, and the phone.
    pub(crate) fn holds(&self, host: &Key, home: Option<Home>, peer: PeerId) -> bool {
        let held = |entry: Option<&Elsewhere>| entry.is_some_and(|held| held.holds(peer));
        held(self.addresses.get(host))
            && home.is_none_or(|home| held(self.homes.get(&number(home))))
    }

    /// The phone may be at this address as well.
    pub(crate) fn may_be_at(&mut self, home: Home, host: Key, now: Timestamp) -> bool {
        self.spread.new_address(number(home), host, MAX_KNOWN_PER_HOME, now).within_limit
    }

    /// A peer knows an address.
    pub(crate) fn note(
        &mut self,
        (host, source): (Key, Key),
        (peer, class, home): (PeerId, KnownClass, Option<Home>),
        at: Timestamp,
    ) {
        let said = Said { peer, trusted: class >= KnownClass::Trusted, at };
        self.addresses.entry(host).note(said);
        if let Some(home) = home {
            self.homes.entry(number(home)).note(said);
        }
        for (table, key) in [
            (&mut self.inhabited, source),
            (&mut self.populated, Key::of(&net::wide_net(host.addr()))),
        ] {
            let last = table.entry(key);
            *last = at.max(*last);
        }
    }

    /// A peer no longer knows an address. True when it did.
    pub(crate) fn end(&mut self, host: &Key, peer: PeerId) -> bool {
        let slot = self.addresses.find(host);
        let Some(held) = slot.and_then(|slot| self.addresses.value_mut(slot)) else {
            return false;
        };
        let mut all = held.0.iter_mut();
        all.find(|said| said.is_some_and(|it| it.peer == peer))
            .is_some_and(|it| it.take().is_some())
    }

    /// What an address is by what peers know alone.
    pub(crate) fn identity(&self, host: &Key, fresh: &Fresh<'_>) -> Identity {
        let Some(held) = self.addresses.get(host) else { return Identity::Stranger };
        if held.count(fresh, true) >= TRUSTED_BY {
            Identity::Trusted
        } else if held.count(fresh, false) > 0 {
            Identity::Known
        } else {
            Identity::Stranger
        }
    }

    /// A peer trusts this phone, wherever it was.
    pub(crate) fn trusts(&self, home: Home, fresh: &Fresh<'_>) -> bool {
        self.homes.get(&number(home)).is_some_and(|held| held.count(fresh, true) > 0)
    }

    /// An address of the network is known, by what sources are counted by.
    pub(crate) fn inhabits(&self, source: &Key, fresh: &Fresh<'_>) -> bool {
        let last = self.inhabited.get(source);
        last.is_some_and(|last| fresh.now.since(*last) < fresh.remember)
    }

    /// An address of the /24 or /48 is known.
    pub(crate) fn populates(&self, wide: &Key, fresh: &Fresh<'_>) -> bool {
        let last = self.populated.get(wide);
        last.is_some_and(|last| fresh.now.since(*last) < fresh.remember)
    }

    /// Addresses that peers know.
    pub(crate) fn hosts<'a>(&'a self, fresh: Fresh<'a>) -> impl Iterator<Item = Key> + 'a {
        let known = move |(_, held): &(&Key, &Elsewhere)| held.count(&fresh, false) > 0;
        self.addresses.iter().filter(known).map(|(host, _)| *host)
    }

    /// An address inside `net` that peers know. Looks at all of them, where its /24 or /48 has any.
    pub(crate) fn inside(&self, net: &IpNet, fresh: Fresh<'_>) -> Option<Key> {
        let wide = Key::of(&net::wide_net(net.addr()));
        if net.addr().is_ipv6() && net.prefix_len() >= 48 && !self.populates(&wide, &fresh) {
            return None;
        }
        self.hosts(fresh).find(|host| net.contains(&host.addr()))
    }

    pub(crate) fn expire(&mut self, now: Timestamp, remember: Duration) {
        let old = |held: &Elsewhere| held.0.iter().flatten().all(|it| now.since(it.at) >= remember);
        self.addresses.expire(|_, held| old(held));
        self.homes.expire(|_, held| old(held));
        self.spread.expire(now);
        self.inhabited.expire(|_, last| now.since(*last) >= remember);
        self.populated.expire(|_, last| now.since(*last) >= remember);
    }

    /// Takes over what `other` knows of one address.
    pub(crate) fn copy(&mut self, other: &Self, host: Key) {
        if let Some(held) = other.addresses.get(&host) {
            *self.addresses.entry(host) = *held;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.addresses.len() + self.homes.len()
    }
}

fn number(home: Home) -> u64 {
    u64::from_be_bytes(home.0)
}
