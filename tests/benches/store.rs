//! The store: a start with 100,000 stored bans against `ip -batch` for the same routes, a start with the
//! routes already there, and bans by the second into the file.
//!
//! `cargo bench -p sipward-tests --bench store`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot measure should end"
)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use sipward_config::{StoreLocation, StoreSettings};
use sipward_engine::{
    Cause, Details, Evidence, Expiry, Grade, Identity, RuleName, Scope, Text, Timestamp,
};
use sipward_store::{Closed, Entry, SavedBan, State, Store};
use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::netns::Host;

use support::Times;
use support::world::setup_without_credentials;

/// Stored bans.
const BANS: u32 = 100_000;

/// Runs of each start; the fastest counts, because everything else on the machine only slows.
const RUNS: usize = 5;

/// Bans by the second into the store, and for how long.
const RATE: u32 = 20_000;
const SECONDS: u32 = 10;

fn main() -> ExitCode {
    support::main(|| {
        starts();
        sustained();
    })
}

fn starts() {
    let made = tempfile::tempdir().unwrap();
    let file = made.path().join("sipward.db");
    fill(&file);
    let size = fs::metadata(&file).unwrap().len();
    println!("{BANS} stored bans, a file of {:.1} MB, best of {RUNS}\n", megabytes(size));
    let [mut empty, mut there, mut batch] = [Duration::MAX; 3];
    // In turn, so that whatever else the machine does slows all.
    for _ in 0..RUNS {
        let (first, second) = two_starts(&file);
        empty = empty.min(first);
        there = there.min(second);
        batch = batch.min(ip_batch());
    }
    let share = |took: Duration| took.as_secs_f64() / batch.as_secs_f64();
    let began = Instant::now();
    let saved = Store::open(&settings(&file)).unwrap().1;
    println!("to read them: {:.0} ms for {}\n", ms(began.elapsed()), saved.bans.len());
    println!("{:<48}{:>9}{:>16}", "", "ms", "of ip -batch");
    for (what, took) in [
        ("sipward, from its start to READY, empty kernel", empty),
        ("sipward, the routes are there already", there),
        ("ip -batch, the same routes", batch),
    ] {
        println!("{what:<48}{:>9.0}{:>16.2}", ms(took), share(took));
    }
}

/// Times from the start of the program until it says that it is ready: into a fresh namespace, and
/// once more after it was killed there.
fn two_starts(stored: &Path) -> (Duration, Duration) {
    let host = Host::new("pbx");
    let setup = setup_without_credentials("").event_socket("127.0.0.1:9".parse().unwrap(), "pw");
    fs::copy(stored, setup.store_file()).unwrap();
    let path = setup.directory().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let setup = setup.env("NOTIFY_SOCKET", path.to_str().unwrap());
    let (daemon, empty) = start(&host, &setup, &socket);
    assert_eq!(daemon.expect("started").number("restored"), Some(u64::from(BANS)));
    daemon.kill();
    while socket_is_full(&socket) {}
    let (daemon, there) = start(&host, &setup, &socket);
    assert_eq!(daemon.expect("started").number("adopted"), Some(0));
    daemon.kill();
    (empty, there)
}

fn start(host: &Host, setup: &Setup, socket: &UnixDatagram) -> (Daemon, Duration) {
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let began = Instant::now();
    let daemon = host.run(|| setup.start());
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).expect("READY=1 within a minute");
        if buffer[..length].starts_with(b"READY=1") {
            return (daemon, began.elapsed());
        }
    }
}

/// Takes out what the daemon said before it was killed.
fn socket_is_full(socket: &UnixDatagram) -> bool {
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    socket.recv(&mut [0; 4096]).is_ok()
}

