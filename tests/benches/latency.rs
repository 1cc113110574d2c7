//! From an event on the socket to a route that the kernel has acknowledged and a lookup has shown to
//! win, at 100 bans a second, with the monitor subscribed to what the daemon itself changes.
//!
//! `cargo bench -p sipward-tests --bench latency`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot measure should end"
)]

mod support;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use sipward_tests::daemon::Line;

use support::Times;
use support::world::World;

/// Failures a second, each of a source of its own and each a ban.
const RATE: u32 = 100;

/// How many: enough for a 99th percentile that stands on 20 values.
const BANS: u32 = 2_000;

fn main() -> ExitCode {
    support::main(measure)
}

fn measure() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 1\n");
    let daemon = world.watch(&setup);
    let mut emitted = HashMap::new();
    let began = Instant::now();
    for n in 0..BANS {
        thread::sleep((began + Duration::from_secs(1) * n / RATE).duration_since(Instant::now()));
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + n);
        emitted.insert(format!("{source}/32"), Instant::now());
        world.fs.failure(IpAddr::V4(source), 5060, "1000");
    }
    let bans = daemon.expect_many("ban", BANS as usize, |_| true);
    let unenforced = bans.iter().filter(|ban| *ban.field("enforced") != true).count();
    let inside = bans.iter().map(event_to_route).collect();
    let outside =
        bans.iter().map(|ban| ban.read.duration_since(emitted[ban.text("net")])).collect();

    println!("{BANS} bans at {RATE}/s, {unenforced} of them not enforced");
    println!("{:<52} {:>12} {:>12} {:>12}", "", "p50", "p99", "max");
    for (what, times) in [
        ("event read from the socket -> route verified", Times::of(inside)),
        ("event written by FreeSWITCH -> log line read", Times::of(outside)),
    ] {
        let (p50, p99, max) = (times.percentile(50), times.percentile(99), times.max());
        println!("{what:<52} {p50:>12} {p99:>12} {max:>12}");
    }
}

fn event_to_route(ban: &Line) -> Duration {
    Duration::from_micros(ban.number("event_to_route_us").expect("a ban by an event"))
}
