//! What other nodes should hear of this one, and what is held of the fleet.

use ipnet::IpNet;

use super::Engine;
use crate::fleet::{Assertion, Fleet, Peer, is_single_source};
use crate::{
    AssertionView, BanView, Cause, Grade, Identity, KnownClass, KnownToShare, LiftView, Origin,
    PeerView, Refusal, RemoteOutcome, RuleName, Scope, Success, net,
};

impl Engine {
    /// Other nodes should hear of this ban. It is of a single source and stops the whole host; it was made by hand, or
    /// by a rule about that source alone on evidence that proves it (answered, genuine); and nobody is known there.
    /// Never what came from a peer, and no piece of a wider ban.
    #[must_use]
    pub fn is_publishable(&self, ban: &BanView<'_>) -> bool {
        let decided_well = match &*ban.cause.get() {
            Cause::Manual { .. } => true,
            Cause::Rule(evidence) => {
                matches!(evidence.grade, Grade::Answered | Grade::Genuine)
                    && evidence.identity == Identity::Stranger
                    && is_of_source(evidence.rule)
            }
            Cause::Adopted | Cause::Remote(_) | Cause::Split { .. } => false,
        };
        let whole_source = ban.scope == Scope::Host && is_single_source(&ban.net);
        decided_well && whole_source && !self.is_known_here(&ban.net)
    }

    /// What other nodes should hear of a log-in that the engine reports ([`crate::Action::Remember`]: new ones, and each again
    /// once a day), or that the store holds of before. `None` when this node does not know the address by itself.
    #[must_use]
    pub fn known_to_share(&self, success: &Success) -> Option<KnownToShare> {
        let source = net::canonical(success.source);
        let class = match self.own_standing(source, None).0 {
            Identity::Stranger | Identity::Caller => return None,
            Identity::Known => KnownClass::Known,
            Identity::Trusted => KnownClass::Trusted,
            Identity::Shared => KnownClass::Shared,
        };
        let Success { user, user_agent, .. } = *success;
        Some(KnownToShare { source, class, user, user_agent })
    }

    /// The peers, by name.
    pub fn fleet_peers(&self) -> impl Iterator<Item = PeerView> {
        self.fleet.iter().flat_map(|fleet| fleet.peers.views())
    }

    /// What peers say of `net` and of networks around or inside it, and what became of each.
    #[must_use]
    pub fn fleet_assertions(&self, net: IpNet) -> Vec<AssertionView<'_>> {
        let Some(fleet) = self.fleet.as_deref() else { return Vec::new() };
        let touching = fleet.assertions.touching(&net::canonical_net(net));
        touching.into_iter().flat_map(|net| self.assertions_of(fleet, net)).collect()
    }

    fn assertions_of<'a>(&'a self, fleet: &'a Fleet, net: IpNet) -> Vec<AssertionView<'a>> {
        let verdict = self.remote_refusal(&net);
        let here = self.bans.get(&net).is_some_and(|ban| ban.origin != Origin::Remote);
        let view = |it: &'a Assertion| {
            let Cause::Remote(ban) = &*it.cause else { return None };
            let believed = fleet.peers.get(it.peer).is_some_and(Peer::is_believed);
            let lifted = fleet.lifts.against(&net, it.decided, self.now);
            let outcome = match (verdict, lifted) {
                // Others may be believed where this one is not.
                _ if !believed => RemoteOutcome::Refused(Refusal::PeerShadowed),
                _ if here => RemoteOutcome::BannedHere,
                (_, Some(net)) => RemoteOutcome::Refused(Refusal::Lifted { net }),
                (Some(refusal), None) => RemoteOutcome::Refused(refusal),
                (None, None) => RemoteOutcome::Banned,
            };
            let (peer, n, facts) = (ban.peer, it.n, &ban.facts);
            let (decided, until) = (it.decided, it.until);
            Some(AssertionView { net, peer, n, decided, until, facts, outcome })
        };
        let standing = fleet.assertions.of(&net).iter().filter(|it| it.until > self.now);
        standing.filter_map(view).collect()
    }

    /// What operators have lifted, in the order of the networks.
    pub fn fleet_lifts(&self) -> impl Iterator<Item = LiftView<'_>> {
        self.fleet.iter().flat_map(|fleet| fleet.lifts.views())
    }
}

/// The rule counts what one source did, on evidence that may prove it: its bans make the next ones of that source
/// longer, however weak the evidence. Not one around the source, nor one for the sake of a deaf FreeSWITCH.
fn is_of_source(rule: RuleName) -> bool {
    let is_other = matches!(rule, RuleName::Network | RuleName::Deafness);
    rule.escalates(Grade::Unproven) && !is_other
}
