//! A source of time for tests, here because tests of several crates need it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sipward_engine::Timestamp;

use super::source::{Reading, Source};

/// A source of time that tests move.
#[derive(Clone, Debug)]
pub struct ByHand(Arc<Mutex<Reading>>);

impl ByHand {
    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn at(wall: Timestamp) -> Self {
        let up = Duration::from_secs(1_000);
        Self(Arc::new(Mutex::new(Reading { wall, boot: up, monotonic: up })))
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        let mut now = self.reading();
        (now.wall, now.boot, now.monotonic) =
            (now.wall + time, now.boot + time, now.monotonic + time);
    }

    /// The machine sleeps.
    pub fn sleep(&self, time: Duration) {
        let mut now = self.reading();
        (now.wall, now.boot) = (now.wall + time, now.boot + time);
    }

    /// Sets the system's clock.
    pub fn set(&self, wall: Timestamp) {
        self.reading().wall = wall;
    }
}

impl Source for ByHand {
    fn read(&self) -> Reading {
        *self.reading()
    }
}
