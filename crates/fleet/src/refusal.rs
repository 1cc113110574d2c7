//! Why a message is refused.

use std::fmt;

/// Why a message that was received is refused. What is refused is counted and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The value has more than [`MAX_VALUE`](crate::message::MAX_VALUE) bytes.
    TooLong,
    /// Another version of the wire.
    Version,
    /// No subject or value of this version, or the two disagree.
    Malformed,
    /// Only operators may say this.
    NotOperator,
    /// A ban of a scope that this version does not have.
    Scope,
    /// The peer says more than is kept of it, and has said newer things since ([`merge`](crate::merge)).
    Full,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Self; 6] =
        [Self::TooLong, Self::Version, Self::Malformed, Self::NotOperator, Self::Scope, Self::Full];

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::NotOperator => "not_operator",
            Self::Scope => "scope",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
