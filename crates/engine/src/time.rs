//! Time as the engine knows it: handed in, never read.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch (the unit of FreeSWITCH's `Event-Date-Timestamp`).
///
/// An `Option` of it takes no more room: a hundred thousand phones have some of these each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Timestamp(
    /// One more than the microseconds.
    NonZeroU64,
);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(NonZeroU64::MIN);

    /// The instant `micros` µs after the Unix epoch; the last one (about the year 586,000) is a microsecond
    /// before what `u64` can say.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(micros))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0.get() - 1
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Timestamp {
    /// The instant `by` before this one; the epoch when there is none.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        Self::from_micros(self.as_micros().saturating_sub(by))
    }
}

impl Default for Timestamp {
    /// The Unix epoch.
    fn default() -> Self {
        Self::EPOCH
    }
}

impl From<u64> for Timestamp {
    /// Of microseconds since the Unix epoch.
    fn from(micros: u64) -> Self {
        Self::from_micros(micros)
    }
}

impl From<Timestamp> for u64 {
    /// Microseconds since the Unix epoch.
    fn from(timestamp: Timestamp) -> Self {
        timestamp.as_micros()
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at the end of time (about the year 586,000) instead of overflowing.
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// When a ban ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// At this time.
    At(Timestamp),
    /// Only when somebody lifts it.
    Never,
}
