//! What the engine decides.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use crate::{Exemption, Expiry};

/// One decision. The caller carries it out and reports back
/// ([`crate::Input::Applied`], [`crate::Input::ApplyFailed`]).
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Block `net` in the kernel.
    Block {
        /// The network.
        net: IpNet,
        /// Its end.
        until: Expiry,
        /// Why: data for the log line, the history and the API.
        cause: Box<Cause>,
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
        cause: Box<Cause>,
    },
    /// A failure was judged.
    Judged(Judgement),
    /// Something an operator must see.
    Alarm(Alarm),
}

/// How sure it is that the named address sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The attempt beside it never came: weight 0.
    Unjoined,
    /// The nonce was never checked; one blind packet can cause it: weight 0.
    Unproven,
    /// The nonce was valid, but no challenge went to this address.
    Unchallenged,
    /// The nonce was valid.
    Answered,
}

/// Why a ban was decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Cause {
    /// The base rule: too many failures in the window.
    Failures(Evidence),
    /// An operator's command.
    Manual {
        /// The operator's words.
        reason: String,
    },
    /// A route of ours found at start.
    Adopted,
    /// What is left of a wider ban that was split.
    Split {
        /// The ban that was split.
        of: IpNet,
    },
}

/// What was seen of a source within the window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Address of the failure that crossed the threshold.
    pub source: IpAddr,
    /// Failures counted in the window.
    pub failures: u32,
    /// The threshold in force.
    pub max_failures: u32,
    /// Window length.
    #[serde(rename = "window_seconds", serialize_with = "seconds")]
    pub window: Duration,
    /// Weakest grade among the counted failures.
    pub grade: Grade,
    /// Users tried, newest last; bounded, so it may be a part.
    pub users: Vec<String>,
    /// Profile of the last failure.
    pub profile: String,
    /// User agent of the last failure.
    pub user_agent: String,
    /// Bans of this source, this one included.
    pub ban_count: u32,
}

fn seconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(d.as_secs_f64())
}

/// What became of one failure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// Address in the event.
    pub source: IpAddr,
    /// User tried.
    pub user: String,
    /// Profile.
    pub profile: String,
    /// User agent.
    pub user_agent: String,
    /// How sure the address is.
    pub grade: Grade,
    /// Failures counted now in the window of this source.
    pub failures: u32,
    /// Exempt, and why: it was not counted towards a ban.
    pub exempt: Option<Exemption>,
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
    /// A wider ban covers it.
    Superseded,
}

/// Why a due ban is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// The source is exempt.
    Exempt {
        /// Why.
        class: Exemption,
        /// The exempt network.
        net: IpNet,
    },
    /// `max_bans` is reached.
    TooManyBans,
}

/// Something an operator must see.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "alarm", rename_all = "snake_case")]
pub enum Alarm {
    /// `max_bans` is reached: new bans are refused.
    BanTableFull {
        /// The limit.
        max_bans: usize,
    },
}
