//! A ban as others see it.

use ipnet::IpNet;
use serde::Serialize;

use crate::kept_cause::KeptCause;
use crate::{Expiry, Scope, Timestamp};

/// A standing ban.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BanView<'a> {
    /// The network.
    pub net: IpNet,
    /// Its beginning.
    pub since: Timestamp,
    /// Its end.
    pub until: Expiry,
    /// What decided it, which determines what may lift it.
    pub origin: Origin,
    /// What it stops.
    pub scope: Scope,
    /// Why.
    pub cause: &'a KeptCause,
    /// What the kernel made of it.
    pub enforcement: &'a Enforcement,
}

/// What decided a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Another node of the fleet. Yields to everything that this node knows better: every exemption, every identity
    /// but [`crate::Identity::Stranger`], every ban of its own.
    Remote,
    /// A rule, or a route found at start. Yields to every exemption.
    Automatic,
    /// An operator. Yields to [`crate::Exemption::Own`], `Gateway`, `EslPeer`, `NameServer` and `Trunk`.
    Manual,
    /// An operator, with force. Yields to [`crate::Exemption::Own`] only.
    Forced,
}

/// What the kernel made of a ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Enforcement {
    /// Not reported yet.
    Pending,
    /// A look-up showed that sipward's route wins, and the gate is active.
    Enforced,
    /// The route is set, but does not keep the packets out.
    Ineffective,
    /// The kernel refused it.
    Failed {
        /// What the kernel said.
        error: Box<str>,
    },
}

impl Enforcement {
    /// Packets of the banned network no longer arrive.
    #[must_use]
    pub const fn is_enforced(&self) -> bool {
        matches!(self, Self::Enforced)
    }

    pub(crate) const fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}
