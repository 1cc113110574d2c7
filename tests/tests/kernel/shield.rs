//! The shield: all strangers together share a budget, each has a limit of its own, healthy hosts pass.

use std::net::IpAddr;
use std::time::Duration;

use libtest_mimic::Trial;
use sipward_route::{
    Dropped, GateSettings, HealthyLimits, OwnLimits, Report, Settings, ShieldSettings, Stranger,
};
use sipward_tests::netns::{case, udp_burst as burst};
use sipward_tests::wait::until;

use crate::outside::{elements, holds};
use crate::traffic::{Arrivals, Flood, OTHER, SIP, addresses, own_all_of, phone};
use crate::world::{
    ATTACKER, ATTACKER6, FAR, FAR6, PBX, PBX_FOR_PHONE, PBX6, PBX6_FOR_PHONE, PHONE, PHONE6,
    Running, World, net,
};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("each_stranger_has_a_limit_of_its_own", own_limit),
        case("a_whole_ipv6_network_shares_one_limit", own_limit_of_a_network),
        case("all_strangers_of_both_families_share_a_budget", budget),
        case("before_the_healthy_are_known_the_budget_drops_nothing", unknown),
        case("healthy_hosts_pass_before_the_budget", healthy),
        case("a_healthy_host_has_its_limit_by_its_registrations", registrations),
        case("what_a_healthy_host_sends_above_counts_as_a_strangers", excess),
        case("all_healthy_hosts_share_a_limit_and_each_has_its_guarantee", guarantee),
        case("unlimited_hosts_pass_unless_a_limit_is_set", unlimited),
        case("a_slowed_host_sends_once_a_second", slowed),
        case("a_flood_of_20000_a_second_takes_nothing_from_a_phone", flood),
        case("forged_packets_of_30_phones_take_nothing_from_another", forged),
        case("busy_strangers_are_named", named),
    ]
}

/// Datagrams of one burst. Limits of these tests are far below it, so that the seconds they are counted
/// over do not matter on a slow machine.
const BURST: usize = 400;
const LIMIT: u32 = 20;

fn own_limit() {
    let (world, mut running) = start(own(LIMIT));
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        assert_limited(burst((&world.attacker, from), (&world.pbx, to), SIP, BURST), LIMIT);
        let other = burst((&world.attacker, from), (&world.pbx, to), OTHER, BURST);
        assert_eq!(other, BURST, "{from}: another port");
    }
    for (from, to) in [(PHONE, PBX_FOR_PHONE), (PHONE6, PBX6_FOR_PHONE)] {
        assert_eq!(burst((&world.phone, from), (&world.pbx, to), SIP, 15), 15, "{from}");
    }
    let dropped = running.counted().dropped;
    assert!(dropped.own_packets.ipv4 > 200 && dropped.own_packets.ipv6 > 200, "{dropped:?}");
    assert_eq!(dropped.total(), dropped.own_packets.total(), "nothing else drops");
    // After a second of silence everything is as before.
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 15), 15);
    running.stop();
}

fn own_limit_of_a_network() {
    let (world, running) = start(own(LIMIT));
    world.attacker.address("eth0", "2001:db8:a::67/64");
    let from = |address| burst((&world.attacker, address), (&world.pbx, PBX6), SIP, BURST);
    assert_limited(from(ATTACKER6), LIMIT);
    let neighbour = from("2001:db8:a::67");
    assert!(neighbour < LIMIT as usize, "{neighbour}: the burst was used up");
    assert_limited(from(FAR6), LIMIT);
    running.stop();
}

fn budget() {
    let (world, mut running) = start(all_together(LIMIT));
    assert_eq!(running.shielded(&[]), 0);
    let arrived = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    assert!((2..BURST / 2).contains(&arrived), "{arrived}");
    for (from, to) in [(FAR, PBX), (ATTACKER6, PBX6), (FAR6, PBX6)] {
        let arrived = burst((&world.attacker, from), (&world.pbx, to), SIP, BURST);
        assert!(arrived < BURST / 4, "{from}: {arrived}");
    }
    let other = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), OTHER, BURST);
    assert_eq!(other, BURST, "another port");
    let counts = running.counted();
    let Dropped { budget_packets, .. } = counts.dropped;
    assert!(budget_packets.ipv4 > 500 && budget_packets.ipv6 > 500, "{counts:?}");
    assert_eq!(counts.dropped.total(), budget_packets.total(), "nothing else drops");
    assert_eq!(counts.strangers, 4 * BURST as u64, "{counts:?}");
    running.stop();
}

