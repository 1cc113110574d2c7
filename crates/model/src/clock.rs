//! The one clock of the daemon.
//!
//! | time | is | used for |
//! |---|---|---|
//! | steady | never steps, counts a suspended machine (`CLOCK_BOOTTIME`) | the engine: windows, ends of bans |
//! | wall | the system's time, as it was found at the last look | what people and the store read |
//!
//! The steady time begins at the wall time of the start, so both are the same as long as nobody sets the
//! system's clock. [`Clock::look`] notices when that happens: the wall time moves, the steady time does not.
//! So a ban lasts as long as it was made for, and its end is shown by the time that the host shows.

pub mod by_hand;
mod source;
mod watch;

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sipward_engine::{Expiry, Timestamp};

pub use source::{Reading, Source, System};
pub use watch::StepWatch;

/// Smaller differences are noise of the measurement. The kernel slews all clocks alike, so what is more was set.
const NOISE: i64 = 1_000;

/// Smaller differences between the clocks that count a suspended machine and that do not are noise, too.
const SHORT_SLEEP: Duration = Duration::from_millis(100);

/// How long after the start a step of the clock is taken for a correction of the time that the start went by:
/// a host without a battery clock boots with a wrong one, and sets it right once it has a network.
pub const BOOT: Duration = Duration::from_secs(3_600);

/// The clock. Cheap to clone; all clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Box<dyn Source>,
    /// Time since boot at the start.
    boot: Duration,
    /// The steady time at the start.
    start: Timestamp,
    /// The latest time that an earlier run has stored.
    written: Option<Timestamp>,
    /// What is added to the steady time to get the wall time, in µs.
    offset: AtomicI64,
    /// The system's time has been later than everything stored.
    is_credible: AtomicBool,
    /// How long the machine was suspended since boot.
    suspended: Mutex<Duration>,
}

/// A number that cannot be guessed from outside: the standard library seeds its hashers with the
/// system's randomness.
pub fn seed() -> u64 {
    std::hash::RandomState::new().hash_one(0_u8)
}

/// What [`Clock::look`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Found {
    /// How far the system's clock was set, in µs; backwards is negative. 0 if it was not set.
    pub stepped: i64,
    /// How long the machine was suspended since the last look.
    pub suspended: Duration,
    /// The clock is right only now, as far as that can be known: what was restored has to be looked at again.
    pub corrected: bool,
}

impl Clock {
    /// Starts at the system's present time. `written` is the latest time that an earlier run has stored: when the
    /// system's is before it, one of the two is wrong.
    #[must_use]
    pub fn start(written: Option<Timestamp>) -> Self {
        Self::by(System, written)
    }

    /// The same by another source of time.
    #[must_use]
    pub fn by(source: impl Source + 'static, written: Option<Timestamp>) -> Self {
        let Reading { wall, boot, monotonic } = source.read();
        let shared = Shared {
            source: Box::new(source),
            boot,
            start: wall,
            written,
            offset: AtomicI64::new(0),
            is_credible: AtomicBool::new(written.is_none_or(|written| written <= wall)),
            suspended: Mutex::new(boot.saturating_sub(monotonic)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The latest time that is stored, when the system's clock has never been later.
    #[must_use]
    pub fn behind(&self) -> Option<Timestamp> {
        self.shared.written.filter(|_| !self.shared.is_credible.load(Ordering::Relaxed))
    }

    /// The wall time of the start.
    #[must_use]
    pub fn at_start(&self) -> Timestamp {
        self.wall(self.shared.start)
    }

    /// The present wall time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.wall(self.steady())
    }

    /// Time from now until a wall time; zero when it has passed.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        at.since(self.now())
    }

    /// How long the daemon runs, a suspended machine included.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.shared.source.read().boot.saturating_sub(self.shared.boot)
    }

    /// The steady time of the start.
    #[must_use]
    pub fn steady_start(&self) -> Timestamp {
        self.shared.start
    }

