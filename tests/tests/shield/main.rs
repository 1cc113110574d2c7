//! The shield under floods: the real daemon, the real kernel, real UDP and TCP, and a fake sofia that goes deaf
//! as a real one does.
//!
//! | module | shows |
//! |---|---|
//! | `floods` | a phone that registers five times a second loses nothing, whatever the flood |
//! | `newcomers` | phones that are not known yet, and many at once |
//! | `scanners` | strangers that cause no event are slowed, monitors and carriers lose nothing |
//! | `states` | what people see of it |
//!
//! Cases that take minutes are ignored here and run in `.ci/full`, one at a time
//! (`cargo test --release -p sipward-tests --test shield -- --ignored --test-threads 1`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod floods;
mod newcomers;
mod scanners;
mod states;
mod world;

use std::process::ExitCode;

use sipward_tests::{daemon, netns};

fn main() -> ExitCode {
    if daemon::is_wanted() {
        return sipward::cli::main();
    }
    netns::main(|| {
        [floods::cases(), newcomers::cases(), scanners::cases(), states::cases()]
            .into_iter()
            .flatten()
            .collect()
    })
}

/// The cases of a module: each is named like its function. After `long`, those that take minutes.
macro_rules! cases {
    ($($name:ident),* $(,)? ; long $($long:ident),* $(,)?) => {
        pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            let name = |case: &str| format!("{module}::{case}");
            vec![
                $(sipward_tests::netns::case(&name(stringify!($name)), $name),)*
                $(sipward_tests::netns::case(&name(stringify!($long)), $long).with_ignored_flag(true),)*
            ]
        }
    };
}
pub(crate) use cases;
