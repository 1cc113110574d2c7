//! The real daemon between a fake FreeSWITCH and the real kernel, in networks made of namespaces.
//!
//! | module | shows |
//! |---|---|
//! | `bans` | whoever fails too often is out, for his time, and nobody else |
//! | `spared` | who is never banned |
//! | `evidence` | recordings of a real FreeSWITCH: what counts and what does not |
//! | `identity` | phones, gateways and access lists of FreeSWITCH, reports of its dialplan |
//! | `connection` | the Event Socket: refused, cut, stalled, restarted |
//! | `lifecycle` | start, reload, stop, crash, observe, flush, missing rights |
//! | `store` | what outlives a stop, a crash, a reboot, a full disk, a broken file |
//! | `crash` | `kill -9` again and again in a storm |
//! | `secrecy` | the password is in no output |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bans;
mod connection;
mod crash;
mod evidence;
mod identity;
mod kernel;
mod lifecycle;
mod secrecy;
mod spared;
mod store;
mod world;

use std::process::ExitCode;

use sipward_tests::netns;

fn main() -> ExitCode {
    netns::main(|| {
        [
            bans::cases(),
            spared::cases(),
            evidence::cases(),
            identity::cases(),
            connection::cases(),
            lifecycle::cases(),
            store::cases(),
            crash::cases(),
            secrecy::cases(),
        ]
        .into_iter()
        .flatten()
        .collect()
    })
}

/// The cases of a module: each is named like its function.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$(sipward_tests::netns::case(
                &format!("{module}::{}", stringify!($name)), $name)),*]
        }
    };
}
pub(crate) use cases;
