//! What other nodes say, and what of it is believed.
//!
//! Made by the first input about a fleet: an engine without one has a null pointer.
//!
//! Everything that peers say is kept, with its end, whether it is done or not, and what stands follows from what is
//! kept alone: after each change of a peer, an assertion, a lift, a veto, an exemption, an identity, or a ban of this
//! node, the networks concerned are settled anew (`engine/fleet`). So the order in which the same messages come does
//! not matter, and what was withheld for a while is made when the reason goes.
//!
//! | module | holds |
//! |---|---|
//! | `peers` | by name: mode, weight, bounds and whether they were broken |
//! | `assertions` | the bans that stand elsewhere, by network |
//! | `lifts` | what operators have lifted |
//! | `vetoes` | networks that peers exempt |
//! | `known` | addresses and phones that peers know |
//! | `pace` | how much somebody may say within a minute or an hour |
//!
//! After a restart the stream of the fleet says again what stands, so the store keeps little: bans with
//! [`crate::Cause::Remote`] as any others ([`crate::Input::Restore`] makes an assertion of each, which the stream then
//! confirms or ends, so that their routes are no strangers' in between); the peers in shadow
//! ([`crate::Alarm::PeerShadowed`], handed back as [`crate::Input::Shadowed`]); and the lifts by [`crate::Input::Unban`]
//! of this node alone ([`crate::Engine::fleet_lifts`], to be handed back as [`crate::Input::Lift`] with what is left of
//! their hold, before the stream is read). What operators say of peers, fleet-wide lifts, vetoes and known phones are in
//! the stream.

mod assertions;
mod known;
mod lifts;
mod pace;
mod peers;
mod vetoes;
mod views;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use self::assertions::Assertions;
use self::known::KnownElsewhere;
use self::lifts::Lifts;
use self::peers::Peers;
use crate::offenders::Offenders;
use crate::{Cause, FleetSettings, Quorum, Refusal, ShadowedBecause, Timestamp};

pub(crate) use self::assertions::{Assertion, News};
pub(crate) use self::known::Fresh;
pub(crate) use self::lifts::CLOCKS_DIFFER;
pub(crate) use self::peers::{Peer, PeerId};
pub(crate) use self::vetoes::Vetoes;
pub use views::{AssertionView, KnownToShare, LiftView, PeerView, RefusedByReason, RemoteOutcome};

/// Peers of a node. What further ones say is refused ([`crate::Refusal::PeerBudget`]).
pub const MAX_PEERS: usize = 1_000;

/// Bans that a peer may decide within a minute.
pub const MAX_ASSERTIONS_PER_MINUTE: u32 = 600;

/// Bans of a peer that may stand, and vetoes of it that are kept.
pub const MAX_ASSERTIONS: usize = 10_000;

/// Longest time for which a peer is believed that a ban stands without saying so again.
pub const MAX_REMAINING: Duration = Duration::from_secs(86_400);

/// How long nothing that peers say is made of what an operator of this node unbans.
pub const LIFT_HOLD: Duration = Duration::from_secs(3_600);

/// Addresses that a peer may newly know within an hour.
pub const MAX_KNOWN_PER_HOUR: u32 = 1_000;

/// New addresses of one user that are believed within a day.
pub const MAX_KNOWN_PER_HOME: u32 = 5;

/// Bans of the peers that count towards the length of a ban of this node, beyond its own.
pub const MAX_REMOTE_COUNT: u32 = 3;

/// Peers, and sites of theirs, that it takes to ban more than a single source.
const WIDE: (usize, usize) = (3, 2);

/// Bans that stand elsewhere, of all peers. What further ones say is refused.
const MAX_IN_ALL: usize = 524_288;

/// What is held of a fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) settings: Option<FleetSettings>,
    pub(crate) peers: Peers,
    pub(crate) assertions: Assertions,
    pub(crate) lifts: Lifts,
    pub(crate) vetoes: Vetoes,
    pub(crate) known: KnownElsewhere,
    /// Bans of each source at the peers.
    pub(crate) offenders: Offenders,
}

/// A ban on which enough peers agree.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    /// Until when they do.
    pub(crate) until: Timestamp,
    /// What the one says whose ban lasts longest.
    pub(crate) cause: Arc<Cause>,
    /// Most bans of the source at one of them.
    pub(crate) count: u32,
}

