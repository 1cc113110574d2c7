//! What the gate does for the SIP ports: it counts what arrives, and limits each source.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use libtest_mimic::Trial;
use sipward_route::{Change, Enforcement, GateMode, GateSettings, Report, Settings, flush};
use sipward_tests::netns::{Host, case, udp_burst as burst};

use crate::outside::{flush_ruleset, flush_set, sets, tables};
use crate::world::{
    ATTACKER, ATTACKER6, FAR, FAR6, PBX, PBX_FOR_PHONE, PBX6, PBX6_FOR_PHONE, PHONE, PHONE6,
    Running, World, net,
};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("packets_to_the_sip_ports_are_counted", counted),
        case("packets_of_banned_sources_are_not_counted", banned_not_counted),
        case("the_count_goes_on_after_the_gate_was_put_back", counted_after_healing),
        case("an_earlier_run_is_not_counted_again", counted_after_restart),
        case("without_sip_ports_nothing_is_counted", no_ports),
        case("without_a_gate_nothing_is_counted", counting_forces_no_gate),
        case("above_the_limit_the_excess_is_lost", limited),
        case("without_a_limit_nothing_is_lost", unlimited),
        case("a_whole_ipv6_network_shares_one_limit", limited_together),
        case("spared_sources_are_not_limited", spared),
        case("the_spared_networks_are_replaced", respared),
        case("spared_networks_are_replaced_bit_by_bit", respared_often),
        case("the_limit_survives_a_flushed_ruleset", limit_healed),
        case("a_flushed_set_is_filled_again", set_healed),
        case("a_restart_keeps_sparing", restart_keeps_sparing),
        case("as_many_networks_as_promised_are_spared", most_spared),
        case("bans_do_not_wait_for_a_long_list", ban_between),
        case("a_limit_needs_the_gate_and_gets_it", limit_forces_gate),
        case("flush_takes_the_limit_away", flushed),
    ]
}

const SIP: u16 = 5060;
/// A port that is none of SIP's.
const OTHER: u16 = 5070;
/// The limit of these tests, in packets a second. Far below what a burst holds, so that the second it is
/// counted over does not matter on a slow machine.
const LIMIT: u32 = 20;
/// Datagrams of one burst.
const BURST: usize = 400;

fn counted() {
    let (world, mut running) = start(None);
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 10), 10);
    assert_eq!(packets(&mut running), 10, "UDP over IPv4");
    assert_eq!(burst((&world.phone, PHONE6), (&world.pbx, PBX6_FOR_PHONE), 5061, 7), 7);
    assert_eq!(packets(&mut running), 7, "UDP over IPv6");
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        // A closed port: one SYN, answered by a reset.
        assert!(!knocks((&world.attacker, from), to, 5080));
        assert_eq!(packets(&mut running), 1, "TCP from {from}");
    }
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), OTHER, 10);
    assert!(!knocks((&world.attacker, ATTACKER), PBX, OTHER));
    assert_eq!(packets(&mut running), 0, "other ports");
    burst((&world.pbx, PBX), (&world.pbx, PBX), SIP, 10);
    assert_eq!(packets(&mut running), 0, "own traffic");
    running.stop();
}

fn banned_not_counted() {
    let (world, mut running) = start(None);
    running.block(ATTACKER);
    running.block(ATTACKER6);
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 10), 0);
    assert_eq!(burst((&world.attacker, ATTACKER6), (&world.pbx, PBX6), SIP, 10), 0);
    assert_eq!(packets(&mut running), 0);
    assert_eq!(burst((&world.phone, PHONE), (&world.pbx, PBX_FOR_PHONE), SIP, 3), 3);
    assert_eq!(packets(&mut running), 3);
    running.stop();
}

fn counted_after_healing() {
    let (world, mut running) = start(None);
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 50);
    assert_eq!(packets(&mut running), 50);
    flush_ruleset(&world.pbx);
    assert_eq!(running.healed(), (0, 0, true));
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 60);
    assert_eq!(packets(&mut running), 60);
    running.stop();
}

