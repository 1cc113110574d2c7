//! The shield over TCP: new connections and bytes, because one packet can hold many requests.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use sipward_route::{GateSettings, HealthyLimits, OwnLimits, Settings, ShieldSettings};
use sipward_tests::netns::{Host, case};
use sipward_tests::wait::until;

use crate::outside::holds;
use crate::traffic::{Flood, SIP, addresses, connect, knocks, own_all_of, pour};
use crate::world::{
    ATTACKER, ATTACKER6, FAR, PBX, PBX_FOR_PHONE, PBX6, PHONE, Running, World, net,
};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("strangers_share_a_budget_of_bytes_over_tcp", budget_of_bytes),
        case("a_stranger_has_a_limit_of_bytes_over_tcp", own_bytes),
        case("a_healthy_phone_talks_over_tcp_while_strangers_pour", healthy),
        case("strangers_share_a_budget_of_new_connections", budget_of_connections),
        case("a_stranger_has_a_limit_of_new_connections", own_connections),
        case("a_flood_over_udp_shuts_no_stranger_out_of_tcp", udp_flood),
        case("a_slowed_host_is_slow_over_tcp", slowed),
    ]
}

/// How long strangers pour in.
const POUR: Duration = Duration::from_secs(3);

fn budget_of_bytes() {
    let (world, mut running) = start(ShieldSettings {
        tcp_bytes: Some(20_000),
        own: OwnLimits { tcp_bytes: 100_000_000, connections: 1000, ..OwnLimits::default() },
        ..off()
    });
    own_all_of(&world.attacker, "10.66.0.0/16");
    running.shielded(&[]);
    let server = Server::at(&world.pbx);
    let sources = addresses("10.66.0.0/16", 10);
    let (bytes, seconds) = poured(&world, &server, &sources);
    // One second's worth passes at once, and connections cost headers. Bursts of one segment are lost.
    assert!(bytes > 5_000 && bytes < 20_000 * (seconds + 2), "{bytes} in {seconds} s");
    let counts = running.counted();
    assert!(counts.dropped.budget_tcp.ipv4 > 0, "{counts:?}");
    running.stop();
}

fn own_bytes() {
    let (world, mut running) = start(ShieldSettings {
        own: OwnLimits { tcp_bytes: 10_000, ..OwnLimits::default() },
        ..off()
    });
    let server = Server::at(&world.pbx);
    let (bytes, seconds) = poured(&world, &server, &[ATTACKER.parse().unwrap()]);
    assert!(bytes > 2_000 && bytes < 10_000 * (seconds + 2), "{bytes} in {seconds} s");
    // Another is not concerned.
    let other = connect((&world.attacker, FAR), PBX, SIP).expect("a connection");
    assert!(echoes(&other));
    let counts = running.counted();
    assert!(counts.dropped.own_tcp.ipv4 > 0 && counts.dropped.by_budgets() == 0, "{counts:?}");
    running.stop();
}

fn healthy() {
    let (world, mut running) = start(ShieldSettings::default());
    own_all_of(&world.attacker, "10.66.0.0/16");
    running.shielded(&[PHONE]);
    let server = Server::at(&world.pbx);
    let phone = connect((&world.phone, PHONE), PBX_FOR_PHONE, SIP).expect("a connection");
    let sources = addresses("10.66.0.0/16", 20);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            poured(&world, &server, &sources);
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) {
            assert!(echoes(&phone), "an answer got lost");
            thread::sleep(Duration::from_millis(200));
        }
    });
    let counts = running.counted();
    assert!(counts.dropped.by_budgets() > 0 && counts.healthy > 0, "{counts:?}");
    running.stop();
}

fn budget_of_connections() {
    let (world, mut running) = start(ShieldSettings {
        connections: Some(5),
        own: OwnLimits { connections: 1000, ..OwnLimits::default() },
        ..off()
    });
    running.shielded(&[PHONE]);
    let _server = Server::at(&world.pbx);
    let established = connect((&world.attacker, ATTACKER), PBX, SIP).expect("a connection");
    let tries = |from: (&Host, &str), to: &str| (0..20).filter(|_| knocks_once(from, to)).count();
    let begun = Instant::now();
    let both = tries((&world.attacker, ATTACKER), PBX) + tries((&world.attacker, ATTACKER6), PBX6);
    // Five a second, and five at once: on a busy machine the tries take longer.
    let most = begun.elapsed().as_secs().saturating_add(2).saturating_mul(5).min(39);
    let both = u64::try_from(both).expect("a few");
    assert!(both <= most, "{both} of 40 connections, at most {most}");
    assert!(echoes(&established), "one that stands is not concerned");
    for _ in 0..20 {
        assert!(knocks((&world.phone, PHONE), PBX_FOR_PHONE, SIP), "a healthy phone");
    }
    let counts = running.counted();
    assert!(counts.dropped.budget_connections.total() > 0, "{counts:?}");
    running.stop();
}

