//! What other nodes say, and what follows from it here.
//!
//! Whatever changes, the networks that it concerns are settled ([`Engine::settle_touching`]): what stands of the
//! peers' bans is what should. Bans of peers are never split: where anybody else is inside, they are not made.

mod views;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::Engine;
use super::identity::LoggedIn;
use crate::bans::Ban;
use crate::fleet::{
    Agreed, Assertion, CLOCKS_DIFFER, Fleet, Fresh, MAX_ASSERTIONS, MAX_REMAINING,
    MAX_REMOTE_COUNT, News, Peer, PeerId, Vetoes, is_single_source,
};
use crate::key::Key;
use crate::text::prefix;
use crate::{
    Action, Alarm, Cause, Exemption, Expiry, FleetSettings, Home, Identity, KnownClass, Origin,
    PeerName, PeerSetting, Refusal, RemoteBan, RemoteFacts, ShadowedBecause, Timestamp,
    UnblockReason, net,
};

/// A ban of a peer, as it comes.
pub(super) struct Said {
    pub(super) peer: PeerName,
    pub(super) net: IpNet,
    pub(super) n: u64,
    pub(super) remaining: Option<Duration>,
    pub(super) age: Duration,
    pub(super) facts: RemoteFacts,
}

impl Engine {
    fn make_fleet(&mut self) -> &mut Fleet {
        let seed = self.fingerprints.text("fleet");
        self.fleet.get_or_insert_with(|| Box::new(Fleet::new(seed)))
    }

    pub(super) fn on_fleet(&mut self, settings: FleetSettings, actions: &mut Vec<Action>) {
        self.make_fleet().settings = Some(settings);
        self.settle_all(actions);
    }

    pub(super) fn on_peers(
        &mut self,
        settings: &[PeerSetting],
        age: Duration,
        actions: &mut Vec<Action>,
    ) {
        let said = self.now.earlier(age);
        let fleet = self.make_fleet();
        for setting in settings {
            fleet.peers.set(*setting, said);
        }
        // Who is ignored protects nobody.
        self.note_spared();
        self.settle_all(actions);
    }

    /// Where the store opens late, the peer may have had hosts banned meanwhile.
    pub(super) fn on_shadowed(
        &mut self,
        peer: PeerName,
        because: ShadowedBecause,
        age: Duration,
        actions: &mut Vec<Action>,
    ) {
        let since = self.now.earlier(age);
        let fleet = self.make_fleet();
        let Some(peer) = fleet.peers.id(peer).and_then(|id| fleet.peers.get_mut(id)) else {
            return;
        };
        peer.shadowed.get_or_insert((because, since));
        self.settle_all(actions);
    }

    pub(super) fn on_remote(&mut self, said: Said, actions: &mut Vec<Action>) {
        let Said { peer, net, n, remaining, age, mut facts } = said;
        let net = net::canonical_net(net);
        let now = self.now;
        let hit = self.would_hit(&net);
        let fleet = self.make_fleet();
        if fleet.settings.as_ref().is_some_and(|settings| settings.own == peer) {
            return;
        }
        facts.why = prefix(&facts.why, RemoteFacts::MAX_WHY_BYTES).into();
        let cause = Arc::new(Cause::Remote(Box::new(RemoteBan { peer, n, facts })));
        let Some(id) = fleet.peers.id(peer) else {
            self.refuse(net, Refusal::PeerBudget, cause, actions);
            return;
        };
        fleet.expire_assertions(now);
        if fleet.assertions.news(&net, id, n) == News::Older {
            return;
        }
        let until = now + remaining.map_or(MAX_REMAINING, |left| left.min(MAX_REMAINING));
        if until <= now {
            if fleet.end(&net, id, n) {
                self.settle_touching(&net, actions);
            }
            return;
        }
        let decided = now.earlier(age);
        let assertion = Assertion { peer: id, n, decided, until, cause: Arc::clone(&cause) };
        let believed = fleet.peers.get(id).is_some_and(Peer::is_believed);
        let (kept, broken) = fleet.assert(net, assertion, hit, now);
        if let Some(because) = broken {
            actions.push(Action::Alarm(Alarm::PeerShadowed { peer, because }));
            self.settle_all(actions);
        } else if kept {
            self.settle_touching(&net, actions);
        }
        let refusal = if kept { self.remote_refusal(&net) } else { Some(Refusal::PeerBudget) };
        self.count_remote(id, refusal);
        // A peer in shadow is known to be refused.
        if let Some(refusal) = refusal.filter(|_| believed) {
            self.refuse(net, refusal, cause, actions);
        }
    }

