//! `sipward-route` against the real kernel: routes, gate, monitor, each case in network namespaces of its
//! own.
//!
//! | file | proves |
//! |---|---|
//! | `bans.rs` | a banned host's packets arrive no more, another host's do |
//! | `scope.rs` | bans from the SIP ports; the gate's sets of bans over restarts and damage |
//! | `flows.rs` | one flow of an address is denied, the others pass; flows of registered phones |
//! | `changes.rs` | thousands of changes of both, as fast as they go |
//! | `gate.rs` | the gate drops nothing else |
//! | `routes.rs` | whose routes are touched, and which win |
//! | `policy.rs` | policy rules of others: proved for each way in, moved where they pass by |
//! | `foreign.rs` | routes of others: counted where they stop, tried again when they go; what an unban leaves |
//! | `healing.rs` | what outsiders take away comes back |
//! | `sip.rs` | packets to the SIP ports are counted |
//! | `shield.rs`, `shield_tcp.rs` | strangers share budgets, healthy hosts pass |
//! | `shield_hosts.rs` | the shield's hosts over restarts and damage; newcomers |
//! | `looking.rs` | a look at all of it that changes nothing |
//! | `opening.rs` | start, coverage, flush, missing capability |
//! | `world.rs`, `outside.rs`, `traffic.rs` | the little network, what others do to it, what is sent in it |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod bans;
mod changes;
mod flows;
mod foreign;
mod gate;
mod healing;
mod looking;
mod opening;
mod outside;
mod policy;
mod routes;
mod scope;
mod shield;
mod shield_hosts;
mod shield_tcp;
mod sip;
mod traffic;
mod world;

use std::process::ExitCode;

use sipward_tests::netns;

fn main() -> ExitCode {
    netns::main(|| {
        let files = [
            bans::cases(),
            scope::cases(),
            flows::cases(),
            changes::cases(),
            gate::cases(),
            routes::cases(),
            policy::cases(),
            foreign::cases(),
            healing::cases(),
            looking::cases(),
            opening::cases(),
            sip::cases(),
            shield::cases(),
            shield_hosts::cases(),
            shield_tcp::cases(),
        ];
        files.into_iter().flatten().collect()
    })
}
