//! The shield's hosts in the kernel: over a restart, after damage, in great number; newcomers and grants.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use libtest_mimic::Trial;
use sipward_route::{
    Admitted, Change, GateSettings, HealthyLimits, MOST_HEALTHY, OwnLimits, Report, Settings,
    ShieldSettings,
};
use sipward_tests::netns::{case, udp_burst as burst};
use sipward_tests::wait::until;

use crate::outside::{elements, flush_ruleset, flush_set, holds};
use crate::traffic::{Arrivals, Flood, SIP, addresses, own_all_of, phone};
use crate::world::{ATTACKER, FAR, PBX, PBX_FOR_PHONE, PHONE, Running, World, net};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("a_restart_keeps_the_healthy_until_they_are_named_again", restart),
        case("a_start_in_mid_flood_shuts_nobody_out", mid_flood),
        case("other_settings_are_in_force_at_once_and_the_healthy_stay", reload),
        case("settings_out_of_range_are_refused_and_change_nothing", refused),
        case("banned_hosts_stay_out_while_the_gate_is_replaced", upgrade),
        case("the_shield_survives_a_flushed_ruleset", ruleset_healed),
        case("a_flushed_set_of_the_shield_is_filled_again", set_healed),
        case("a_change_on_a_flushed_set_finds_its_way", changed_after_flush),
        case("our_own_changes_of_the_shield_are_no_damage", no_damage),
        case("as_many_healthy_hosts_as_promised_pass", most_healthy),
        case("bans_do_not_wait_for_many_hosts", ban_between),
        case("newcomers_pass_beside_busy_strangers", newcomer),
        case("a_challenged_stranger_gets_four_packets_once_in_30_seconds", granted),
    ]
}

/// Datagrams of one burst; far above the limits of these tests.
const BURST: usize = 400;

fn restart() {
    let (world, mut running) = start(narrow());
    running.shielded(&[PHONE]);
    running.stop();
    let mut running = Running::start(&world.pbx, settings(narrow()));
    assert_healthy(&world, true);
    assert_budget(&world, true);
    // Somebody new before all are known again takes nothing from them. The enforcer looks at healthy hosts right
    // after it has set the slowed ones.
    running.shield.admit(net(FAR), 1);
    running.shield.slow(net("10.0.0.1"), Duration::from_secs(600));
    until("the slowed host", || holds(&world.pbx, "slowed_udp4", "10.0.0.1"));
    assert_healthy(&world, true);
    assert_eq!(running.shielded(&[FAR]), 1);
    assert_healthy(&world, false);
    assert_eq!(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST), BURST);
    running.stop();
}

fn mid_flood() {
    let world = World::new().with_default_route();
    own_all_of(&world.attacker, "10.66.0.0/16");
    let arrivals = Arrivals::at(&world.pbx, "0.0.0.0");
    let flood = Flood::begin(&world.attacker, &addresses("10.66.0.0/16", 1000), PBX, 10_000);
    until("a flood", || arrivals.total() > 1_000);
    let mut running = Running::start(&world.pbx, settings(ShieldSettings::default()));
    // Nobody is known yet: all arrive, the phone among them as far as the socket holds.
    let before = arrivals.total();
    until("a flood that passes", || arrivals.total() > before + 3_000);
    assert_eq!(running.shielded(&[PHONE]), 1);
    arrivals.end();
    let arrivals = Arrivals::at(&world.pbx, "0.0.0.0");
    let sent = phone((&world.phone, PHONE), PBX_FOR_PHONE, 10, Duration::from_secs(2));
    let arrived = arrivals.end();
    assert_eq!(arrived.get(&PHONE.parse::<IpAddr>().unwrap()), Some(&sent));
    assert!(arrived.values().sum::<usize>() < 3000, "the flood is cut");
    flood.end();
    running.stop();
}

fn reload() {
    let (world, mut running) = start(ShieldSettings { packets: Some(100_000), ..narrow() });
    running.shielded(&[PHONE]);
    assert_budget(&world, false);
    running.shield.set_settings(Some(narrow()));
    assert_eq!(running.all_known(), 1);
    assert_budget(&world, true);
    assert_healthy(&world, true);
    running.shield.set_settings(None);
    until("a gate without the sets of the shield", || {
        let sets = crate::outside::sets(&world.pbx);
        !sets.iter().any(|set| set.starts_with("strangers") || set == "budgets")
    });
    assert_budget(&world, false);
    running.shield.set_settings(Some(narrow()));
    running.all_known();
    assert_budget(&world, true);
    assert_healthy(&world, true);
    running.stop();
}

fn refused() {
    let (world, mut running) = start(narrow());
    running.shielded(&[PHONE]);
    running.shield.set_settings(Some(ShieldSettings { packets: Some(1), ..narrow() }));
    let report =
        running.expect("a refusal", |report| matches!(report, Report::ShieldFailed { .. }));
    let Report::ShieldFailed { error } = report else { panic!("{report:?}") };
    assert!(error.contains("1 is not between 2 and 100000"), "{error}");
    assert_budget(&world, true);
    running.shield.admit(net(FAR), 1);
    until("another healthy host", || holds(&world.pbx, "healthy_udp4", FAR));
    assert_eq!(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST), BURST);
    running.stop();
}

