//! Where the time comes from.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use sipward_engine::Timestamp;

use super::stamp;

/// How far apart two readings of one clock may be for what is read between them to belong to both.
const TIGHT: Duration = Duration::from_micros(50);

/// Readings before the best of them has to do: on a busy host each may be interrupted.
const ATTEMPTS: usize = 8;

/// What all clocks of the system say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// `CLOCK_REALTIME`.
    pub wall: Timestamp,
    /// `CLOCK_BOOTTIME`: time since boot, a suspended machine included.
    pub boot: Duration,
    /// `CLOCK_MONOTONIC`: the same without.
    pub monotonic: Duration,
}

/// A source of time: the system, or what a test makes of it.
pub trait Source: fmt::Debug + Send + Sync {
    /// What all clocks say.
    fn read(&self) -> Reading;

    /// Time since boot alone, which is read at each event.
    fn boot(&self) -> Duration {
        self.read().boot
    }
}

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Source for System {
    fn read(&self) -> Reading {
        let mut best: Option<(Duration, Reading)> = None;
        for _ in 0..ATTEMPTS {
            let before = Instant::now();
            // In this order, so that what is suspended is never less than nothing.
            let monotonic = since_boot(ClockId::CLOCK_MONOTONIC);
            let boot = since_boot(ClockId::CLOCK_BOOTTIME);
            let reading = Reading { wall: stamp(SystemTime::now()), boot, monotonic };
            let took = before.elapsed();
            if best.is_none_or(|(best, _)| took < best) {
                best = Some((took, reading));
            }
            if took <= TIGHT {
                break;
            }
        }
        let none =
            Reading { wall: Timestamp::EPOCH, boot: Duration::ZERO, monotonic: Duration::ZERO };
        best.map_or(none, |(_, reading)| reading)
    }

    fn boot(&self) -> Duration {
        since_boot(ClockId::CLOCK_BOOTTIME)
    }
}

/// Both clocks are there on every Linux since 2.6.39, and reading them fails on none that has them.
fn since_boot(clock: ClockId) -> Duration {
    clock_gettime(clock).map(|time: TimeSpec| Duration::from(time)).unwrap_or_default()
}
