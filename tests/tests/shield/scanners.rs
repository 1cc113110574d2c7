//! Strangers that send much without an event, and those that only look like it.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::sip::{Flood, Kind};
use sipward_tests::wait::{until, until_within};

use super::world::{self, World, sip};

super::cases![
    a_scanner_is_slowed_and_named_with_its_rate,
    a_monitor_and_a_carrier_that_look_like_scanners_lose_nothing,
    a_scanner_is_banned_only_where_that_is_set;
    long
    a_scanner_that_goes_on_is_reported_as_limited,
];

/// Requests a second of one source, below its own limit of 50.
const RATE: u32 = 40;

/// Time from the 300th packet to the record, with a machine's worst added: the kernel is looked at every ten
/// seconds.
const JUDGED: Duration = Duration::from_secs(60);

fn scan(world: &World, sources: u32) -> sipward_tests::sip::Flooding {
    world::flood(Kind::Options, sources, RATE * sources).start(&world.attacker)
}

fn scanner(n: u32) -> IpAddr {
    world::attackers(n + 1).last().unwrap().into()
}

/// Waits until all `count` sources of a flood are slowed.
fn until_slowed(daemon: &Daemon, count: usize) {
    until_within(JUDGED, "slowed", || daemon.log().all("scanner").len() >= count);
}

fn why(setup: &Setup, source: IpAddr) -> String {
    String::from_utf8(setup.shell(&["why", &source.to_string()]).stdout).unwrap()
}

fn a_scanner_is_slowed_and_named_with_its_rate() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let flood = scan(&world, 1);
    until_slowed(&daemon, 1);
    let source = scanner(0);
    let record = daemon.expect("scanner");
    assert_eq!(record.text("net"), format!("{source}/32"));
    assert!(record.number("packets").unwrap() >= 300, "{}", record.raw);

    let said = why(&setup, source);
    assert!(said.contains("limited to 1 packet a second by rule `scan`"), "{said}");
    assert!(said.contains("limited to 1 packet/s by rule scan until 20"), "{said}");
    let report = setup.client().get(&format!("/sources/{source}")).expect(200);
    assert_eq!(report["slowed"]["rule"], "scan", "{report}");
    // What it sends above its limit is counted too.
    until("its rate is known", || {
        let report = setup.client().get(&format!("/sources/{source}")).expect(200);
        report["slowed"]["packets_per_second"].as_f64().is_some_and(|rate| rate > 10.0)
    });
    let status = setup.client().get("/status").expect(200);
    let listed = &status["flood"]["strangers"][0];
    assert_eq!((&listed["slowed"], listed["slowed_until"].is_string()), (&true.into(), true));
    let printed = String::from_utf8(setup.shell(&["status"]).stdout).unwrap();
    assert!(printed.contains(" is slowed to 1/s until 20"), "{printed}");
    flood.stop();

    // It registers: it is a phone, and limited no more.
    let before = world.sofia.counts("internal").from(|other| other == source);
    let phone = sipward_tests::sip::Phone {
        every: Duration::from_secs(10),
        ..sipward_tests::sip::Phone::new(&source.to_string(), world::USER, sip())
    };
    let phone = phone.start(&world.attacker);
    until("it is let go", || {
        !setup.client().get(&format!("/sources/{source}")).expect(200)["slowed"].is_object()
    });
    assert!(world.sofia.counts("internal").from(|other| other == source) > before);
    assert!(phone.stop().begun > 0);
    assert!(daemon.log().all("ban").is_empty());
}

/// Monitoring at one OPTIONS a second is 600 packets in ten minutes, ten calls a minute of six packets are as many:
/// both reach the threshold of rule `scan`, here within seconds. Then they go on as they do all day.
fn a_monitor_and_a_carrier_that_look_like_scanners_lose_nothing() {
    const CALLS: u32 = 4;
    const PACKETS_OF_A_CALL: u32 = 6;
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let (monitor, carrier) = (scanner(0), scanner(1));
    let both = scan(&world, 2);
    until_slowed(&daemon, 2);
    both.stop();
    // The rush has used up what is let through at once; a call needs six of the twenty.
    thread::sleep(Duration::from_secs(8));
    let arrived = |source| world.sofia.counts("internal").from(|other| other == source);
    let before = [monitor, carrier].map(arrived);

    let asks = Flood { kind: Kind::Options, sources: vec![monitor], rate: 1, target: sip() };
    let asks = asks.start(&world.attacker);
    let bind = SocketAddr::from((carrier, 5062));
    let socket = world.attacker.udp(bind);
    let begun = Instant::now();
    for call in 0..CALLS {
        for n in 0..PACKETS_OF_A_CALL {
            let request = format!(
                "INVITE sip:100@pbx.test SIP/2.0\r\nVia: SIP/2.0/UDP {bind};branch=z9hG4bK{call}{n}\r\n\
                 From: <sip:9@carrier.test>;tag=1\r\nTo: <sip:100@pbx.test>\r\nCall-ID: call-{call}\r\n\
                 CSeq: {n} INVITE\r\nContent-Length: 0\r\n\r\n"
            );
            socket.send_to(request.as_bytes(), sip()).unwrap();
        }
        thread::sleep((begun + Duration::from_secs(6) * (call + 1)) - Instant::now());
    }
    let asked = asks.stop();
    assert!(asked >= 20, "{asked}");
    let sent = [asked, u64::from(CALLS * PACKETS_OF_A_CALL)];
    until("all have arrived", || {
        let now = [monitor, carrier].map(arrived);
        [now[0] - before[0], now[1] - before[1]] == sent
    });
    assert!(daemon.log().all("ban").is_empty());
    assert!(why(&setup, monitor).contains("by rule `scan`"), "they are slowed still");
}

fn a_scanner_is_banned_only_where_that_is_set() {
    let world = World::new();
    let setup = world.setup("[policy.rules.scan]\nmode = \"ban\"\n");
    let daemon = world.watch(&setup);
    let flood = scan(&world, 1);
    let ban = daemon.expect("ban");
    flood.stop();
    let of = (ban.text("net"), ban.text("rule"), ban.text("grade"));
    assert_eq!(of, (&*format!("{}/32", scanner(0)), "scan", "unjoined"), "{}", ban.raw);
    assert!(daemon.log().all("scanner").is_empty());
    let shown = String::from_utf8(setup.shell(&["policy", "show"]).stdout).unwrap();
    for key in ["rules.scan.mode", "rules.scan.threshold", "rules.scan.ban_time"] {
        assert!(shown.contains(key), "{key} in {shown}");
    }
}

fn a_scanner_that_goes_on_is_reported_as_limited() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let flood = scan(&world, 1);
    until_within(Duration::from_secs(180), "limited for a minute", || {
        !daemon.log().all("limited").is_empty()
    });
    let limited = daemon.expect("limited");
    assert_eq!(limited.text("net"), format!("{}/32", scanner(0)));
    assert_eq!(limited.number("limit"), Some(1), "{}", limited.raw);
    assert!(limited.number("packets_per_second").unwrap() > 10, "{}", limited.raw);
    flood.stop();
}