/// The banned sends all the while; the gate is set anew several times.
fn upgrade() {
    let world = World::new().with_default_route();
    let old = GateSettings { sip_ports: vec![5060], shield: None, ..GateSettings::default() };
    let mut running = Running::start(&world.pbx, Settings { gate: old, ..Settings::default() });
    running.block(ATTACKER);
    running.stop();
    let arrivals = Arrivals::at(&world.pbx, "0.0.0.0");
    let banned = ATTACKER.parse().unwrap();
    let flood = Flood::begin(&world.attacker, &[banned], PBX, 20_000);
    let mut running = Running::start(&world.pbx, settings(narrow()));
    running.shielded(&[PHONE]);
    for packets in [50, 60, 70] {
        running.shield.set_settings(Some(ShieldSettings { packets: Some(packets), ..narrow() }));
        running.all_known();
    }
    running.stop();
    assert!(flood.end() > 1000);
    assert_eq!(arrivals.end().get(&banned), None);
}

fn ruleset_healed() {
    let (world, mut running) = start(narrow());
    running.shielded(&[PHONE]);
    running.shield.set_unlimited(&[net(FAR)]);
    running.shield.slow(net(PHONE), Duration::from_secs(600));
    until("an unlimited and a slowed host", || {
        !elements(&world.pbx, "unlimited4").is_empty() && holds(&world.pbx, "slowed_udp4", PHONE)
    });
    flush_ruleset(&world.pbx);
    assert_eq!(running.healed(), (0, 0, true));
    assert_eq!(running.all_known(), 1);
    assert_budget(&world, true);
    let slow = burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    assert!((20..100).contains(&slow), "{slow}: slowed as before");
    running.shield.release(net(PHONE));
    until("no slowed host", || !holds(&world.pbx, "slowed_udp4", PHONE));
    assert_healthy(&world, true);
    assert_eq!(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST), BURST, "unlimited");
    running.stop();
}

fn set_healed() {
    let (world, mut running) = start(narrow());
    running.shielded(&[PHONE]);
    running.shield.set_unlimited(&[net(FAR)]);
    until("an unlimited host", || !elements(&world.pbx, "unlimited4").is_empty());
    for set in ["healthy_udp4", "healthy_tcp4", "unlimited4", "budgets", "sip_ports"] {
        flush_set(&world.pbx, "sipward", set);
        assert_eq!(running.healed(), (0, 0, true), "{set}");
        assert_eq!(running.all_known(), 1, "{set}");
        assert_healthy(&world, true);
        assert_budget(&world, true);
    }
    running.stop();
}

/// The change comes before the look that would find the damage.
fn changed_after_flush() {
    let (world, mut running) = start(narrow());
    running.shielded(&[PHONE, ATTACKER]);
    flush_set(&world.pbx, "sipward", "healthy_udp4");
    running.shield.dismiss(net(ATTACKER));
    let mut failed = Vec::new();
    running.expect("all hosts are known", |report| {
        failed.extend(matches!(report, Report::ShieldFailed { .. }).then(|| report.clone()));
        matches!(report, Report::Shielded { hosts: 1 })
    });
    assert!(failed.is_empty(), "{failed:?}");
    assert_healthy(&world, true);
    assert_budget(&world, true);
    running.stop();
}

fn no_damage() {
    let (world, mut running) = start(narrow());
    running.shielded(&[PHONE]);
    for n in 0..8_u8 {
        running.shield.admit(net(&format!("10.1.0.{n}")), u32::from(n));
        running.shield.admit(net(PHONE), u32::from(n) + 1);
        running.shield.slow(net(&format!("10.2.0.{n}")), Duration::from_secs(60));
        running.shield.set_unlimited(&[net(&format!("10.3.0.{n}"))]);
        // A change of another program makes the enforcer look; damage would be healed and reported. A look that finds
        // none is not reported, so it can only be given time.
        crate::outside::add_table(&world.pbx, "elsewhere");
        let reports = running.reports_within(Duration::from_millis(150));
        let healed = reports.iter().any(|report| matches!(report, Report::Healed { .. }));
        assert!(!healed, "{n}: {reports:?}");
    }
    running.stop();
}

fn most_healthy() {
    let (world, mut running) = start(narrow());
    let mut hosts = many(u32::try_from(MOST_HEALTHY).unwrap() - 1);
    hosts.push((net(PHONE), 1));
    hosts.push((net(FAR), 0));
    let admitted = running.shield.replace(hosts);
    assert_eq!(admitted, Admitted { hosts: MOST_HEALTHY, left_out: 1 });
    running.shield.complete();
    assert_eq!(running.all_known(), MOST_HEALTHY);
    assert_healthy(&world, true);
    assert_budget(&world, true);
    running.stop();
}

