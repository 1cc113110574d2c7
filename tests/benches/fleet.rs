//! From a failure at one node to the ban in force at another, with three NATS servers, and while the leader of the
//! stream dies. Then a new node takes 100,000 bans from the stream while it is attacked.
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
use std::ops::Range;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sipward_fleet::message::{Ban, Body, By, Scope, Standing};
use sipward_fleet::{Own, Settings, Start, Text};
use sipward_tests::daemon::{Daemon, Line};
use sipward_tests::fleet::{Fleet, Node};

use support::Times;

/// From one attacker to the next, each of which fails five times.
const PAUSE: Duration = Duration::from_millis(50);

/// How many in each part: together fewer than a node may publish at once.
const BANS: u32 = 100;

/// Nodes whose bans a new node takes, with as many each as one may have.
const PEERS: u32 = 10;
const EACH: u32 = 10_000;

/// Attackers at the new node, one each 20 ms, which is longer than it needs for all that the others say.
const LOCAL: u32 = 400;

fn main() -> ExitCode {
    support::main(|| {
        one_ban();
        newcomer();
    })
}

fn one_ban() {
    let mut fleet = Fleet::new(&["a", "b", "c"], 3);
    let daemons: Vec<Daemon> = fleet.nodes.iter().map(Node::join).collect();
    println!("{:<44} {:>12} {:>12} {:>12}", "event at a -> ban enforced at b", "p50", "p99", "max");
    let quiet = attack(&fleet.nodes[0], 0..BANS, PAUSE);
    report("three servers", &daemons, &quiet);
    fleet.kill_leader();
    let dying = attack(&fleet.nodes[0], BANS..2 * BANS, PAUSE);
    report("the leader of the stream was killed just before", &daemons, &dying);
}

/// Attacks a node, a host after the other. Gives when the fifth failure of each was written.
fn attack(node: &Node, hosts: Range<u32>, pause: Duration) -> HashMap<String, Instant> {
    let mut emitted = HashMap::new();
    let (began, first) = (Instant::now(), hosts.start);
    for n in hosts {
        thread::sleep((began + pause * (n - first)).duration_since(Instant::now()));
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + n);
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
    row(what, bans.iter().map(|ban| ban.read.duration_since(emitted[ban.text("net")])));
}

fn row(what: &str, times: impl Iterator<Item = Duration>) {
    let times = Times::of(times.collect());
    let (p50, p99, max) = (times.percentile(50), times.percentile(99), times.max());
    println!("{what:<44} {p50:>12} {p99:>12} {max:>12}");
}

fn newcomer() {
    let fleet = Fleet::new(&["new"], 1);
    let node = &fleet.nodes[0];
    fleet.hub().run(fill_stream);
    let daemon = node.start();
    let emitted = attack(node, 0..LOCAL, Duration::from_millis(20));
    let all = (PEERS * EACH + LOCAL) as usize;
    let bans = daemon.expect_many("ban", all, |_| true);
    let (own, others): (Vec<Line>, Vec<Line>) =
        bans.into_iter().partition(|ban| emitted.contains_key(ban.text("net")));
    let unenforced = others.iter().filter(|ban| *ban.field("enforced") != true).count();
    let first = others.iter().map(|ban| ban.read).min().expect("a ban");
    let last = others.iter().map(|ban| ban.read).max().expect("a ban");
    println!(
        "a new node: {} bans of others in force after {:.2} s, {unenforced} not enforced",
        others.len(),
        (last - first).as_secs_f64()
    );
    let (during, after): (Vec<Line>, Vec<Line>) = own.into_iter().partition(|ban| ban.read <= last);
    for (what, bans) in [("own bans meanwhile", during), ("own bans afterwards", after)] {
        let time = |ban: &Line| Duration::from_micros(ban.number("event_to_route_us").unwrap());
        let what = format!("{what}, {} of them: event -> route", bans.len());
        row(&what, bans.iter().map(time));
    }
}

/// Has other nodes say their bans, decided two hours ago.
fn fill_stream() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let decided =
        u64::try_from(now.checked_sub(Duration::from_secs(7_200)).unwrap().as_millis()).unwrap();
    let standing = Standing {
        decided,
        for_ms: None,
        by: By::Rule,
        scope: Scope::Host,
        rule: Text::cut("failures"),
        grade: Text::cut("answered"),
        failures: 5,
        score: 5.0,
        count: 1,
        why: Text::cut("failures 5, 4 users"),
    };
    runtime.block_on(async {
        for peer in 0..PEERS {
            let first = u32::from(Ipv4Addr::new(100, 64, 0, 0)) + peer * EACH;
            let ban = |n| {
                let net = IpAddr::V4(Ipv4Addr::from(first + n)).into();
                Own { body: Body::Ban(net, Ban::Stands(standing.clone())), until: None }
            };
            let name = format!("ams.n{peer}").parse().unwrap();
            let settings = Settings::new(vec!["nats://127.0.0.1:4222".to_owned()], name);
            let start = Start { n: 0, standing: (0..EACH).map(ban).collect() };
            let (fleet, mut received, link) = sipward_fleet::link(settings, start).unwrap();
            let all_said = async {
                let mut looks = tokio::time::interval(Duration::from_millis(20));
                loop {
                    tokio::select! {
                        _ = looks.tick() => {
                            let seen = fleet.snapshot();
                            if seen.caught_up && seen.unacknowledged == 0 {
                                break;
                            }
                        }
                        _ = received.recv() => {}
                    }
                }
            };
            tokio::select! {
                () = link.run(std::future::pending()) => panic!("the link ended"),
                () = all_said => {}
            }
        }
    });
}
