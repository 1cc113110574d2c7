//! Memory of the daemon, idle and with 100,000 bans.
//!
//! `cargo bench -p sipward-tests --bench memory`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot measure should end"
)]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use sipward_tests::daemon::Daemon;
use sipward_tests::wait::PATIENCE;

use support::world::World;

/// Sources, each banned by its first failure.
const BANS: u32 = 100_000;

/// Failures a second: several times what a FreeSWITCH can report, and slow enough that memory is
/// that of the bans and not that of a queue.
const RATE: u32 = 10_000;

/// How long the store keeps what it took of memory for writing, and more.
const SETTLED: Duration = Duration::from_secs(6);

/// Failures between two pauses.
const BATCH: u32 = 100;

fn main() -> ExitCode {
    support::main(measure)
}

fn measure() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 1\n");
    let daemon = world.watch(&setup);
    thread::sleep(Duration::from_secs(1));
    report(&daemon, "idle");

    let began = Instant::now();
    for n in 0..BANS {
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + n);
        world.fs.failure(IpAddr::V4(source), 5060, "1000");
        if n % BATCH == 0 {
            let due = began + Duration::from_secs(1) * n / RATE;
            thread::sleep(due.duration_since(Instant::now()));
            world.fs.wait_until_sent(PATIENCE).unwrap();
        }
    }
    let told = daemon.expect_many("ban", BANS as usize, |_| true).len();
    println!(
        "{told} bans in {:.1} s, {} events lost",
        began.elapsed().as_secs_f64(),
        world.fs.lost()
    );
    report(&daemon, "at the end");
    thread::sleep(SETTLED);
    report(&daemon, "with bans");
}

fn report(daemon: &Daemon, when: &str) {
    let (resident, own) = (daemon.resident_bytes() / 1024, daemon.own_bytes() / 1024);
    println!("{when:<12} {resident:>8} KiB resident, {own:>8} KiB of them its own");
}