    /// The present steady time.
    #[must_use]
    pub fn steady(&self) -> Timestamp {
        self.shared.start + self.shared.source.boot().saturating_sub(self.shared.boot)
    }

    /// The steady time of `instant`; the start for anything before it.
    #[must_use]
    pub fn steady_at(&self, instant: Instant) -> Timestamp {
        self.steady().earlier(instant.elapsed()).max(self.shared.start)
    }

    /// Time from now until a steady time; zero when it has passed.
    #[must_use]
    pub fn until_steady(&self, at: Timestamp) -> Duration {
        at.since(self.steady())
    }

    /// The wall time of a steady time.
    #[must_use]
    pub fn wall(&self, steady: Timestamp) -> Timestamp {
        moved(steady, self.shared.offset.load(Ordering::Relaxed))
    }

    /// An end in wall time.
    #[must_use]
    pub fn wall_end(&self, end: Expiry) -> Expiry {
        match end {
            Expiry::At(at) => Expiry::At(self.wall(at)),
            Expiry::Never => Expiry::Never,
        }
    }

    /// The steady time of a wall time.
    #[must_use]
    pub fn steady_of(&self, wall: Timestamp) -> Timestamp {
        moved(wall, -self.shared.offset.load(Ordering::Relaxed))
    }

    /// The steady time of `stored`, which belongs to something that was so by `known`.
    ///
    /// What was known at a time that is yet to come was stored by another clock than the present one. Its times
    /// count from the latest that is stored, as though the daemon had been down for no time at all.
    #[must_use]
    pub fn restored(&self, stored: Timestamp, known: Timestamp) -> Timestamp {
        let steady = self.steady_of(stored);
        match self.shared.written {
            Some(written) if known > self.now() => steady.earlier(written.since(self.at_start())),
            Some(_) | None => steady,
        }
    }

    /// Looks at the system's clocks: was one set, was the machine suspended? What is found is in force at once.
    pub fn look(&self) -> Found {
        let Reading { wall, boot, monotonic } = self.shared.source.read();
        let expected = self.wall(self.shared.start + boot.saturating_sub(self.shared.boot));
        let difference = difference(wall, expected);
        let stepped = if difference.abs() < NOISE { 0 } else { difference };
        let corrected = stepped != 0 && self.step(stepped, wall, boot);
        Found { stepped, suspended: self.suspended(boot, monotonic), corrected }
    }

    /// Moves the wall time; true when that may correct it.
    fn step(&self, by: i64, wall: Timestamp, boot: Duration) -> bool {
        self.shared.offset.fetch_add(by, Ordering::Relaxed);
        let is_young = boot.saturating_sub(self.shared.boot) < BOOT;
        let catches_up = self.behind().is_some_and(|written| written <= wall);
        if catches_up {
            self.shared.is_credible.store(true, Ordering::Relaxed);
        }
        is_young || catches_up
    }

    fn suspended(&self, boot: Duration, monotonic: Duration) -> Duration {
        let mut before = self.shared.suspended.lock().unwrap_or_else(PoisonError::into_inner);
        let since_boot = boot.saturating_sub(monotonic);
        let more = since_boot.saturating_sub(*before);
        if more < SHORT_SLEEP {
            return Duration::ZERO;
        }
        *before = since_boot;
        more
    }
}

/// A system time as the engine counts it; the epoch for anything before it.
#[must_use]
pub fn stamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH + since_epoch
}

/// A time moved by so many µs; the epoch for anything before it.
#[must_use]
pub fn moved(time: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_micros(time.as_micros().saturating_add_signed(by))
}

/// Seconds as µs.
#[must_use]
pub fn micros(seconds: f64) -> i64 {
    let span = Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default();
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    if seconds < 0.0 { -micros } else { micros }
}

/// `one` − `other` in µs.
fn difference(one: Timestamp, other: Timestamp) -> i64 {
    let micros = |time: Timestamp| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    micros(one).saturating_sub(micros(other))
}

#[cfg(test)]
mod tests;