fn unknown() {
    let (world, mut running) = start(all_together(LIMIT));
    running.shield.admit(net(PHONE), 1);
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        assert_eq!(burst((&world.attacker, from), (&world.pbx, to), SIP, BURST), BURST, "{from}");
    }
    running.shield.complete();
    assert_eq!(running.all_known(), 1);
    let arrived = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    assert!(arrived < BURST / 2, "{arrived}");
    running.stop();
}

fn healthy() {
    let (world, mut running) = start(ShieldSettings {
        healthy: HealthyLimits { packets: 1000, burst: 1000, ..unbounded() },
        ..all_together(LIMIT)
    });
    assert_eq!(running.shielded(&[PHONE, PHONE6]), 2);
    for (from, to) in [(PHONE, PBX_FOR_PHONE), (PHONE6, PBX6_FOR_PHONE)] {
        assert_eq!(burst((&world.phone, from), (&world.pbx, to), SIP, BURST), BURST, "{from}");
    }
    let arrived = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    assert!(arrived < BURST / 2, "{arrived}");
    running.shield.admit(net(ATTACKER), 1);
    running.shield.dismiss(net(PHONE));
    until("the other healthy host", || {
        let healthy = |address| holds(&world.pbx, "healthy_udp4", address);
        healthy(ATTACKER) && !healthy(PHONE)
    });
    let arrived = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    assert_eq!(arrived, BURST, "healthy now");
    let arrived = burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    assert!(arrived < BURST / 2, "{arrived}: a stranger now");
    let counts = running.counted();
    assert!(counts.healthy >= 3 * BURST as u64, "{counts:?}");
    // Healthy or not, a ban holds.
    running.block(ATTACKER);
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 5), 0);
    running.stop();
}

fn registrations() {
    let (world, mut running) = start(ShieldSettings {
        healthy: HealthyLimits { packets: 1, burst: LIMIT, ..unbounded() },
        ..all_together(2)
    });
    running.shield.admit(net(PHONE), 1);
    running.shield.admit(net(ATTACKER), 10);
    running.shield.complete();
    running.all_known();
    let one = burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    assert!((20..100).contains(&one), "{one}: of one registration");
    let ten = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    assert!((200..300).contains(&ten), "{ten}: of ten registrations");
    running.stop();
}

fn excess() {
    let (world, mut running) = start(ShieldSettings {
        packets: Some(100_000),
        healthy: HealthyLimits { packets: 1, burst: 5, ..unbounded() },
        ..own(LIMIT)
    });
    running.shielded(&[PHONE]);
    let arrived = burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    // Its own five, and what a stranger may send.
    assert!((25..BURST / 2).contains(&arrived), "{arrived}");
    let counts = running.counted();
    assert!(counts.dropped.own_packets.ipv4 > 0, "{counts:?}");
    running.stop();
}

fn guarantee() {
    let (world, mut running) = start(ShieldSettings {
        healthy: HealthyLimits {
            packets: 1000,
            burst: 1000,
            together: Some(LIMIT),
            guaranteed: 5,
            ..HealthyLimits::default()
        },
        ..all_together(2)
    });
    running.shielded(&[PHONE, ATTACKER]);
    let arrivals = Arrivals::at(&world.pbx, "0.0.0.0");
    let attacker = [ATTACKER.parse().unwrap()];
    let flood = Flood::begin(&world.attacker, &attacker, PBX, 5_000);
    // Half of what is guaranteed, so that no busy machine makes it too much.
    let socket = world.phone.udp((PHONE, 0));
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(400));
        socket.send_to(b"REGISTER", (PBX_FOR_PHONE, SIP)).unwrap();
    }
    flood.end();
    let arrived = arrivals.end();
    assert_eq!(arrived.get(&PHONE.parse::<IpAddr>().unwrap()), Some(&8));
    let of_flood = arrived.get(&attacker[0]).copied().unwrap_or_default();
    assert!(of_flood > 0 && of_flood < 2000, "{of_flood} of the other");
    running.stop();
}