/// From the start of the program to its end.
fn ip_batch() -> Duration {
    let host = Host::new("pbx");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes");
    let mut lines = String::new();
    for n in 0..BANS {
        writeln!(lines, "route add blackhole {} proto 216", source(n)).unwrap();
    }
    fs::write(&file, lines).unwrap();
    let began = Instant::now();
    let status = host.run(|| {
        Command::new("ip").arg("-4").arg("-batch").arg(&file).stdout(Stdio::null()).status()
    });
    let took = began.elapsed();
    assert!(status.expect("the ip program").success(), "ip -batch failed");
    took
}

/// 20,000 bans a second, then as many as it takes.
fn sustained() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory.path().join("sipward.db"));
    let (store, _) = Store::open(&settings).unwrap();
    let mut puts = Vec::with_capacity((RATE * SECONDS) as usize);
    let mut behind = Duration::ZERO;
    let began = Instant::now();
    for n in 0..RATE * SECONDS {
        if n % 100 == 0 {
            let due = began + Duration::from_secs(1) * n / RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            behind = behind.max(Duration::from_millis(store.health().behind_ms));
        }
        let entry = entry(n);
        let put = Instant::now();
        store.put(entry);
        puts.push(put.elapsed());
    }
    let handed_in = began.elapsed();
    settle(&store);
    let health = store.health();
    assert_eq!((health.state, health.dropped), (State::Ok, 0));
    let puts = Times::of(puts);
    println!("\n{} bans, {RATE} a second, into a file", puts.len());
    println!(
        "handed in within {:.2} s, the last written {:.0} ms later, never more than {:.0} ms behind",
        handed_in.as_secs_f64(),
        ms(began.elapsed().saturating_sub(handed_in)),
        behind.as_secs_f64() * 1e3,
    );
    println!(
        "handing one in: p50 {}, p99 {}, max {}",
        puts.percentile(50),
        puts.percentile(99),
        puts.max()
    );
    drop(store);

    let directory = tempfile::tempdir().unwrap();
    let began = Instant::now();
    fill(&directory.path().join("sipward.db"));
    let rate = f64::from(BANS) / began.elapsed().as_secs_f64();
    println!("as fast as it can: {rate:.0} bans/s");
}

/// Stores all bans, and leaves a closed file behind.
fn fill(file: &Path) {
    let (store, _) = Store::open(&settings(file)).unwrap();
    for n in 0..BANS {
        store.put(entry(n));
        if n % 10_000 == 0 {
            settle(&store);
        }
    }
    settle(&store);
    assert_eq!(store.health().dropped, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Only a file that is complete by itself may be copied.
    assert_eq!(runtime.block_on(store.close()), Closed::Whole);
}

fn settle(store: &Store) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(store.settled());
}

fn settings(file: &Path) -> StoreSettings {
    StoreSettings { location: StoreLocation::File(file.to_owned()), ..StoreSettings::default() }
}

/// Addresses as scattered over 10.0.0.0/8 as those of a botnet; no two are the same.
fn source(n: u32) -> IpAddr {
    let scattered = n.wrapping_mul(0x9E_3779) & 0xff_ffff;
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) | scattered).into()
}

/// A ban as a brute-forcer earns it: five failures with five users.
fn entry(n: u32) -> Entry {
    let since = now();
    let cause = Cause::Rule(Evidence {
        rule: RuleName::Failures,
        address: source(n),
        identity: Identity::Stranger,
        failures: 5,
        score: 5.0,
        max_failures: 5,
        window: Duration::from_secs(600),
        grade: Grade::Answered,
        ban_count: 1,
        details: Some(Box::new(Details {
            users: ["1000", "1001", "1002", "admin", "sip"].map(Text::new).into(),
            profile: Text::new("internal"),
            user_agent: Text::new("Grandstream GXP1625 1.0.4.132"),
            reason: None,
        })),
    });
    let until = Expiry::At(since + Duration::from_secs(86_400));
    let ban = SavedBan {
        net: IpNet::from(source(n)),
        scope: Scope::Host,
        since,
        until,
        cause: Arc::new(cause),
    };
    Entry::Ban { at: since, ban }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn now() -> Timestamp {
    Timestamp::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "for the eye")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
