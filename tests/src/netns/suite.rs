//! Runs the cases of a test binary inside a user namespace.

use std::process::ExitCode;
use std::thread::available_parallelism;

use libtest_mimic::{Arguments, Trial};

use super::{Refused, enter_network_namespace, enter_user_namespace};

/// Cases at once for each core: they wait for timers of the daemon and the kernel nine tenths of their time.
const CASES_PER_CORE: usize = 3;

/// The whole `main` of a test binary with `harness = false`: enters a user and a network namespace,
/// then runs `cases` with the usual command line of `cargo test`.
///
/// Call it before anything that starts a thread. Where the system refuses user namespaces it prints
/// what to set and fails; a test that silently passes proves nothing.
#[must_use]
pub fn main(cases: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    run(enter_user_namespace, cases)
}

/// As [`main`], by [`enter_network_namespace`].
#[must_use]
pub fn main_as_root_if_possible(cases: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    run(enter_network_namespace, cases)
}

fn run(enter: fn() -> Result<(), Refused>, cases: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let cores = available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(CASES_PER_CORE * cores);
    if let Err(refused) = enter() {
        eprintln!("{refused}");
        return ExitCode::FAILURE;
    }
    libtest_mimic::run(&arguments, cases()).exit_code()
}

/// One case, named like the function that holds it; it fails by panicking.
#[must_use]
pub fn case(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}
