//! A flood of real packets: how long, after its fifth failure, does a source still get through?
//!
//! The attacker's packets go over a router to a UDP socket on the PBX. For each that arrives the fake
//! FreeSWITCH sends the events of a failed REGISTER; five of one source ban it. Measured for every
//! source: the time from its fifth failure event to the last of its packets that reached the socket,
//! and how many got through. A phone that has logged in sends all the while and must notice nothing.
//!
//! `cargo bench -p sipward-tests --bench flood`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot measure should end"
)]

mod support;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sipward_tests::netns::Host;
use sipward_tests::wait::until;

use support::Times;
use support::world::{Family, World};

/// Failures that ban, as by default.
const MAX_FAILURES: u32 = 5;

/// How long each flood lasts.
const FLOOD: Duration = Duration::from_secs(8);

/// Pause between two packets of the phone, which may send 20 a second.
const PHONE: Duration = Duration::from_millis(100);

/// Sources and packets a second of all of them together. The last is far more than a FreeSWITCH
/// could answer: it shows what many bans at the same moment cost.
const FLOODS: [(u8, u32); 3] = [(1, 1_500), (200, 1_500), (200, 40_000)];

fn main() -> ExitCode {
    support::main(|| {
        println!(
            "{:>7} {:>9} {:>7} | {:^39} | {:^17} | {:>12} | phone",
            "sources",
            "packets/s",
            "banned",
            "5th failure event -> last packet",
            "packets through",
            "-> ban line"
        );
        println!(
            "{:>7} {:>9} {:>7} | {:>12} {:>12} {:>13} | {:>8} {:>8} | {:>12} | lost",
            "", "", "", "p50", "p99", "max", "median", "max", "max"
        );
        for (sources, rate) in FLOODS {
            flood(sources, rate);
        }
    })
}

fn flood(sources: u8, rate: u32) {
    let world = World::new();
    let addresses: Vec<Ipv4Addr> =
        (0..sources).map(|n| Ipv4Addr::new(198, 51, 100, 10 + n)).collect();
    for address in &addresses {
        world.attacker.address("eth0", &format!("{address}/24"));
    }
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let socket = world.pbx.run(|| UdpSocket::bind((Family::V4.pbx(), 5060))).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();

    world.fs.success(Family::V4.phone().parse().unwrap(), 5060, "1001");
    let about_phone = format!("/sources/{}", Family::V4.phone());
    let identity = || setup.client().get(&about_phone).expect(200)["identity"].clone();
    until("the phone is known", || identity() == "known");

    let over = AtomicBool::new(false);
    let (seen, from_phone, by_phone) = thread::scope(|scope| {
        let freeswitch = scope.spawn(|| listen(&world, &socket, &over));
        let phone = scope.spawn(|| call(&world.phone));
        let attacker = scope.spawn(|| attack(&world.attacker, &addresses, rate));
        attacker.join().unwrap();
        let by_phone = phone.join().unwrap();
        over.store(true, Ordering::Relaxed);
        let (seen, from_phone) = freeswitch.join().unwrap();
        (seen, from_phone, by_phone)
    });

    let bans = daemon.expect_many("ban", usize::from(sources), |_| true);
    let lags: Vec<Duration> = seen.values().filter_map(Seen::lag).collect();
    let mut through: Vec<u32> = seen.values().map(|seen| seen.packets).collect();
    through.sort_unstable();
    let told = bans.iter().filter_map(|ban| {
        let source: IpAddr = ban.text("net").split('/').next()?.parse().ok()?;
        Some(ban.read.saturating_duration_since(seen.get(&source)?.fifth?))
    });
    let (times, told) = (Times::of(lags), Times::of(told.collect()));
    println!(
        "{sources:>7} {rate:>9} {:>7} | {:>12} {:>12} {:>13} | {:>8} {:>8} | {:>12} | {} of {by_phone}",
        bans.len(),
        times.percentile(50),
        times.percentile(99),
        times.max(),
        through[through.len() / 2],
        through[through.len() - 1],
        told.max(),
        by_phone - from_phone,
    );
}

/// What arrived of one source.
struct Seen {
    packets: u32,
    last: Instant,
    /// When the failure event that crosses the threshold went out.
    fifth: Option<Instant>,
}

impl Seen {
    /// From the fifth failure event to the last packet; none when it never came to five.
    fn lag(&self) -> Option<Duration> {
        Some(self.last.saturating_duration_since(self.fifth?))
    }
}

/// The PBX: every packet of an attacker is a failed REGISTER. Gives what arrived of each attacker,
/// and how many packets of the phone did.
fn listen(world: &World, socket: &UdpSocket, over: &AtomicBool) -> (HashMap<IpAddr, Seen>, u32) {
    let [phone, own]: [IpAddr; 2] =
        [Family::V4.phone(), Family::V4.pbx()].map(|address| address.parse().unwrap());
    let mut seen: HashMap<IpAddr, Seen> = HashMap::new();
    let mut from_phone = 0;
    let mut packet = [0; 64];
    loop {
        let peer = match socket.recv_from(&mut packet) {
            Ok((_, peer)) => peer,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if over.load(Ordering::Relaxed) {
                    return (seen, from_phone);
                }
                continue;
            }
            Err(error) => panic!("the PBX's socket: {error}"),
        };
        let now = Instant::now();
        // The daemon's own probes are no attack.
        if peer.ip() == own {
            continue;
        }
        if peer.ip() == phone {
            from_phone += 1;
            continue;
        }
        let source = seen.entry(peer.ip()).or_insert(Seen { packets: 0, last: now, fifth: None });
        source.packets += 1;
        source.last = now;
        if source.packets == MAX_FAILURES {
            source.fifth = Some(now);
        }
        world.fs.failure(peer.ip(), peer.port(), "1000");
    }
}

/// Sends `rate` packets a second in all, of each address in turn.
fn attack(host: &Host, addresses: &[Ipv4Addr], rate: u32) {
    let sockets: Vec<UdpSocket> = host.run(|| {
        addresses.iter().map(|address| UdpSocket::bind((*address, 5060)).unwrap()).collect()
    });
    let began = Instant::now();
    for (sent, socket) in (0_u64..).zip(sockets.iter().cycle()) {
        let due = began + Duration::from_nanos(sent * 1_000_000_000 / u64::from(rate));
        if due > began + FLOOD {
            return;
        }
        let ahead = due.saturating_duration_since(Instant::now());
        // Sleeping is good to some 60 µs; shorter waits make bursts of a few packets instead.
        if ahead > Duration::from_micros(100) {
            thread::sleep(ahead);
        }
        // A banned host gets no sign that its packets are dropped.
        let _ = socket.send_to(b"REGISTER", (Family::V4.pbx(), 5060));
    }
}

/// Sends a packet every 100 ms as long as the flood lasts; gives how many.
fn call(host: &Host) -> u32 {
    let socket = host.run(|| UdpSocket::bind((Family::V4.phone(), 5060))).unwrap();
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < FLOOD {
        socket.send_to(b"REGISTER", (Family::V4.pbx(), 5060)).unwrap();
        sent += 1;
        thread::sleep(PHONE);
    }
    sent
}