    fn count_remote(&mut self, id: PeerId, refusal: Option<Refusal>) {
        let Some(peer) = self.fleet.as_mut().and_then(|fleet| fleet.peers.get_mut(id)) else {
            return;
        };
        match refusal {
            None => peer.taken += 1,
            Some(refusal) => peer.count_refused(&refusal),
        }
    }

    pub(super) fn on_remote_ended(
        &mut self,
        peer: PeerName,
        net: IpNet,
        n: u64,
        actions: &mut Vec<Action>,
    ) {
        let net = net::canonical_net(net);
        let Some(fleet) = self.fleet.as_deref_mut() else { return };
        if let Some(id) = fleet.peers.find(&peer)
            && fleet.end(&net, id, n)
        {
            self.settle_touching(&net, actions);
        }
    }

    pub(super) fn on_remote_veto(
        &mut self,
        peer: PeerName,
        net: IpNet,
        class: Exemption,
        actions: &mut Vec<Action>,
    ) {
        let net = net::canonical_net(net);
        let fleet = self.make_fleet();
        let Some(id) = fleet.peers.id(peer) else { return };
        let new = !fleet.vetoes.holds(&net, id);
        let Some(peer) = fleet.peers.get_mut(id) else { return };
        if Vetoes::is_too_wide(&net) {
            peer.count_refused(&Refusal::TooWide);
            return;
        }
        if new && peer.vetoes >= MAX_ASSERTIONS {
            peer.count_refused(&Refusal::PeerBudget);
            return;
        }
        peer.vetoes += usize::from(new);
        fleet.vetoes.put(net, id, class);
        self.settle_touching(&net, actions);
    }

    pub(super) fn on_remote_veto_ended(
        &mut self,
        peer: PeerName,
        net: IpNet,
        actions: &mut Vec<Action>,
    ) {
        let net = net::canonical_net(net);
        let Some(fleet) = self.fleet.as_deref_mut() else { return };
        let Some(id) = fleet.peers.find(&peer).filter(|id| fleet.vetoes.end(&net, *id)) else {
            return;
        };
        if let Some(peer) = fleet.peers.get_mut(id) {
            peer.vetoes = peer.vetoes.saturating_sub(1);
        }
        self.settle_touching(&net, actions);
    }

    pub(super) fn on_remote_known(
        &mut self,
        (peer, source): (PeerName, IpAddr),
        (class, home): (KnownClass, Option<Home>),
        age: Duration,
        actions: &mut Vec<Action>,
    ) {
        let source = net::canonical(source);
        let (host, now) = (Key::of_addr(source), self.now);
        let remember = self.limits.policy.healthy.remember;
        let network = self.limits.net_key(source);
        let fleet = self.make_fleet();
        let own = fleet.settings.as_ref().is_some_and(|settings| settings.own == peer);
        if own || age >= remember {
            return;
        }
        let Some(id) = fleet.peers.id(peer) else { return };
        let at = now.earlier(age);
        let new = !fleet.known.holds(&host, home, id);
        let Some(peer) = fleet.peers.get_mut(id) else { return };
        let believed = !new
            || peer.note_known(at, now)
                && home.is_none_or(|home| fleet.known.may_be_at(home, host, now));
        peer.count_known(believed);
        if !believed {
            return;
        }
        fleet.known.note((host, network), (id, class, home), at);
        if new {
            self.note_spared();
        }
        self.lift_below_known_threshold(source, actions);
        self.free_from_wide_ban(source, actions);
        self.settle_touching(&source.into(), actions);
    }

    pub(super) fn on_remote_known_ended(
        &mut self,
        peer: &PeerName,
        source: IpAddr,
        actions: &mut Vec<Action>,
    ) {
        let source = net::canonical(source);
        let Some(fleet) = self.fleet.as_deref_mut() else { return };
        if let Some(id) = fleet.peers.find(peer)
            && fleet.known.end(&Key::of_addr(source), id)
        {
            self.note_spared();
            self.settle_touching(&source.into(), actions);
        }
    }

