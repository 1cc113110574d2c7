//! What the benchmarks of the daemon share.
#![allow(dead_code, reason = "each benchmark uses its part")]

#[path = "../../tests/e2e/world.rs"]
pub(crate) mod world;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use sipward_tests::netns;

/// Enters a user namespace, says what build this is, and runs `bench`.
pub(crate) fn main(bench: impl FnOnce()) -> ExitCode {
    if sipward_tests::daemon::is_wanted() {
        return sipward::cli::main();
    }
    if let Err(refused) = netns::enter_user_namespace() {
        eprintln!("{refused}");
        return ExitCode::FAILURE;
    }
    if cfg!(debug_assertions) {
        println!("NOT OPTIMISED: run it by `cargo bench` for figures that count");
    }
    bench();
    ExitCode::SUCCESS
}

/// Some measured times, in order.
#[derive(Clone, Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        Self(times)
    }

    /// The time that `percent` of all do not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: usize) -> Milliseconds {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        Milliseconds(self.0[rank - 1])
    }

    pub(crate) fn max(&self) -> Milliseconds {
        self.percentile(100)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Shown in milliseconds with µs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Milliseconds(Duration);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:.3} ms", self.0.as_secs_f64() * 1e3))
    }
}