fn counted_after_restart() {
    let (world, mut running) = start(None);
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 50);
    assert_eq!(packets(&mut running), 50);
    running.stop();
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(packets(&mut running), 0);
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 5);
    assert_eq!(packets(&mut running), 5);
    running.stop();
}

fn no_ports() {
    let gate =
        GateSettings { sip_ports: Vec::new(), limit: Some(LIMIT), ..GateSettings::default() };
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    assert!(running.found.coverage.gate);
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST), BURST);
    assert_eq!(packets(&mut running), 0);
    assert_eq!(running.block(ATTACKER), Enforcement::Full);
    assert!(!world.reached_by_attacker(ATTACKER));
    running.stop();
}

fn counting_forces_no_gate() {
    let world = without_need();
    let mut running = Running::start(&world.pbx, Settings::default());
    assert!(!running.found.coverage.gate);
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 10);
    assert_eq!(packets(&mut running), 0);
    running.stop();
}

fn limited() {
    let (world, running) = start(Some(LIMIT));
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        assert_limited(burst((&world.attacker, from), (&world.pbx, to), SIP, BURST));
        let other = burst((&world.attacker, from), (&world.pbx, to), OTHER, BURST);
        assert_eq!(other, BURST, "{from}: another port");
    }
    for (from, to) in [(PHONE, PBX_FOR_PHONE), (PHONE6, PBX6_FOR_PHONE)] {
        assert_eq!(burst((&world.phone, from), (&world.pbx, to), SIP, 15), 15, "{from}");
    }
    assert!(!knocks((&world.phone, PHONE), PBX_FOR_PHONE, SIP), "refused by a closed port");
    // After a second of silence everything is as before.
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 15), 15);
    running.stop();
}

fn unlimited() {
    let (world, mut running) = start(None);
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        assert_eq!(burst((&world.attacker, from), (&world.pbx, to), SIP, BURST), BURST);
    }
    assert_eq!(running.spare(vec![net(PHONE)]), Report::Spared { networks: 1 });
    // The limit's rules look into sets, so they are not there either.
    assert_eq!(sets(&world.pbx), ["sip_ports"]);
    running.stop();
    let running = Running::start(&world.pbx, limit(Some(LIMIT)));
    assert_eq!(sets(&world.pbx), ["limited4", "limited6", "sip_ports", "spared4", "spared6"]);
    running.stop();
}

fn limited_together() {
    let (world, running) = start(Some(LIMIT));
    world.attacker.address("eth0", "2001:db8:a::67/64");
    let from = |address| burst((&world.attacker, address), (&world.pbx, PBX6), SIP, BURST);
    assert_limited(from(ATTACKER6));
    let neighbour = from("2001:db8:a::67");
    assert!(neighbour < LIMIT as usize, "{neighbour}: the burst was used up");
    assert_limited(from(FAR6));
    running.stop();
}

fn spared() {
    let (world, mut running) = start(Some(LIMIT));
    let nets = ["192.0.2.64/26", ATTACKER, ATTACKER6, "10.0.0.0/8"].map(net).to_vec();
    assert_eq!(running.spare(nets), Report::Spared { networks: 4 });
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        assert_eq!(burst((&world.attacker, from), (&world.pbx, to), SIP, BURST), BURST, "{from}");
    }
    assert_limited(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST));
    assert_limited(burst((&world.attacker, FAR6), (&world.pbx, PBX6), SIP, BURST));
    assert_eq!(running.spare(vec![net("::/0"), net("0.0.0.0/0")]), Report::Spared { networks: 2 });
    assert_eq!(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST), BURST);
    assert_eq!(burst((&world.attacker, FAR6), (&world.pbx, PBX6), SIP, BURST), BURST);
    // Sparing is from the limit, not from a ban.
    running.block(ATTACKER);
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 5), 0);
    running.stop();
}

