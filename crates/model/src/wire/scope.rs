//! What the bans of a rule stop.

use serde::{Deserialize, Serialize};
use sipward_engine::Scope;

/// What the bans of a rule stop, as the file and the API have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleScope {
    /// What `policy.scope` says.
    Policy,
    /// The host.
    Host,
    /// Packets to the SIP ports.
    Sip,
}

impl RuleScope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Policy, Self::Host, Self::Sip];

    /// As the engine has it.
    #[must_use]
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::Policy => None,
            Self::Host => Some(Scope::Host),
            Self::Sip => Some(Scope::Sip),
        }
    }
}

impl From<Option<Scope>> for RuleScope {
    fn from(scope: Option<Scope>) -> Self {
        match scope {
            None => Self::Policy,
            Some(Scope::Host) => Self::Host,
            Some(Scope::Sip) => Self::Sip,
        }
    }
}