    /// Lifts a ban of this node that it would not have made, had it known that the host is known elsewhere.
    fn lift_below_known_threshold(&mut self, source: IpAddr, actions: &mut Vec<Action>) {
        let host = IpNet::from(source);
        if self.standing(source, None).1.is_strange() {
            return;
        }
        let threshold = f64::from(self.limits.policy.healthy.known_max_failures);
        let below = |ban: &Ban| {
            let evidence = ban.cause.evidence().filter(|_| ban.origin == Origin::Automatic);
            evidence.is_some_and(|evidence| evidence.score < threshold)
        };
        if self.bans.get(&host).is_some_and(below) {
            self.split(host, Vec::new(), UnblockReason::Exempted, actions);
        }
    }

    pub(super) fn on_lift(
        &mut self,
        net: IpNet,
        (hold, age): (Duration, Duration),
        reason: &str,
        actions: &mut Vec<Action>,
    ) {
        let net = net::canonical_net(net);
        let (since, until) = (self.now.earlier(age), self.now + hold.min(MAX_REMAINING));
        let reason = prefix(reason, RemoteFacts::MAX_WHY_BYTES).into();
        self.make_fleet().lifts.put(net, since, until, reason);
        // Bans of this node that are clearly younger stay.
        self.lift_bans(net, since + CLOCKS_DIFFER, actions);
        self.settle_touching(&net, actions);
    }

    /// A ban that a peer decided, from before a restart. Until the stream says more, it is what that peer says.
    pub(super) fn restore_remote(
        &mut self,
        net: IpNet,
        since: Timestamp,
        until: Expiry,
        cause: &Arc<Cause>,
        actions: &mut Vec<Action>,
    ) {
        let now = self.now;
        if let Cause::Remote(ban) = &**cause.original() {
            let latest = now + MAX_REMAINING;
            let until = match until {
                Expiry::At(end) => end.min(latest),
                Expiry::Never => latest,
            };
            let fleet = self.make_fleet();
            if let Some(id) = fleet.peers.id(ban.peer) {
                let cause = Arc::clone(cause.original());
                let assertion = Assertion { peer: id, n: ban.n, decided: since, until, cause };
                // It was counted when it came.
                fleet.restore(net, assertion);
                self.settle_touching(&net, actions);
            }
        }
        if self.bans.get(&net).is_none() {
            actions.push(Action::Unblock { net, reason: UnblockReason::NotAdopted });
        }
    }

    /// Settles the networks that share an address with `net`, and `net` itself.
    pub(super) fn settle_touching(&mut self, net: &IpNet, actions: &mut Vec<Action>) {
        let Some(fleet) = self.fleet.as_deref() else { return };
        let touching = fleet.assertions.touching(net);
        if !touching.contains(net) {
            self.settle_net(*net, actions);
        }
        for net in touching {
            self.settle_net(net, actions);
        }
    }

    fn settle_all(&mut self, actions: &mut Vec<Action>) {
        let Some(fleet) = self.fleet.as_deref() else { return };
        let mut nets: Vec<IpNet> = fleet.assertions.iter().map(|(net, _)| net).collect();
        nets.dedup();
        for net in nets {
            self.settle_net(net, actions);
        }
    }

    /// Makes, changes or lifts the peers' ban of `net`, so that it is what it should be. A ban of this node stays what it
    /// is.
    fn settle_net(&mut self, net: IpNet, actions: &mut Vec<Action>) {
        let standing = self.bans.get(&net);
        if standing.is_some_and(|ban| ban.origin != Origin::Remote) {
            return;
        }
        let since = standing.map_or(self.now, |ban| ban.since);
        let is = standing.map(|ban| (ban.until(), ban.cause.get()));
        if self.settle_alone(net, since, is, actions) {
            self.settle_inside(&net, actions);
        }
    }

    /// Settles what a ban of `net` made useless, and does no more.
    fn settle_inside(&mut self, net: &IpNet, actions: &mut Vec<Action>) {
        if net.prefix_len() == net.max_prefix_len() {
            return;
        }
        let touching = self.fleet.as_deref().map(|fleet| fleet.assertions.touching(net));
        for inner in touching.unwrap_or_default() {
            if inner != *net && net.contains(&inner) {
                self.settle_net(inner, actions);
            }
        }
    }

