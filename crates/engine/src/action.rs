//! What the engine decides.

mod alarm;
mod cause;
mod judgement;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use alarm::{Alarm, ShadowedBecause};
pub use cause::{Cause, Details, Evidence};
pub use judgement::Judgement;

use crate::{Exemption, Expiry, Flow, Scope, Text, Timestamp};

/// Packets a second that pass of a host that is slowed down ([`Action::Slow`]); twenty at once before.
pub const SLOWED_PER_SECOND: u32 = 1;

/// How long a host is slowed down.
pub const SLOWED_FOR: Duration = Duration::from_secs(600);

/// One decision. The caller carries it out and reports back
/// ([`crate::Input::Applied`], [`crate::Input::ApplyFailed`]).
///
/// Carried out in order, the networks of [`Action::Block`] without those of [`Action::Unblock`] are
/// exactly the bans of [`crate::Engine::bans`] at every moment. When a ban is split, its pieces come
/// before it goes, so that no packet slips through in between. In the same way the flows of
/// [`Action::DenyFlow`] without those of [`Action::AllowFlow`] are exactly [`crate::Engine::flows`].
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Block `net` in the kernel. May name a network that is blocked already, with a new end or another
    /// scope: then what the scope does not ask for (the route) is to go.
    Block {
        /// The network.
        net: IpNet,
        /// Its beginning.
        since: Timestamp,
        /// Its end.
        until: Expiry,
        /// What of it.
        scope: Scope,
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
    /// Deny one flow to the SIP ports: its host stays, because others live there. May name a flow that is
    /// denied already, with a new end.
    DenyFlow {
        /// The flow.
        flow: Flow,
        /// Its beginning.
        since: Timestamp,
        /// Its end.
        until: Timestamp,
        /// Why.
        cause: Arc<Cause>,
    },
    /// The denial of a flow is over.
    AllowFlow {
        /// The flow.
        flow: Flow,
        /// Why: [`UnblockReason::Expired`], `Manual`, `Exempted`, `Registered` or `MadeRoom`.
        reason: UnblockReason,
    },
    /// An address has had [`crate::MAX_DENIED_PORTS`] ports denied within an hour: until then let its new
    /// flows count as a stranger's where a limit is shared. Flows of its registrations
    /// ([`crate::Engine::registered_flows`]) keep their place. With an end that is not ahead the address is
    /// trusted again.
    Distrust {
        /// The address.
        source: IpAddr,
        /// Until when.
        until: Timestamp,
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
    /// A rule in shadow, or one whose evidence is too weak for it, would have banned `net`. Reported once while it
    /// lasts.
    Shadowed {
        /// The network.
        net: IpNet,
        /// What made it due.
        cause: Arc<Cause>,
    },
    /// A phone needs attention: it succeeded from here before and now fails, with one user and one
    /// user agent. Most likely its password was changed. Told once a day.
    NeedsAttention {
        /// Its address.
        source: IpAddr,
        /// Its user.
        user: Text,
        /// Its user agent.
        user_agent: Text,
        /// When it last succeeded; `None` where this user never did from there, but another is
        /// registered there: a line with a wrong password beside a good one.
        last_success: Option<Timestamp>,
    },
    /// Let only [`crate::SLOWED_PER_SECOND`] packets a second of a source pass until then. It guesses passwords of
    /// other users while a user is registered from there ([`crate::Rules::insider`]): the phone still registers and
    /// calls, but guessing becomes slow. Or it is a stranger that scans ([`crate::Rules::scan`]), or a host where
    /// nobody is registered and that fails from one port after the other; a registration there ends that: with an
    /// end that is not ahead, the limit is over.
    ///
    /// A host that is no stranger is limited for [`SLOWED_FOR`] within an hour at most, together with the time for
    /// which its flows were denied. So that a restart does not double that, keep it for
    /// [`crate::Input::RestoreSlowed`].
    Slow {
        /// The address.
        source: IpAddr,
        /// Until when.
        until: Timestamp,
        /// What made it due.
        cause: Arc<Cause>,
    },
    /// There is evidence against `addr`: do FreeSWITCH's ACLs allow it? The answer is
    /// [`crate::Input::AclAnswer`].
    AskAcl {
        /// The address.
        addr: IpAddr,
    },
    /// Keep this in the store, if there is one, for [`crate::Input::Remember`] after a restart. New
    /// ones, and each again once a day.
    Remember(Success),
    /// A failure was judged. One for each [`crate::Input::AuthFailure`], up to 200 ms later.
    Judged(Judgement),
    /// Something an operator must see.
    Alarm(Alarm),
}

/// A user succeeded from a source: what health memory is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Success {
    /// The address.
    pub source: IpAddr,
    /// The user.
    pub user: Text,
    /// The user agent.
    pub user_agent: Text,
    /// The first success of this user from there, as far as it is remembered.
    pub since: Timestamp,
    /// The latest.
    pub at: Timestamp,
}

