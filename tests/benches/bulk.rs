//! Bans in bulk: the enforcer, with its lookups and with its monitor listening, against `ip -batch` for the
//! same routes, each into a fresh network namespace, in the same run.
//!
//! ```text
//! cargo bench -p sipward-tests --bench bulk
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot measure ends"
)]

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_route::{Change, Enforcer, Report, Settings};
use sipward_tests::netns::{Host, enter_user_namespace};
use tokio::sync::{mpsc, oneshot};

/// Bans in one run.
const BANS: u32 = 50_000;
/// Single bans measured.
const SINGLE_BANS: usize = 2000;
/// Runs of each; the fastest counts, because everything else on the machine only slows.
const RUNS: usize = 5;

fn main() -> ExitCode {
    if let Err(refused) = enter_user_namespace() {
        eprintln!("{refused}");
        return ExitCode::FAILURE;
    }
    println!("{BANS} bans into a fresh namespace, best of {RUNS} runs\n");
    println!("{:<28}{:>10}{:>14}{:>22}", "", "ms", "bans/s", "processor, µs a ban");
    for (family, nets) in [("IPv4 /32", ipv4()), ("IPv6 /64", ipv6())] {
        let (mut ours, mut theirs, mut processor) = [Duration::MAX; 3].into();
        // In turn, so that whatever else the machine does slows both.
        for _ in 0..RUNS {
            let (took, of_processor) = with_enforcer(&nets);
            ours = ours.min(took);
            processor = processor.min(of_processor);
            theirs = theirs.min(with_ip_batch(&nets));
        }
        row(&format!("{family} sipward"), ours, Some(processor));
        row(&format!("{family} ip -batch"), theirs, None);
    }
    let mut round_trips = one_by_one();
    round_trips.sort_unstable();
    let at =
        |share: usize| round_trips.get(round_trips.len() * share / 1000).expect("a round trip");
    println!("\none ban at a time, change sent to report received, among {BANS} others");
    println!("p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999));
    moves();
    println!();
    starts("IPv4 /32", &many_ipv4().take(MANY).collect::<Vec<_>>());
    let (ipv4, ipv6) = (many_ipv4().take(MANY / 2), many_ipv6().take(MANY / 2));
    starts("IPv4 /32 and IPv6 /64", &ipv4.chain(ipv6).collect::<Vec<_>>());
    ExitCode::SUCCESS
}

/// Bans that a start finds.
const MANY: usize = 500_000;
/// Starts measured.
const STARTS: usize = 3;

/// How long a start takes that finds many bans in the kernel, with an element in the gate's sets for each.
fn starts(what: &str, nets: &[IpNet]) {
    let host = Host::new("pbx");
    let mut times = host.block_on(async || {
        let (enforcer, _) = Enforcer::open(Settings::default()).await.expect("the kernel side");
        let (changes, change_queue) = mpsc::channel(4096);
        let (report_queue, mut reports) = mpsc::channel(4096);
        let (stop, stopped) = oneshot::channel();
        let enforcer = tokio::spawn(enforcer.run(change_queue, report_queue, stopped));
        for some in nets.chunks(1024) {
            for net in some {
                changes.send(Change::block(*net)).await.expect("a running enforcer");
            }
            for _ in some {
                reports.recv().await.expect("a report");
            }
        }
        drop(stop);
        enforcer.await.expect("no panic").expect("an orderly end");
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let started = Instant::now();
            let (_enforcer, found) =
                Enforcer::open(Settings::default()).await.expect("the kernel side");
            times.push(started.elapsed());
            assert_eq!(found.routes.len(), nets.len());
        }
        times
    });
    times.sort_unstable();
    let [least, middle, most] = [0, STARTS / 2, STARTS - 1]
        .map(|place| times.get(place).copied().unwrap_or_default().as_millis());
    println!("a start that finds {MANY} bans, {what}: {middle} ms ({least}..{most})");
}

fn many_ipv4() -> impl Iterator<Item = IpNet> {
    let first = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    (first..).map(|n| IpNet::from(IpAddr::V4(n.into())))
}

fn many_ipv6() -> impl Iterator<Item = IpNet> {
    let net = |n: u128| Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + (n << 64));
    (0..).map(move |n| IpNet::new(net(n).into(), 64).expect("a length"))
}

/// Bans that move to another table.
const MOVING: u32 = 500_000;