impl Fleet {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            settings: None,
            peers: Peers::default(),
            assertions: Assertions::default(),
            lifts: Lifts::default(),
            vetoes: Vetoes::default(),
            known: KnownElsewhere::new(seed),
            offenders: Offenders::new(seed),
        }
    }

    /// Whose word counts.
    pub(crate) fn fresh(&self, remember: Duration, now: Timestamp) -> Fresh<'_> {
        Fresh { peers: &self.peers, remember, now }
    }

    /// Takes in a ban of a peer, which is not older than the one that is there. Tells whether it is kept, and the bound
    /// that the peer breaks with it, if it had broken none before.
    pub(crate) fn assert(
        &mut self,
        net: IpNet,
        assertion: Assertion,
        hit: bool,
        now: Timestamp,
    ) -> (bool, Option<ShadowedBecause>) {
        let news = self.assertions.news(&net, assertion.peer, assertion.n);
        let full = news == News::New && self.assertions.len() >= MAX_IN_ALL;
        let Some(peer) = self.peers.get_mut(assertion.peer).filter(|_| !full) else {
            return (false, None);
        };
        let mut broken = None;
        if news != News::Same
            && let Err(because) = peer.note_ban(assertion.decided, news == News::New, hit, now)
        {
            broken = peer.is_believed().then_some(because);
            peer.shadowed.get_or_insert((because, now));
            if because != ShadowedBecause::HitsKnown {
                return (false, broken);
            }
        }
        peer.standing += usize::from(news == News::New);
        self.assertions.put(net, assertion);
        (true, broken)
    }

    /// Takes in a ban of a peer from before a restart.
    pub(crate) fn restore(&mut self, net: IpNet, assertion: Assertion) {
        let new = self.assertions.news(&net, assertion.peer, assertion.n) == News::New;
        if let Some(peer) = self.peers.get_mut(assertion.peer).filter(|_| new) {
            peer.standing += 1;
        }
        self.assertions.put(net, assertion);
    }

    /// Takes out a ban that its peer has ended. True when there was one.
    pub(crate) fn end(&mut self, net: &IpNet, peer: PeerId, n: u64) -> bool {
        let ended = self.assertions.end(net, peer, n);
        if let Some(peer) = self.peers.get_mut(peer).filter(|_| ended) {
            peer.standing = peer.standing.saturating_sub(1);
        }
        ended
    }

    /// Forgets the bans whose end has come. Those that are made here end by themselves.
    pub(crate) fn expire_assertions(&mut self, now: Timestamp) {
        while let Some(peer) = self.assertions.pop_over(now) {
            if let Some(peer) = self.peers.get_mut(peer) {
                peer.standing = peer.standing.saturating_sub(1);
            }
        }
    }

    pub(crate) fn expire(&mut self, now: Timestamp, remember: Duration) {
        self.expire_assertions(now);
        self.lifts.expire(now);
        self.known.expire(now, remember);
        self.offenders.expire(now);
    }

    /// Nothing is left that time would change.
    pub(crate) fn is_empty(&self) -> bool {
        let kept = self.assertions.len() + self.lifts.len() + self.known.len();
        kept + self.offenders.len() == 0
    }

    /// What the peers agree on about `net`; `None` when none says anything. Vetoes, exemptions and identities are
    /// another matter.
    pub(crate) fn agreed(&self, net: &IpNet, now: Timestamp) -> Option<Result<Agreed, Refusal>> {
        let standing = self.assertions.of(net).iter().filter(|it| it.until > now);
        let all: Vec<(&Assertion, &Peer)> =
            standing.filter_map(|it| Some((it, self.peers.get(it.peer)?))).collect();
        if all.is_empty() {
            return None;
        }
        let mut said: Vec<_> = all.into_iter().filter(|(_, peer)| peer.is_believed()).collect();
        if said.is_empty() {
            return Some(Err(Refusal::PeerShadowed));
        }
        let mut lifted = None;
        said.retain(|(it, _)| {
            let against = self.lifts.against(net, it.decided, now);
            lifted = lifted.or(against);
            against.is_none()
        });
        // The last to end first: as soon as enough are counted, they agree until the end of that one.
        said.sort_by_key(|(it, peer)| (Reverse(it.until), peer.setting.peer));
        let Some((first, _)) = said.first() else {
            return lifted.map(|net| Err(Refusal::Lifted { net }));
        };
        let mut votes = Votes::default();
        for (it, peer) in &said {
            votes.add(peer, self.settings.as_ref());
            if votes.suffice(net, self.settings.as_ref()) {
                let count = said.iter().map(|(it, _)| count(&it.cause)).max().unwrap_or_default();
                let cause = Arc::clone(&first.cause);
                return Some(Ok(Agreed { until: it.until, cause, count }));
            }
        }
        let wide = !is_single_source(net) && !votes.are_wide();
        Some(Err(if wide { Refusal::TooWide } else { Refusal::NoQuorum }))
    }
}

/// Who says the same.
#[derive(Default)]
struct Votes<'a> {
    /// Weight of the peers of this node's site, and of all.
    site: u64,
    fleet: u64,
    peers: usize,
    sites: BTreeSet<&'a str>,
}

impl<'a> Votes<'a> {
    fn add(&mut self, peer: &'a Peer, settings: Option<&FleetSettings>) {
        let name = &peer.setting.peer;
        let weight = u64::from(peer.setting.weight);
        let near = settings.is_some_and(|settings| settings.own.is_neighbour(name));
        self.site += if near { weight } else { 0 };
        self.fleet += weight;
        self.peers += 1;
        self.sites.insert(name.site());
    }

    fn are_wide(&self) -> bool {
        self.peers >= WIDE.0 && self.sites.len() >= WIDE.1
    }

    fn suffice(&self, net: &IpNet, settings: Option<&FleetSettings>) -> bool {
        let Quorum { site, fleet } = settings.map_or_else(Quorum::default, |it| it.quorum);
        let enough = self.site >= u64::from(site.max(1)) || self.fleet >= u64::from(fleet.max(1));
        enough && (is_single_source(net) || self.are_wide())
    }
}

/// One source: an IPv4 host, or at most an IPv6 /64.
pub(crate) fn is_single_source(net: &IpNet) -> bool {
    net.prefix_len() >= if net.addr().is_ipv4() { 32 } else { 64 }
}

fn count(cause: &Cause) -> u32 {
    match cause {
        Cause::Remote(ban) => ban.facts.count,
        Cause::Rule(_) | Cause::Manual { .. } | Cause::Adopted | Cause::Split { .. } => 0,
    }
}