fn unlimited() {
    let (world, mut running) = start(all_together(2));
    running.shielded(&[]);
    running.shield.set_unlimited(&["192.0.2.64/26", "192.0.2.66/32", "2001:db8:a::/64"].map(net));
    until("unlimited networks of both families", || {
        ["unlimited4", "unlimited6"].iter().all(|set| !elements(&world.pbx, set).is_empty())
    });
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        assert_eq!(burst((&world.attacker, from), (&world.pbx, to), SIP, BURST), BURST, "{from}");
    }
    let counts = running.counted();
    assert_eq!(counts.unlimited, 2 * BURST as u64);
    // A slowed network is not: it is unlimited before.
    running.shield.slow(net(ATTACKER), Duration::from_secs(600));
    running.shield.set_settings(Some(ShieldSettings { unlimited: Some(LIMIT), ..all_together(2) }));
    running.all_known();
    let arrived = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    assert!((2..BURST / 2).contains(&arrived), "{arrived}");
    let counts = running.counted();
    assert!(counts.dropped.unlimited.ipv4 > 0 && counts.dropped.slowed.ipv4 == 0, "{counts:?}");
    running.stop();
}

fn slowed() {
    let (world, mut running) = start(ShieldSettings {
        healthy: HealthyLimits { packets: 1000, burst: 1000, ..unbounded() },
        ..ShieldSettings::default()
    });
    running.shielded(&[PHONE, PHONE6]);
    for slow in [PHONE, PHONE6] {
        running.shield.slow(net(slow), Duration::from_secs(600));
    }
    until("a slowed host of each family", || {
        ["slowed_udp4", "slowed_udp6"].iter().all(|set| !elements(&world.pbx, set).is_empty())
    });
    for (from, to) in [(PHONE, PBX_FOR_PHONE), (PHONE6, PBX6_FOR_PHONE)] {
        let arrived = burst((&world.phone, from), (&world.pbx, to), SIP, BURST);
        assert!((20..40).contains(&arrived), "{from}: {arrived}");
    }
    let dropped = running.counted().dropped;
    assert!(dropped.slowed.ipv4 > 300 && dropped.slowed.ipv6 > 300, "{dropped:?}");
    // Longer, shorter, and not at all.
    running.shield.slow(net(PHONE), Duration::from_secs(1_200));
    running.shield.slow(net(PHONE), Duration::from_secs(1));
    // The shorter time must run out: nothing announces that it did not.
    std::thread::sleep(Duration::from_millis(1500));
    let arrived = burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    assert!(arrived < 40, "{arrived}: a later wish does not shorten it");
    running.shield.release(net(PHONE));
    running.shield.release(net(ATTACKER));
    until("no slowed host", || !holds(&world.pbx, "slowed_udp4", PHONE));
    let arrived = burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    assert_eq!(arrived, BURST);
    running.shield.slow(net(PHONE), Duration::from_secs(1));
    until("a slowed host", || holds(&world.pbx, "slowed_udp4", PHONE));
    until("the end of its time", || !holds(&world.pbx, "slowed_udp4", PHONE));
    let arrived = burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    assert_eq!(arrived, BURST, "its time is over");
    running.stop();
}

/// From 1, from 5 and from 1,000 sources.
fn flood() {
    let (world, mut running) = start(ShieldSettings::default());
    own_all_of(&world.attacker, "10.66.0.0/16");
    running.shielded(&[PHONE]);
    for sources in [1, 5, 1000] {
        let arrivals = Arrivals::at(&world.pbx, "0.0.0.0");
        let sources = addresses("10.66.0.0/16", sources);
        let flood = Flood::begin(&world.attacker, &sources, PBX, 20_000);
        let began = std::time::Instant::now();
        let sent = phone((&world.phone, PHONE), PBX_FOR_PHONE, 10, Duration::from_secs(3));
        let sent_by_flood = flood.end();
        let seconds = began.elapsed().as_secs() + 1;
        let arrived = arrivals.end();
        let of_phone = arrived.get(&PHONE.parse::<IpAddr>().unwrap());
        assert_eq!(of_phone, Some(&sent), "{} sources", sources.len());
        let of_flood = arrived.values().sum::<usize>() as u64 - sent as u64;
        let most = 400 * seconds + 40;
        assert!(of_flood <= most, "{of_flood} of {sent_by_flood}, above {most}");
    }
    running.stop();
}