fn own_connections() {
    let (world, mut running) = start(ShieldSettings {
        own: OwnLimits { connections: 2, ..OwnLimits::default() },
        ..off()
    });
    let _server = Server::at(&world.pbx);
    let open = (0..20).filter(|_| knocks_once((&world.attacker, ATTACKER), PBX)).count();
    assert!((2..15).contains(&open), "{open} of 20 connections");
    assert!(knocks((&world.attacker, FAR), PBX, SIP), "another");
    let counts = running.counted();
    assert!(counts.dropped.own_connections.ipv4 > 0, "{counts:?}");
    running.stop();
}

fn udp_flood() {
    let (world, mut running) = start(ShieldSettings::default());
    own_all_of(&world.attacker, "10.66.0.0/16");
    running.shielded(&[]);
    let _server = Server::at(&world.pbx);
    // Its own address is forged too.
    let mut sources = addresses("10.66.0.0/16", 500);
    sources.push(FAR.parse().unwrap());
    let flood = Flood::begin(&world.attacker, &sources, PBX, 20_000);
    // The flood uses up what passes at once; no counter says so.
    thread::sleep(Duration::from_secs(1));
    for _ in 0..5 {
        let stranger = connect((&world.attacker, FAR), PBX, SIP).expect("a connection");
        assert!(echoes(&stranger));
    }
    flood.end();
    let counts = running.counted();
    assert!(counts.dropped.budget_packets.ipv4 > 1000, "{counts:?}");
    running.stop();
}

fn slowed() {
    let (world, mut running) = start(ShieldSettings {
        healthy: HealthyLimits { tcp_bytes: 1_000_000, ..HealthyLimits::default() },
        ..off()
    });
    running.shielded(&[ATTACKER]);
    running.shield.slow(net(ATTACKER), Duration::from_secs(600));
    until("a slowed host", || holds(&world.pbx, "slowed_tcp4", ATTACKER));
    let server = Server::at(&world.pbx);
    let (bytes, seconds) = poured(&world, &server, &[ATTACKER.parse().unwrap()]);
    assert!(bytes < 25_000 + 1_500 * seconds, "{bytes} in {seconds} s");
    let counts = running.counted();
    assert!(counts.dropped.slowed.ipv4 > 0, "{counts:?}");
    running.stop();
}

/// Bytes that reach the server of as many connections as sources, and the time it took in seconds.
fn poured(world: &World, server: &Server, sources: &[IpAddr]) -> (usize, usize) {
    let before = server.received();
    let began = Instant::now();
    thread::scope(|scope| {
        for source in sources {
            scope.spawn(move || {
                let source = source.to_string();
                if let Some(stream) = connect((&world.attacker, &source), PBX, SIP) {
                    pour(&stream, POUR);
                }
            });
        }
    });
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("a short time") + 1;
    (server.received() - before, seconds)
}

/// Whether the server answers within 1.5 s.
fn echoes(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1500))).expect("a timeout");
    stream.write_all(b"?").is_ok() && stream.read(&mut [0; 16]).is_ok_and(|length| length > 0)
}

/// As [`knocks`], without waiting for a repetition.
fn knocks_once(from: (&Host, &str), to: &str) -> bool {
    connect(from, to, SIP).is_some()
}

/// Takes connections on the SIP port of both families; answers each `?`, counts the rest.
struct Server {
    received: Arc<AtomicUsize>,
}

impl Server {
    fn at(pbx: &Host) -> Self {
        let received = Arc::new(AtomicUsize::new(0));
        let listener = pbx.tcp(("::", SIP));
        let counted = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                thread::spawn(move || serve(stream, &counted));
            }
        });
        Self { received }
    }

    fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, received: &AtomicUsize) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(1) if buffer.starts_with(b"?") => {
                let _ = stream.write_all(b"!");
            }
            Ok(length) => drop(received.fetch_add(length, Ordering::Relaxed)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Nothing drops but what a test adds.
fn off() -> ShieldSettings {
    ShieldSettings {
        packets: None,
        connections: None,
        tcp_bytes: None,
        ..ShieldSettings::default()
    }
}

fn start(shield: ShieldSettings) -> (World, Running) {
    let world = World::new().with_default_route();
    let gate = GateSettings { shield: Some(shield), ..GateSettings::default() };
    let running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
    (world, running)
}