/// How often a source was banned, for longer bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offender {
    /// An address of the source.
    pub source: IpAddr,
    /// Bans so far.
    pub bans: u32,
    /// End of the last one.
    pub until: Timestamp,
}

impl Offender {
    /// What a ban says of its source: how many it makes, where its rule counts them.
    #[must_use]
    pub fn of(cause: &Cause, until: Expiry) -> Option<Self> {
        let evidence = cause.evidence().filter(|evidence| evidence.makes_offender())?;
        let Expiry::At(until) = until else { return None };
        Some(Self { source: evidence.address, bans: evidence.ban_count, until })
    }
}

/// Why a route is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The table was full, and a ban on better evidence took its place.
    MadeRoom,
    /// A route found at start cannot become a ban (the action beside it says why).
    NotAdopted,
    /// A registration holds at the flow now.
    Registered,
    /// The peers that decided it have ended it, or are not believed any more.
    Withdrawn,
}

/// Why a due ban is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// The source is exempt, or the network would cover an exempt host.
    Exempt {
        /// Why.
        class: Exemption,
        /// The exempt network.
        #[serde(rename = "prevented_by", alias = "net")]
        net: IpNet,
    },
    /// It is or holds a source that logged in lately, and the rule spares those.
    Known {
        /// That source.
        #[serde(rename = "prevented_by", alias = "net")]
        net: IpNet,
    },
    /// Three or more users logged in from there within a day: a proxy or a NAT. Suggested for
    /// `proxies` or `allow`.
    Shared,
    /// It would block IPv6 link-local neighbours, and with them neighbour discovery.
    LinkLocal,
    /// A ban of `net` covers it and lasts at least as long.
    Covered {
        /// The wider ban.
        #[serde(rename = "prevented_by", alias = "net")]
        net: IpNet,
    },
    /// `max_bans` is reached.
    TooManyBans,
    /// Bans of its kind have used up their share of the table: those on forgeable evidence have a tenth, those of
    /// whole networks [`crate::MAX_NETWORK_BANS`].
    ShareUsedUp,
    /// A known source was banned briefly within the last hour. Decided by versions that did not know flows.
    BannedLately,
    /// The flow is that of a registration that holds, or may be.
    Registered,
    /// The port was denied within the last hour, or [`crate::MAX_DENIED_PORTS`] others of the address were:
    /// ports can be forged.
    DeniedLately,
    /// An operator lifted it in the fleet, and the peer decided it before that or too soon after.
    Lifted {
        /// The network that was lifted.
        #[serde(rename = "prevented_by")]
        net: IpNet,
    },
    /// Too few peers say so ([`crate::Quorum`]).
    NoQuorum,
    /// Wider than one source (IPv4 /32, IPv6 /64), and not asserted by three peers of two sites.
    TooWide,
    /// The peer said more than it may ([`crate::MAX_ASSERTIONS_PER_MINUTE`], [`crate::MAX_ASSERTIONS`]), or there are
    /// [`crate::MAX_PEERS`] others.
    PeerBudget,
    /// The peer is in shadow, by an operator or because it broke its bounds, or it is ignored.
    PeerShadowed,
}