/// The attacker knows the addresses of thirty phones and forges their packets. What they may send at once
/// takes all that is shared for two seconds; another phone has what is guaranteed, and as much again.
fn forged() {
    let (world, mut running) = start(ShieldSettings::default());
    own_all_of(&world.attacker, "10.77.0.0/24");
    let known = addresses("10.77.0.0/24", 30);
    let mut healthy: Vec<String> = known.iter().map(IpAddr::to_string).collect();
    healthy.push(PHONE.to_owned());
    running.shielded(&healthy.iter().map(String::as_str).collect::<Vec<_>>());
    for rate in [1_500, 20_000] {
        let arrivals = Arrivals::at(&world.pbx, "0.0.0.0");
        let flood = Flood::begin(&world.attacker, &known, PBX, rate);
        let began = std::time::Instant::now();
        let sent = phone((&world.phone, PHONE), PBX_FOR_PHONE, 5, Duration::from_secs(4));
        flood.end();
        let seconds = began.elapsed().as_secs() + 1;
        let arrived = arrivals.end();
        assert_eq!(arrived.get(&PHONE.parse::<IpAddr>().unwrap()), Some(&sent), "{rate}/s");
        let of_flood = arrived.values().sum::<usize>() as u64 - sent as u64;
        // 30 times 20 a second, half of the strangers' budget, and what passes at once.
        let most = (600 + 200) * seconds + 300 + 300;
        assert!(of_flood <= most, "{of_flood} at {rate}/s, above {most}");
    }
    running.stop();
}

fn named() {
    let (world, mut running) = start(ShieldSettings::default());
    running.shielded(&[PHONE]);
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 299);
    burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, 350);
    burst((&world.attacker, FAR6), (&world.pbx, PBX6), SIP, 360);
    burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    let (far6, far) = ("2001:db8:66::/64".to_owned(), format!("{FAR}/32"));
    assert_eq!(strangers(&mut running), [(far6.clone(), 360, false), (far.clone(), 350, false)]);
    running.shield.slow(net(FAR), Duration::from_secs(600));
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), OTHER, 1);
    burst((&world.attacker, FAR6), (&world.pbx, PBX6), SIP, 1);
    until("a slowed stranger", || holds(&world.pbx, "slowed_udp4", FAR));
    // What it sends above its limit counts too: it shows how much it goes on.
    burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, 100);
    assert_eq!(strangers(&mut running), [(far, 450, true), (far6, 361, false)]);
    running.stop();
}

/// The next list of busy strangers: source, packets, whether it is slowed.
fn strangers(running: &mut Running) -> Vec<(String, u64, bool)> {
    let report = running.expect("strangers", |report| matches!(report, Report::Strangers(_)));
    let Report::Strangers(strangers) = report else { panic!("{report:?}") };
    let name = |s: Stranger| (s.source.to_string(), s.packets, s.is_slowed);
    strangers.into_iter().map(name).collect()
}

/// Only the own limit of a stranger drops.
fn own(packets: u32) -> ShieldSettings {
    let none = ShieldSettings::default();
    ShieldSettings {
        packets: None,
        connections: None,
        tcp_bytes: None,
        own: OwnLimits { packets, ..OwnLimits::default() },
        ..none
    }
}

/// Only the budget of all strangers drops.
fn all_together(packets: u32) -> ShieldSettings {
    ShieldSettings { packets: Some(packets), ..own(100_000) }
}

/// All healthy hosts together are not limited.
fn unbounded() -> HealthyLimits {
    HealthyLimits { together: None, together_tcp_bytes: None, ..HealthyLimits::default() }
}

fn start(shield: ShieldSettings) -> (World, Running) {
    let world = World::new().with_default_route();
    let gate = GateSettings { shield: Some(shield), ..GateSettings::default() };
    let running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    assert!(running.found.coverage.gate, "{:?}", running.found.coverage);
    assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
    (world, running)
}

/// One second's worth passes at once, and a little more while the burst lasts.
fn assert_limited(arrived: usize, limit: u32) {
    assert!(arrived >= limit as usize, "{arrived}: less than the limit");
    assert!(arrived < BURST / 2, "{arrived} of {BURST} arrived");
}
