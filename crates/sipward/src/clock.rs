//! The one clock of the daemon.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sipward_engine::Timestamp;

/// Wall time at the start, moved on by the monotonic clock: a step of the system's time (NTP, an
/// operator) neither ends bans early nor holds them longer.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    wall: SystemTime,
}

impl Clock {
    /// Starts at the system's present time.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now(), wall: SystemTime::now() }
    }

    /// The moment it was started.
    #[must_use]
    pub fn at_start(&self) -> Timestamp {
        stamp(self.wall)
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// The moment of `instant`; the start for anything before it.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Timestamp {
        self.at_start() + instant.saturating_duration_since(self.start)
    }

    /// Time from now until `at`; zero when it has passed.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        at.since(self.now())
    }
}

/// A system time as the engine counts it; the epoch for anything before it.
#[must_use]
pub fn stamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH + since_epoch
}
