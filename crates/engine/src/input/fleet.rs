//! What concerns a fleet as a whole, in inputs.

use serde::{Deserialize, Serialize};

use crate::{HomeHash, PeerName};

/// This node's place in a fleet.
#[derive(Clone, Debug)]
pub struct FleetSettings {
    /// Its own name: what comes under it is an echo, and nothing.
    pub own: PeerName,
    /// Weight of peers that a ban of theirs takes.
    pub quorum: Quorum,
    /// Names phones as the fleet does; without it no phone is vouched for by what peers know.
    pub home: Option<HomeHash>,
}

/// Sums of weights ([`PeerSetting::weight`]) of the peers that assert a ban. It is made where one of the two is
/// reached. 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Of the peers of this node's site alone.
    pub site: u32,
    /// Of all peers.
    pub fleet: u32,
}

impl Default for Quorum {
    /// One peer, of whatever site.
    fn default() -> Self {
        Self { site: 1, fleet: 1 }
    }
}

/// What an operator says of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSetting {
    /// The peer.
    pub peer: PeerName,
    /// What its word does.
    pub mode: PeerMode,
    /// What it counts towards a [`Quorum`]; 1 unless stated.
    pub weight: u32,
}

/// What the word of a peer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerMode {
    /// Its bans are made here.
    #[default]
    Accept,
    /// Its bans are listed and not made. What it vetoes and knows still protects.
    Shadow,
    /// Nothing that it says counts.
    Ignore,
}

/// What a peer knows of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownClass {
    /// A user logged in from there lately.
    Known,
    /// The same, for longer than its `trust_after`.
    Trusted,
    /// Three or more users did: a proxy or a NAT.
    Shared,
}