    /// Settles one network that is no ban of this node. True when its ban went or ends earlier now.
    fn settle_alone(
        &mut self,
        net: IpNet,
        since: Timestamp,
        is: Option<(Expiry, Arc<Cause>)>,
        actions: &mut Vec<Action>,
    ) -> bool {
        let refusal = match self.remote_verdict(&net) {
            Some(Ok(agreed)) => {
                let until = Expiry::At(agreed.until);
                if is.as_ref().is_some_and(|(end, cause)| *end == until && *cause == agreed.cause) {
                    return false;
                }
                match self.place_remote(net, since, agreed, actions) {
                    Ok(()) => return is.is_some_and(|(end, _)| end > until),
                    Err(refusal) => Some(refusal),
                }
            }
            Some(Err(refusal)) => Some(refusal),
            None => None,
        };
        if is.is_none() {
            return false;
        }
        let reason = match refusal {
            Some(Refusal::Exempt { .. } | Refusal::Known { .. }) => UnblockReason::Exempted,
            Some(Refusal::Lifted { .. }) => UnblockReason::Manual,
            Some(Refusal::Covered { .. }) => UnblockReason::Superseded,
            // A peer's ban no longer has what it needs.
            None
            | Some(
                Refusal::Shared
                | Refusal::LinkLocal
                | Refusal::TooManyBans
                | Refusal::ShareUsedUp
                | Refusal::BannedLately
                | Refusal::Registered
                | Refusal::DeniedLately
                | Refusal::NoQuorum
                | Refusal::TooWide
                | Refusal::PeerBudget
                | Refusal::PeerShadowed,
            ) => UnblockReason::Withdrawn,
        };
        self.bans.remove(&net);
        actions.push(Action::Unblock { net, reason });
        self.rearm();
        true
    }

    fn place_remote(
        &mut self,
        net: IpNet,
        since: Timestamp,
        agreed: Agreed,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let Agreed { until, cause, count } = agreed;
        let scope = self.limits.policy.scope;
        let is_new = self.bans.get(&net).is_none();
        let ban = Ban::new(net, since, Expiry::At(until), Origin::Remote, scope, cause);
        self.place(ban, actions)?;
        let (key, host) = (self.key(net.addr()), net.addr());
        let forget_at = until + self.limits.policy.escalation.forget_after;
        if let Some(fleet) = self.fleet.as_deref_mut() {
            fleet.offenders.raise(key, count, forget_at);
        }
        // As with the first evidence of this node: an access list may allow it.
        if is_new && IpNet::from(host) == net {
            self.ask_acl(host, actions);
        }
        Ok(())
    }

    /// What should become of the peers' bans of `net`; `None` when they have none.
    fn remote_verdict(&self, net: &IpNet) -> Option<Result<Agreed, Refusal>> {
        let fleet = self.fleet.as_deref()?;
        let agreed = match fleet.agreed(net, self.now)? {
            Ok(agreed) => agreed,
            refused @ Err(_) => return Some(refused),
        };
        let objection = self.objection(net, Origin::Remote).or_else(|| {
            let veto = fleet.vetoes.against(net, &fleet.peers);
            veto.map(|(class, net)| Refusal::Exempt { class, net })
        });
        let known = || self.somebody_inside(net).map(|net| Refusal::Known { net });
        Some(match objection.or_else(known) {
            Some(refusal) => Err(refusal),
            None => Ok(agreed),
        })
    }

    /// Why the peers' ban of `net` is not made; `None` when it is, or this node bans it.
    fn remote_refusal(&self, net: &IpNet) -> Option<Refusal> {
        if self.bans.get(net).is_some() {
            return None;
        }
        match self.remote_verdict(net)? {
            Err(refusal) => Some(refusal),
            Ok(_) => Some(match self.bans.around(net).next() {
                Some((net, _)) => Refusal::Covered { net },
                None => Refusal::TooManyBans,
            }),
        }
    }

    /// A host inside `net` that is no stranger, by what this node or its peers know.
    fn somebody_inside(&self, net: &IpNet) -> Option<IpNet> {
        if net.prefix_len() == net.max_prefix_len() {
            return (self.standing(net.addr(), None).0 != Identity::Stranger).then_some(*net);
        }
        let own = self.neighbour_inside(net);
        let elsewhere = || {
            let fleet = self.fleet.as_deref()?;
            fleet.known.inside(net, self.fresh(fleet)).map(|host| IpNet::from(host.addr()))
        };
        own.or_else(elsewhere)
    }

