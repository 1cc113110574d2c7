//! From a failure at one node to the ban in force at another, with three NATS servers, and while the leader of the
//! stream dies.
//!
//! `cargo bench -p sipward-tests --bench fleet`
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

use sipward_tests::daemon::Daemon;
use sipward_tests::fleet::{Fleet, Node};

use support::Times;

/// Attackers a second, each of which fails five times.
const RATE: u32 = 20;

/// How many in each part: together fewer than a node may publish at once.
const BANS: u32 = 100;

fn main() -> ExitCode {
    support::main(measure)
}

fn measure() {
    let mut fleet = Fleet::new(&["a", "b", "c"], 3);
    let daemons: Vec<Daemon> = fleet.nodes.iter().map(Node::join).collect();
    println!("{:<44} {:>12} {:>12} {:>12}", "event at a -> ban enforced at b", "p50", "p99", "max");
    let quiet = bans(&fleet.nodes[0], 0);
    report("three servers", &daemons, &quiet);
    fleet.kill_leader();
    let dying = bans(&fleet.nodes[0], BANS);
    report("the leader of the stream was killed just before", &daemons, &dying);
}

/// When the fifth failure of each attacker was written.
fn bans(node: &Node, from: u32) -> HashMap<String, Instant> {
    let mut emitted = HashMap::new();
    let began = Instant::now();
    for n in 0..BANS {
        thread::sleep((began + Duration::from_secs(1) * n / RATE).duration_since(Instant::now()));
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + from + n);
        for port in 0..5 {
            node.fs.failure(IpAddr::V4(source), 5060 + port, "1000");
        }
        emitted.insert(format!("{source}/32"), Instant::now());
    }
    emitted
}

fn report(what: &str, daemons: &[Daemon], emitted: &HashMap<String, Instant>) {
    let is_one = |net: &str| emitted.contains_key(net);
    let bans = daemons[1].expect_many("ban", emitted.len(), |line| is_one(line.text("net")));
    let times = bans.iter().map(|ban| ban.read.duration_since(emitted[ban.text("net")])).collect();
    let times = Times::of(times);
    let (p50, p99, max) = (times.percentile(50), times.percentile(99), times.max());
    println!("{what:<44} {p50:>12} {p99:>12} {max:>12}");
}
