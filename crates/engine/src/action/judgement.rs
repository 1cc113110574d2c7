//! What became of one failure.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Exemption, Text};

/// What became of one failure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// Address in the event; IPv4-mapped IPv6 is written as IPv4.
    pub source: IpAddr,
    /// User tried.
    pub user: Text,
    /// Profile.
    pub profile: Text,
    /// User agent; empty when there was none.
    pub user_agent: Text,
    /// How sure the address is.
    pub grade: Grade,
    /// Whether somebody logged in from there lately.
    pub identity: Identity,
    /// Taken for a phone with an old password: not counted towards a ban
    /// ([`crate::Action::NeedsAttention`]).
    pub attention: bool,
    /// Failures counted now in the window of this source.
    pub failures: u32,
    /// Exempt, and why: it was not counted towards a ban.
    pub exempt: Option<Exemption>,
    /// Already banned when this came (a packet in flight): it was not counted.
    pub banned: bool,
}

/// How sure it is that the named address sent the request, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The attempt beside it never came: weight 0.
    Unjoined,
    /// The nonce was never checked; one blind packet can cause it: weight 0.
    Unproven,
    /// The nonce was valid, but no challenge went to this address.
    Unchallenged,
    /// This FreeSWITCH has never sent an attempt (an old version), so there is nothing to judge by:
    /// taken for [`Grade::Answered`].
    Assumed,
    /// The nonce was valid.
    Answered,
}

impl Grade {
    /// All grades, weakest first.
    pub const ALL: [Self; 5] =
        [Self::Unjoined, Self::Unproven, Self::Unchallenged, Self::Assumed, Self::Answered];
}

/// What is known of a source from those who succeeded there.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Nobody logged in from there lately.
    #[default]
    Stranger,
    /// Somebody did: a higher threshold holds, and forgeable failures weigh nothing.
    Known,
    /// Known for longer than `trust_after`: what is due is told and not done, except the brief ban
    /// of a phone that needs attention.
    Trusted,
    /// Three or more users did within a day: a proxy or a NAT, banned by no rule.
    Shared,
}

impl Identity {
    /// All of them, the least known first.
    pub const ALL: [Self; 4] = [Self::Stranger, Self::Known, Self::Trusted, Self::Shared];
}