    /// A host inside `net`, wider than a host, that this node itself knows. Looks at all of them, unless nobody is known
    /// in the source or the /48 around it.
    fn neighbour_inside(&self, net: &IpNet) -> Option<IpNet> {
        let addr = net.addr();
        let wide = Key::of(&net::wide_net(addr));
        let is_part = addr.is_ipv6() && net.prefix_len() >= 48;
        let is_source = net.prefix_len() >= self.limits.policy.ipv6_prefix;
        let known = if is_part && is_source && !self.limits.is_host(addr) {
            self.inhabited.get(&self.limits.net_key(addr)).is_some()
        } else {
            !is_part || self.populated.get(&wide).is_some()
        };
        let called = !is_part || self.callers.inhabit(&wide, self.now);
        let known = known.then(|| self.known_sources()).into_iter().flatten();
        let callers = called.then(|| self.callers.hosts(self.now)).into_iter().flatten();
        let mut hosts = known.chain(callers).map(Key::addr);
        hosts.find(|host| net.contains(host)).map(IpNet::from)
    }

    /// A ban of `net` would hit somebody who is exempt, known or registered at this node: what peers know does not
    /// count, or they could accuse each other.
    fn would_hit(&self, net: &IpNet) -> bool {
        let exempt = self.exemptions.touching(net).next().is_some();
        exempt || is_single_source(net) && self.is_known_here(net)
    }

    /// The host, or one inside a wider network, is no stranger by what this node knows alone.
    fn is_known_here(&self, net: &IpNet) -> bool {
        if net.prefix_len() == net.max_prefix_len() {
            self.own_standing(net.addr(), None).0 != Identity::Stranger
        } else {
            self.neighbour_inside(net).is_some()
        }
    }

    pub(super) fn fresh<'a>(&self, fleet: &'a Fleet) -> Fresh<'a> {
        fleet.fresh(self.limits.policy.healthy.remember, self.now)
    }

    /// What is known of an address, with what peers know of it.
    pub(super) fn with_peers(&self, host: &Key, identity: Identity) -> Identity {
        let Some(fleet) = self.fleet.as_deref() else { return identity };
        identity.max(fleet.known.identity(host, &self.fresh(fleet)))
    }

    /// A peer trusts the phone that logs in: the same user with the same user agent.
    pub(super) fn is_vouched_elsewhere(&self, success: LoggedIn<'_>) -> bool {
        let Some(fleet) = self.fleet.as_deref() else { return false };
        let hash = fleet.settings.as_ref().and_then(|settings| settings.home.as_ref());
        hash.is_some_and(|hash| {
            let home = hash.of(success.user, success.user_agent);
            fleet.known.trusts(home, &self.fresh(fleet))
        })
    }

    /// Bans of a source so far, with those of peers as far as they count.
    pub(super) fn bans_so_far(&self, key: &Key) -> u32 {
        let own = self.offenders.bans(key, self.now);
        let Some(fleet) = self.fleet.as_deref() else { return own };
        let theirs = fleet.offenders.bans(key, self.now);
        own.max(theirs.min(own.saturating_add(MAX_REMOTE_COUNT)))
    }

    /// Takes over what the peers of `other` know of an address, for a preview.
    pub(super) fn copy_known_elsewhere(&mut self, other: &Self, host: Key) {
        let Some(theirs) = other.fleet.as_deref() else { return };
        if self.fleet.is_none() {
            let fleet = self.make_fleet();
            fleet.settings.clone_from(&theirs.settings);
            fleet.peers.clone_from(&theirs.peers);
        }
        self.make_fleet().known.copy(&theirs.known, host);
    }

    /// What an operator of this node unbans, peers do not ban either.
    pub(super) fn lift_here(&mut self, net: IpNet) {
        let (now, until) = (self.now, self.now + crate::LIFT_HOLD);
        if let Some(fleet) = self.fleet.as_deref_mut() {
            fleet.lifts.put(net, now, until, Box::default());
        }
    }

    /// Forgets what is too old, and makes what a lift held back.
    pub(super) fn sweep_fleet(&mut self, actions: &mut Vec<Action>) {
        let (now, remember) = (self.now, self.limits.policy.healthy.remember);
        let Some(fleet) = self.fleet.as_deref_mut() else { return };
        fleet.expire(now, remember);
        let released: Vec<IpNet> = std::iter::from_fn(|| fleet.lifts.pop_released(now)).collect();
        for net in released {
            self.settle_touching(&net, actions);
        }
    }
}
