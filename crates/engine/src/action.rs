//! What the engine decides.

mod alarm;
mod cause;
mod judgement;

use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;

pub use alarm::Alarm;
pub use cause::{Cause, Details, Evidence};
pub use judgement::{Grade, Judgement};

use crate::{Exemption, Expiry, Timestamp};

/// One decision. The caller carries it out and reports back
/// ([`crate::Input::Applied`], [`crate::Input::ApplyFailed`]).
///
/// Carried out in order, the networks of [`Action::Block`] without those of [`Action::Unblock`] are
/// exactly the bans of [`crate::Engine::bans`] at every moment. When a ban is split, its pieces come
/// before it goes, so that no packet slips through in between.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Block `net` in the kernel. May name a network that is blocked already, with a new end.
    Block {
        /// The network.
        net: IpNet,
        /// Its beginning.
        since: Timestamp,
        /// Its end.
        until: Expiry,
        /// Why: data for the log line, the history and the API.
        cause: Arc<Cause>,
    },
    /// The ban of `net` is over: remove its route.
    Unblock {
        /// The network.
        net: IpNet,
        /// Why.
        reason: UnblockReason,
    },
    /// A ban was due and is not done.
    Refused {
        /// The network that was due.
        net: IpNet,
        /// Why not.
        reason: Refusal,
        /// What made it due.
        cause: Arc<Cause>,
    },
    /// A failure was judged. One for each [`crate::Input::AuthFailure`], up to 200 ms later.
    Judged(Judgement),
    /// Something an operator must see.
    Alarm(Alarm),
}

/// Why a route is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnblockReason {
    /// Its time is over.
    Expired,
    /// An operator lifted it.
    Manual,
    /// An exemption covers it now.
    Exempted,
    /// Replaced by the pieces around an exempt or lifted part.
    Split,
    /// A wider ban covers it, and lasts at least as long.
    Superseded,
    /// A route found at start cannot become a ban (the action beside it says why).
    NotAdopted,
}

/// Why a due ban is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// The source is exempt, or the network would cover somebody who is.
    Exempt {
        /// Why.
        class: Exemption,
        /// The exempt network.
        net: IpNet,
    },
    /// It would block IPv6 link-local neighbours, and with them neighbour discovery.
    LinkLocal,
    /// A ban of `net` covers it and lasts at least as long.
    Covered {
        /// The wider ban.
        net: IpNet,
    },
    /// `max_bans` is reached.
    TooManyBans,
}