/// From a foreign rule that passes the main table by to the report that all bans are in a table of
/// their own, and how long single bans take meanwhile.
fn moves() {
    let host = Host::new("pbx");
    host.address("lo", "192.0.2.1/32");
    let ip = |words: &str| {
        let status = host.run(|| Command::new("ip").args(words.split(' ')).status());
        assert!(status.expect("the ip program").success(), "ip {words}");
    };
    let (took, mut waits) = host.block_on(async || {
        let (enforcer, _) = Enforcer::open(Settings::default()).await.expect("the kernel side");
        let (changes, change_queue) = mpsc::channel(4096);
        let (report_queue, mut reports) = mpsc::channel(4096);
        let (_running, stop) = oneshot::channel();
        tokio::spawn(enforcer.run(change_queue, report_queue, stop));
        let first = u32::from(Ipv4Addr::new(10, 0, 0, 0));
        let nets: Vec<IpNet> =
            (0..MOVING).map(|n| IpNet::from(IpAddr::V4((first + n).into()))).collect();
        for some in nets.chunks(1024) {
            for net in some {
                changes.send(Change::block(*net)).await.expect("a running enforcer");
            }
            for _ in some {
                reports.recv().await.expect("a report");
            }
        }
        ip("route add unreachable default table 100");
        let started = Instant::now();
        ip("rule add from 192.0.2.1 lookup 100 pref 1000");
        let (mut waits, mut others) = (Vec::new(), ipv6().into_iter());
        let mut sent = None;
        loop {
            if sent.is_none() {
                let net = others.next().expect("enough of them");
                changes.send(Change::block(net)).await.expect("a running enforcer");
                sent = Some(Instant::now());
            }
            match reports.recv().await.expect("a report") {
                Report::Moved { routes, .. } => {
                    assert!(routes >= nets.len(), "{routes} of them");
                    return (started.elapsed(), waits);
                }
                Report::Blocked { .. } => waits.extend(sent.take().map(|sent| sent.elapsed())),
                _ => {}
            }
        }
    });
    waits.sort_unstable();
    let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or_default();
    println!("\n{MOVING} bans move to another table: {} ms", took.as_millis());
    println!("{} single bans meanwhile: p50 {:?}, p99 {:?}", waits.len(), at(50), at(99));
}

/// Round trips of single bans, with the bulk standing already.
fn one_by_one() -> Vec<Duration> {
    let host = Host::new("pbx");
    host.block_on(async || {
        let (enforcer, _) = Enforcer::open(Settings::default()).await.expect("the kernel side");
        let (changes, change_queue) = mpsc::channel(4096);
        let (report_queue, mut reports) = mpsc::channel(4096);
        let (_running, stop) = oneshot::channel();
        tokio::spawn(enforcer.run(change_queue, report_queue, stop));
        for some in ipv4().chunks(1024) {
            for net in some {
                changes.send(Change::block(*net)).await.expect("a running enforcer");
            }
            for _ in some {
                reports.recv().await.expect("a report");
            }
        }
        let mut round_trips = Vec::new();
        for net in ipv6().into_iter().take(SINGLE_BANS) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let sent = Instant::now();
            changes.send(Change::block(net)).await.expect("a running enforcer");
            reports.recv().await.expect("a report");
            round_trips.push(sent.elapsed());
        }
        round_trips
    })
}

/// What the scheduler gave to this thread so far. Other programs slow it less than the clock.
fn processor() -> Duration {
    let text =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("the scheduler's word");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("nanoseconds"))
}

/// From the first change sent to the last report received: routes set, looked up, reported. By the clock, and of the
/// processor; enforcer, sender and receiver share a thread.
fn with_enforcer(nets: &[IpNet]) -> (Duration, Duration) {
    let host = Host::new("pbx");
    host.block_on(async || {
        let (enforcer, _) = Enforcer::open(Settings::default()).await.expect("the kernel side");
        let (changes, change_queue) = mpsc::channel(4096);
        let (report_queue, mut reports) = mpsc::channel(4096);
        let (_running, stop) = oneshot::channel();
        let enforcer = tokio::spawn(enforcer.run(change_queue, report_queue, stop));
        let wishes = nets.to_vec();
        let (started, before) = (Instant::now(), processor());
        tokio::spawn(async move {
            for net in wishes {
                changes.send(Change::block(net)).await.expect("a running enforcer");
            }
        });
        for _ in nets {
            match reports.recv().await.expect("a report") {
                Report::Blocked { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let took = (started.elapsed(), processor().saturating_sub(before));
        enforcer.await.expect("no panic").expect("an orderly end");
        took
    })
}

/// From the start of the program to its end.
fn with_ip_batch(nets: &[IpNet]) -> Duration {
    let host = Host::new("pbx");
    let mut lines = String::new();
    for net in nets {
        writeln!(lines, "route add blackhole {net} proto 216").expect("memory");
    }
    let file = std::env::temp_dir().join(format!("sipward-bulk-{}", std::process::id()));
    std::fs::write(&file, lines).expect("a temporary file");
    let started = Instant::now();
    let status = host.run(|| {
        let mut command = Command::new("ip");
        command.arg(if nets.iter().any(|net| net.addr().is_ipv6()) { "-6" } else { "-4" });
        command.arg("-batch").arg(&file).stdout(Stdio::null()).status()
    });
    let took = started.elapsed();
    std::fs::remove_file(&file).expect("the temporary file");
    assert!(status.expect("the ip program").success(), "ip -batch failed");
    took
}

fn row(name: &str, took: Duration, processor: Option<Duration>) {
    let rate = f64::from(BANS) / took.as_secs_f64();
    let each = processor.map(|all| all.as_secs_f64() * 1e6 / f64::from(BANS));
    let each = each.map(|each| format!("{each:>22.2}")).unwrap_or_default();
    println!("{name:<28}{:>10.0}{rate:>14.0}{each}", took.as_secs_f64() * 1000.0);
}

fn ipv4() -> Vec<IpNet> {
    let first = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    (0..BANS).map(|n| IpNet::from(IpAddr::V4((first + n).into()))).collect()
}

fn ipv6() -> Vec<IpNet> {
    let net = |n: u32| {
        let [a, b] = [n >> 16, n & 0xffff].map(|part| u16::try_from(part).expect("16 bits"));
        Ipv6Addr::new(0x2001, 0xdb8, a, b, 0, 0, 0, 0)
    };
    (0..BANS).map(|n| IpNet::new(net(n).into(), 64).expect("a length")).collect()
}
