//! What evidence and addresses are worth.

use serde::{Deserialize, Serialize};

/// How sure it is that the named address sent the request, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The attempt beside it never came.
    Unjoined,
    /// The nonce was never checked; one blind packet can cause it.
    Unproven,
    /// The nonce was valid, but no challenge went to this address: it was fetched elsewhere, or the
    /// phone goes on with the nonce of its last registration.
    Unchallenged,
    /// The nonce was valid and a challenge went to this address lately, but for another dialog
    /// (Call-ID), or one whose challenge is used up already; or sipward was blind at the time.
    Challenged,
    /// This FreeSWITCH has never sent an attempt (an old version), so there is nothing to judge by.
    Assumed,
    /// The nonce was valid and this dialog was challenged at this profile and address. A patient forger that first
    /// sends a request without credentials in the name of its victim can cause it.
    Answered,
    /// The dialog (Call-ID) by which this user is registered from this address now, or was within the
    /// last hour. No host off the path knows it.
    Genuine,
}

impl Grade {
    /// All grades, weakest first.
    pub const ALL: [Self; 7] = [
        Self::Unjoined,
        Self::Unproven,
        Self::Unchallenged,
        Self::Challenged,
        Self::Assumed,
        Self::Answered,
        Self::Genuine,
    ];

    /// Another host could have caused it under this address with one packet.
    #[must_use]
    pub const fn is_forgeable(self) -> bool {
        matches!(self, Self::Unjoined | Self::Unproven)
    }

    /// It shows where the request came from, as far as this FreeSWITCH can.
    #[must_use]
    pub const fn is_proved(self) -> bool {
        matches!(self, Self::Assumed | Self::Answered | Self::Genuine)
    }

    /// Its name in the configuration, the log and the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unjoined => "unjoined",
            Self::Unproven => "unproven",
            Self::Unchallenged => "unchallenged",
            Self::Challenged => "challenged",
            Self::Assumed => "assumed",
            Self::Answered => "answered",
            Self::Genuine => "genuine",
        }
    }
}

/// What is known of a source from successful log-ins.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// No user logged in from there lately.
    #[default]
    Stranger,
    /// No user logged in from there, but the dialplan accepted a call from there within a day: no
    /// report of the dialplan bans it.
    Caller,
    /// A user logged in from there lately.
    Known,
    /// Known for longer than `trust_after`, or registered there when sipward was first installed.
    Trusted,
    /// Three or more users of at least a day did so within a day: a proxy or a NAT.
    Shared,
}

impl Identity {
    /// All of them, the least known first.
    pub const ALL: [Self; 5] =
        [Self::Stranger, Self::Caller, Self::Known, Self::Trusted, Self::Shared];
}
