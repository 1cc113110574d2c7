//! What the gate counts of what arrives for the SIP ports.

use libtest_mimic::Trial;
use sipward_route::{Enforcement, GateMode, GateSettings, Report, Settings, ShieldSettings, flush};
use sipward_tests::netns::{case, udp_burst as burst};

use crate::outside::{flush_ruleset, sets, tables};
use crate::traffic::{OTHER, SIP, knocks};
use crate::world::{
    ATTACKER, ATTACKER6, PBX, PBX_FOR_PHONE, PBX6, PBX6_FOR_PHONE, PHONE, PHONE6, Running, World,
};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("packets_to_the_sip_ports_are_counted", counted),
        case("packets_of_banned_sources_are_not_counted", banned_not_counted),
        case("the_count_goes_on_after_the_gate_was_put_back", counted_after_healing),
        case("an_earlier_run_is_not_counted_again", counted_after_restart),
        case("without_sip_ports_nothing_is_counted_or_shielded", no_ports),
        case("without_a_gate_nothing_is_counted", counting_forces_no_gate),
        case("without_a_shield_nothing_is_lost", unshielded),
        case("a_shield_needs_the_gate_and_gets_it", shield_forces_gate),
        case("flush_takes_the_shield_away", flushed),
    ]
}

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
    let (world, mut running) = start(Some(ShieldSettings::default()));
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
    let (world, mut running) = start(Some(ShieldSettings::default()));
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
    let mut running = Running::start(&world.pbx, settings(None));
    assert_eq!(packets(&mut running), 0);
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 5);
    assert_eq!(packets(&mut running), 5);
    running.stop();
}

fn no_ports() {
    let gate = GateSettings { sip_ports: Vec::new(), ..GateSettings::default() };
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings { gate, ..Settings::default() });
    assert!(running.found.coverage.gate);
    assert_eq!(sets(&world.pbx), ["banned4", "banned6", "banned6_64"]);
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST), BURST);
    assert_eq!(packets(&mut running), 0);
    assert_eq!(running.block(ATTACKER), Enforcement::Full);
    assert!(!world.reached_by_attacker(ATTACKER));
    running.stop();
}

fn counting_forces_no_gate() {
    let world = without_need();
    let mut running = Running::start(&world.pbx, settings(None));
    assert!(!running.found.coverage.gate);
    burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, 10);
    assert_eq!(packets(&mut running), 0);
    running.stop();
}

fn unshielded() {
    let (world, running) = start(None);
    for (from, to) in [(ATTACKER, PBX), (ATTACKER6, PBX6)] {
        assert_eq!(burst((&world.attacker, from), (&world.pbx, to), SIP, BURST), BURST);
    }
    // The shield's rules look into sets, so they are not there either.
    let sets = sets(&world.pbx);
    assert!(!sets.iter().any(|set| set.starts_with("strangers") || set == "budgets"), "{sets:?}");
    running.stop();
}

fn shield_forces_gate() {
    let world = without_need();
    let running = Running::start(&world.pbx, Settings::default());
    assert!(running.found.coverage.gate);
    assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
    assert!(sets(&world.pbx).contains(&"healthy_udp4".to_owned()));
    running.stop();
    let mut settings = Settings::default();
    settings.gate.mode = GateMode::Off;
    let running = Running::start(&world.pbx, settings);
    let gaps = running.found.coverage.gaps.join("; ");
    assert!(gaps.contains("nothing is shielded"), "{gaps}");
    assert!(tables(&world.pbx).is_empty());
    running.stop();
}

fn flushed() {
    let (world, mut running) = start(Some(ShieldSettings::default()));
    running.shielded(&[PHONE]);
    running.stop();
    let removed = world.pbx.block_on(async || flush(&Settings::default()).await.unwrap());
    assert!(removed.gate);
    assert!(tables(&world.pbx).is_empty());
    assert_eq!(burst((&world.attacker, ATTACKER), (&world.pbx, PBX), SIP, BURST), BURST);
}

fn settings(shield: Option<ShieldSettings>) -> Settings {
    let gate = GateSettings { shield, ..GateSettings::default() };
    Settings { gate, ..Settings::default() }
}

fn start(shield: Option<ShieldSettings>) -> (World, Running) {
    let world = World::new().with_default_route();
    let running = Running::start(&world.pbx, settings(shield));
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

/// Packets reported within two looks at the counter.
fn packets(running: &mut Running) -> u64 {
    let reports = running.reports_within(std::time::Duration::from_millis(2200));
    let count = |report: &Report| match report {
        Report::Packets { count } => *count,
        _ => 0,
    };
    reports.iter().map(count).sum()
}
