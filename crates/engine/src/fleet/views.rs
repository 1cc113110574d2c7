//! What is held of a fleet, for others to see.

use ipnet::IpNet;
use serde::Serialize;

use crate::{
    KnownClass, PeerMode, PeerName, Refusal, RemoteFacts, ShadowedBecause, Text, Timestamp,
};

/// A peer, and what became of what it said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerView {
    /// Its name.
    pub peer: PeerName,
    /// What its word does by an operator's decision.
    pub mode: PeerMode,
    /// What it counts towards a quorum.
    pub weight: u32,
    /// Its bans are not made, because it broke its bounds.
    pub shadowed: Option<ShadowedBecause>,
    /// Bans of its that stand, made here or not.
    pub standing: usize,
    /// Bans that were made here or confirmed by it when it said them.
    pub taken: u64,
    /// Bans that were not made when it said them, by reason.
    pub refused: RefusedByReason,
    /// Networks that it vetoes.
    pub vetoes: usize,
    /// Addresses that it knows, and was believed.
    pub known: u64,
    /// Addresses that it knows, and was not believed: too many.
    pub known_refused: u64,
}

/// How often what a peer said was not done, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusedByReason {
    /// [`Refusal::Exempt`], by an exemption here or a peer's veto.
    pub exempt: u64,
    /// [`Refusal::Known`].
    pub known: u64,
    /// [`Refusal::Lifted`].
    pub lifted: u64,
    /// [`Refusal::NoQuorum`].
    pub no_quorum: u64,
    /// [`Refusal::TooWide`].
    pub too_wide: u64,
    /// [`Refusal::PeerBudget`].
    pub peer_budget: u64,
    /// [`Refusal::PeerShadowed`].
    pub peer_shadowed: u64,
    /// Any other: [`Refusal::Covered`], [`Refusal::TooManyBans`], [`Refusal::LinkLocal`].
    pub other: u64,
}

impl RefusedByReason {
    pub(super) fn add(&mut self, refusal: &Refusal) {
        let counter = match refusal {
            Refusal::Exempt { .. } => &mut self.exempt,
            Refusal::Known { .. } => &mut self.known,
            Refusal::Lifted { .. } => &mut self.lifted,
            Refusal::NoQuorum => &mut self.no_quorum,
            Refusal::TooWide => &mut self.too_wide,
            Refusal::PeerBudget => &mut self.peer_budget,
            Refusal::PeerShadowed => &mut self.peer_shadowed,
            Refusal::Shared
            | Refusal::LinkLocal
            | Refusal::Covered { .. }
            | Refusal::TooManyBans
            | Refusal::ShareUsedUp
            | Refusal::BannedLately
            | Refusal::Registered
            | Refusal::DeniedLately => &mut self.other,
        };
        *counter += 1;
    }
}

/// A ban that a peer says stands, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AssertionView<'a> {
    /// The network.
    pub net: IpNet,
    /// The peer.
    pub peer: PeerName,
    /// The number of its message.
    pub n: u64,
    /// When the peer decided it, by this node's clock.
    pub decided: Timestamp,
    /// Until when it is believed here.
    pub until: Timestamp,
    /// Why, as the peer says.
    pub facts: &'a RemoteFacts,
    /// What became of it.
    pub outcome: RemoteOutcome,
}

/// What became of a ban that a peer says stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RemoteOutcome {
    /// Peers' ban of the network is in force.
    Banned,
    /// This node bans the network itself.
    BannedHere,
    /// It is not made.
    Refused(Refusal),
}

/// A lift that holds, or after whose hold what was decided before it is still refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiftView<'a> {
    /// The network.
    pub net: IpNet,
    /// When it was lifted, by this node's clock.
    pub since: Timestamp,
    /// Until when nothing that peers say of it is made.
    pub hold_until: Timestamp,
    /// The operator's reason; empty for [`crate::Input::Unban`] at this node.
    pub reason: &'a str,
}

/// A phone that other nodes should know of ([`crate::Engine::known_to_share`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownToShare {
    /// Its address.
    pub source: std::net::IpAddr,
    /// What this node knows of the address by itself.
    pub class: KnownClass,
    /// Its user, for the [`crate::Home`].
    pub user: Text,
    /// Its user agent, for the [`crate::Home`].
    pub user_agent: Text,
}
