//! Bans at an edge router: the enforcer and BIRD on a FreeSWITCH host, BIRD on its edge router, with the
//! configurations of `deploy/bird`, on the real kernel. They need Debian's package bird2.
//!
//! | module | shows |
//! |---|---|
//! | `announced` | which bans the edge router's kernel gets, with which communities, and how they go |
//! | `bulk` | 100,000 bans at once: ignored here, run by `.ci/full` |
//! | `routers` | the hosts and the two BIRDs |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod announced;
mod bulk;
#[allow(dead_code, unused_imports, reason = "the kernel tests use the rest")]
#[path = "../kernel/outside.rs"]
mod outside;
mod routers;
#[allow(dead_code, reason = "the kernel tests use the rest")]
#[path = "../kernel/world.rs"]
mod world;

use std::process::ExitCode;

use sipward_tests::netns;

fn main() -> ExitCode {
    netns::main_as_root_if_possible(|| {
        [announced::cases(), bulk::cases()].into_iter().flatten().collect()
    })
}
