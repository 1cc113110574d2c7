//! How much of a banned host's traffic a ban stops.

use serde::{Deserialize, Serialize};

/// What a ban stops.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every packet of the host: a blackhole route and the gate.
    #[default]
    Host,
    /// Packets to the SIP ports only, by the gate. Web, mail and SSH stay reachable.
    Sip,
}

impl Scope {
    /// As it is written: `host` or `sip`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Sip => "sip",
        }
    }

    /// A ban of this scope stops all that one of `other` stops.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        matches!((self, other), (Self::Host, _) | (_, Self::Sip))
    }
}