fn respared() {
    let (world, mut running) = start(Some(LIMIT));
    let near = || burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    let far = || burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST);
    running.spare(vec![net(ATTACKER)]);
    assert_eq!(near(), BURST);
    assert_limited(far());
    running.spare(vec![net("203.0.113.0/24")]);
    assert_limited(near());
    assert_eq!(far(), BURST);
    running.spare(Vec::new());
    assert_limited_more(far());
    running.stop();
}

/// Growing, shrinking, merging and splitting neighbours: whatever comes after whatever, the kernel takes
/// the difference, and a look at the sets finds them as they should be.
fn respared_often() {
    let (world, mut running) = start(Some(LIMIT));
    let lists: [&[&str]; 8] = [
        &["192.0.2.66/32", "192.0.2.68/32"],
        &["192.0.2.64/29"],
        &["192.0.2.66/32", "192.0.2.67/32", "2001:db8:a::/64"],
        &["0.0.0.0/1", "128.0.0.0/2", "192.0.2.66/32"],
        &["192.0.2.66/31", "255.255.255.255/32", "ffff::/16", "::/8"],
        &["128.0.0.0/1", "2001:db8:a::66/128"],
        &["192.0.2.65/32", "192.0.2.66/32", "255.255.255.254/31"],
        &["192.0.2.66/32"],
    ];
    for list in lists {
        let nets: Vec<_> = list.iter().map(|text| net(text)).collect();
        assert_eq!(running.spare(nets), Report::Spared { networks: list.len() }, "{list:?}");
        let arrived = burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 60);
        assert_eq!(arrived, 60, "{list:?}");
        // A change of somebody else makes the enforcer look; damage would be healed and told.
        crate::outside::add_table(&world.pbx, "elsewhere");
        let reports = running.reports_within(Duration::from_millis(150));
        let healed = reports.iter().any(|report| matches!(report, Report::Healed { .. }));
        assert!(!healed, "{list:?}: {reports:?}");
    }
    running.stop();
}

fn limit_healed() {
    let (world, mut running) = start(Some(LIMIT));
    running.spare(vec![net(ATTACKER)]);
    flush_ruleset(&world.pbx);
    assert_eq!(running.healed(), (0, 0, true));
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST), BURST);
    assert_limited(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST));
    running.stop();
}

fn set_healed() {
    let (world, mut running) = start(Some(LIMIT));
    running.spare(vec![net(ATTACKER)]);
    for set in ["spared4", "sip_ports"] {
        flush_set(&world.pbx, "sipward", set);
        assert_eq!(running.healed(), (0, 0, true), "{set}");
    }
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST), BURST);
    assert_limited(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST));
    running.stop();
}

/// An enforcer that has not been told whom to spare leaves what stands.
fn restart_keeps_sparing() {
    let (world, mut running) = start(Some(LIMIT));
    running.spare(vec![net(ATTACKER)]);
    running.stop();
    let near = || burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST);
    let running = Running::start(&world.pbx, limit(Some(LIMIT)));
    assert_eq!(near(), BURST);
    running.stop();
    let mut running = Running::start_sparing(&world.pbx, limit(Some(LIMIT)));
    running.spare(Vec::new());
    assert_limited(near());
    running.stop();
}

fn most_spared() {
    let (world, mut running) = start(Some(LIMIT));
    let mut nets = many(65_534);
    nets.extend([net(ATTACKER), net(ATTACKER6)]);
    nets.push(net(FAR));
    let refused = running.spare(nets.clone());
    let Report::NotSpared { error } = refused else { panic!("too many were taken") };
    assert!(error.contains("at most 65536"), "{error}");
    nets.pop();
    assert_eq!(running.spare(nets), Report::Spared { networks: 65_536 });
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        assert_eq!(burst((&world.attacker, from), (&world.pbx, to), SIP, BURST), BURST, "{from}");
    }
    assert_limited(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST));
    running.stop();
}

