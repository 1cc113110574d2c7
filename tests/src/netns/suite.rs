//! Runs the cases of a test binary inside a user namespace.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use super::{Refused, enter_network_namespace, enter_user_namespace};

/// The whole `main` of a test binary with `harness = false`: enters a user and a network namespace,
/// then runs `cases` with the usual command line of `cargo test`.
///
/// Call it before anything that starts a thread. Where the system refuses user namespaces it prints
/// what to set and fails; a test that silently passes proves nothing.
#[must_use]
pub fn main(cases: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    run(&Arguments::from_args(), enter_user_namespace, cases)
}

/// As [`main`], by [`enter_network_namespace`].
#[must_use]
pub fn main_as_root_if_possible(cases: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    run(&Arguments::from_args(), enter_network_namespace, cases)
}

/// As [`main`], one case after the other unless the command line says otherwise: for cases that need the
/// machine for themselves.
#[must_use]
pub fn main_one_by_one(cases: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    run(&arguments, enter_user_namespace, cases)
}

fn run(
    arguments: &Arguments,
    enter: fn() -> Result<(), Refused>,
    cases: impl FnOnce() -> Vec<Trial>,
) -> ExitCode {
    if let Err(refused) = enter() {
        eprintln!("{refused}");
        return ExitCode::FAILURE;
    }
    libtest_mimic::run(arguments, cases()).exit_code()
}

/// One case, named like the function that holds it; it fails by panicking.
#[must_use]
pub fn case(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}