fn ban_between() {
    let (_world, mut running) = start(narrow());
    running.shield.replace(many(20_000));
    running.shield.complete();
    running.send(Change::block(net(ATTACKER)));
    let first = running.expect("an answer", |report| {
        matches!(report, Report::Blocked { .. } | Report::Shielded { .. })
    });
    assert!(matches!(first, Report::Blocked { .. }), "{first:?}");
    assert_eq!(running.all_known(), 20_000);
    running.stop();
}

/// A few strangers that send all the time use up their half of the budget; the other is for first
/// packets.
fn newcomer() {
    let (world, mut running) = start(ShieldSettings {
        packets: Some(200),
        own: OwnLimits { packets: 100_000, ..OwnLimits::default() },
        ..ShieldSettings::default()
    });
    own_all_of(&world.attacker, "10.66.0.0/16");
    running.shielded(&[]);
    let arrivals = Arrivals::at(&world.pbx, "0.0.0.0");
    let flood = Flood::begin(&world.attacker, &addresses("10.66.0.0/16", 20), PBX, 20_000);
    // The flood uses up what passes at once; no counter says so.
    thread::sleep(Duration::from_secs(1));
    let fresh = addresses("10.66.1.0/24", 20);
    for source in &fresh {
        let socket = world.attacker.udp((*source, 0));
        socket.send_to(b"REGISTER", (PBX, SIP)).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    flood.end();
    let arrived = arrivals.end();
    let through = fresh.iter().filter(|source| arrived.contains_key(source)).count();
    assert_eq!(through, fresh.len());
    running.stop();
}

fn granted() {
    let (world, mut running) = start(ShieldSettings {
        packets: Some(200),
        own: OwnLimits { packets: 100_000, ..OwnLimits::default() },
        ..ShieldSettings::default()
    });
    own_all_of(&world.attacker, "10.66.0.0/16");
    running.shielded(&[PHONE]);
    let arrivals = Arrivals::at(&world.pbx, PBX);
    let flood = Flood::begin(&world.attacker, &addresses("10.66.0.0/16", 20), PBX, 20_000);
    // The flood uses up what passes at once; no counter says so.
    thread::sleep(Duration::from_secs(1));
    let source: SocketAddr = format!("{FAR}:5062").parse().unwrap();
    let socket = world.attacker.udp(source);
    let send = |count: usize| {
        for _ in 0..count {
            socket.send_to(b"REGISTER", (PBX, SIP)).unwrap();
        }
        // What is dropped is not seen: those that pass are on their way for microseconds.
        thread::sleep(Duration::from_millis(100));
    };
    let through = || arrivals.of(source.ip());
    send(1);
    assert_eq!(through(), 1, "a newcomer");
    send(20);
    let lucky = through();
    assert!(lucky < 8, "{lucky}: beside the flood");
    // The kernel notes a challenge while it is sent.
    arrivals.challenge(source);
    send(20);
    let answered = through() - lucky;
    assert!((4..12).contains(&answered), "{answered}: four, and what is lucky");
    let before = through();
    arrivals.challenge(source);
    send(20);
    let again = through() - before;
    assert!(again < 4, "{again}: no second grant");
    flood.end();
    arrivals.end();
    running.stop();
}

/// A healthy host sends what it likes, strangers next to nothing.
fn narrow() -> ShieldSettings {
    let healthy = HealthyLimits {
        packets: 1000,
        burst: 1000,
        together: None,
        together_tcp_bytes: None,
        ..HealthyLimits::default()
    };
    let own = OwnLimits { packets: 100_000, ..OwnLimits::default() };
    ShieldSettings { packets: Some(20), healthy, own, ..ShieldSettings::default() }
}

fn settings(shield: ShieldSettings) -> Settings {
    let gate = GateSettings { shield: Some(shield), ..GateSettings::default() };
    Settings { gate, ..Settings::default() }
}

fn start(shield: ShieldSettings) -> (World, Running) {
    let world = World::new().with_default_route();
    let running = Running::start(&world.pbx, settings(shield));
    assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
    (world, running)
}

fn assert_healthy(world: &World, is_healthy: bool) {
    let arrived = burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, BURST);
    let passes = if is_healthy { arrived == BURST } else { arrived < BURST / 2 };
    assert!(passes, "{arrived} of {BURST} of the phone arrived");
}

fn assert_budget(world: &World, drops: bool) {
    let arrived = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    let passes = if drops { arrived < BURST / 2 } else { arrived == BURST };
    assert!(passes, "{arrived} of {BURST} of a stranger arrived");
}

/// So many hosts of both families.
fn many(count: u32) -> Vec<(IpNet, u32)> {
    let first: std::net::Ipv6Addr = "2001:db8:f000::".parse().unwrap();
    let host = |n: u32| {
        let address = if n.is_multiple_of(2) {
            IpAddr::V4((0x0a00_0000 + n).into())
        } else {
            IpAddr::V6((u128::from(first) + (u128::from(n) << 64)).into())
        };
        (IpNet::from(address), 1)
    };
    (0..count).map(host).collect()
}