/// A list of thousands goes into the kernel step by step.
fn ban_between() {
    let (world, mut running) = start(Some(LIMIT));
    running.hand_over(many(20_000));
    // Whatever the order of the two, twenty thousand are ten steps.
    let mut first =
        |report: &Report| matches!(report, Report::Blocked { .. } | Report::Spared { .. });
    running.send(Change::Block(net(ATTACKER)));
    let first = running.expect("an answer", &mut first);
    assert!(matches!(first, Report::Blocked { .. }), "{first:?}");
    // A newer list takes the place of one that is not in force yet.
    let spared = running.spare(vec![net(FAR)]);
    assert_eq!(spared, Report::Spared { networks: 1 });
    assert_eq!(burst((&world.attacker, FAR), (&world.pbx, PBX), SIP, BURST), BURST);
    running.stop();
}

fn limit_forces_gate() {
    let world = without_need();
    let running = Running::start(&world.pbx, limit(Some(LIMIT)));
    assert!(running.found.coverage.gate);
    assert_limited(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST));
    running.stop();
    let mut settings = limit(Some(LIMIT));
    settings.gate.mode = GateMode::Off;
    let running = Running::start(&world.pbx, settings);
    let gaps = running.found.coverage.gaps.join("; ");
    assert!(gaps.contains("nothing is limited"), "{gaps}");
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST), BURST);
    running.stop();
}

fn flushed() {
    let (world, mut running) = start(Some(LIMIT));
    running.spare(vec![net(PHONE)]);
    running.stop();
    let removed = world.pbx.block_on(async || flush(&limit(Some(LIMIT))).await.unwrap());
    assert!(removed.gate);
    assert!(tables(&world.pbx).is_empty());
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST), BURST);
}

fn limit(limit: Option<u32>) -> Settings {
    let gate = GateSettings { limit, ..GateSettings::default() };
    Settings { gate, ..Settings::default() }
}

fn start(limit_per_source: Option<u32>) -> (World, Running) {
    let world = World::new().with_default_route();
    let running = Running::start_sparing(&world.pbx, limit(limit_per_source));
    assert!(running.found.coverage.gate, "{:?}", running.found.coverage);
    (world, running)
}

/// A PBX that `auto` gives no gate: strict reverse path filtering and no IPv6.
fn without_need() -> World {
    let world = World::new().with_default_route();
    world.pbx.sysctl("ipv6/conf/all/disable_ipv6", "1");
    world.pbx.sysctl("ipv4/conf/all/rp_filter", "1");
    world
}

/// Whether a TCP connection to a port of the PBX comes about.
fn knocks(from: (&Host, &str), to: &str, port: u16) -> bool {
    let target = SocketAddr::new(to.parse().unwrap(), port);
    from.0.run(|| TcpStream::connect_timeout(&target, Duration::from_secs(1))).is_ok()
}

/// Packets reported within two looks at the counter.
fn packets(running: &mut Running) -> u64 {
    let reports = running.reports_within(Duration::from_millis(2200));
    let count = |report: &Report| match report {
        Report::Packets { count } => *count,
        _ => 0,
    };
    reports.iter().map(count).sum()
}

/// One second's worth passes at once, and a little more while the burst lasts.
fn assert_limited(arrived: usize) {
    assert!(arrived >= LIMIT as usize, "{arrived}: less than the limit");
    assert_limited_more(arrived);
}

/// As [`assert_limited`], for a source that has used up some of its burst.
fn assert_limited_more(arrived: usize) {
    assert!(arrived < BURST / 2, "{arrived} of {BURST} arrived");
}

/// So many networks of both families, none beside another.
fn many(count: u32) -> Vec<IpNet> {
    let apart = |n: u32| [IpAddr::V4((0x0a00_0000 + n * 2).into()), wide(n)];
    (0..count / 2).flat_map(apart).map(IpNet::from).collect()
}

/// Every other /64 of a network.
fn wide(n: u32) -> IpAddr {
    let first: std::net::Ipv6Addr = "2001:db8:f000::".parse().unwrap();
    IpAddr::V6((u128::from(first) + (u128::from(n) << 65)).into())
}
