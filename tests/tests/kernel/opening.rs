//! Start, restart, coverage, flush, and a missing capability.

use caps::{CapSet, Capability};
use libtest_mimic::Trial;
use rtnetlink::packet_route::route::RouteType;
use sipward_route::{
    BanTable, Change, Enforcement, Enforcer, Flushed, GateMode, GateSettings, OwnTable, Report,
    RouteError, Settings, flush,
};
use sipward_tests::netns::{Host, case, udp_arrives};

use crate::outside::{
    add_route, add_table, flush_ruleset, is_blackholed, packets_dropped, routes, rule_preferences,
    tables,
};
use crate::world::{ATTACKER, ATTACKER6, FAR, FAR6, PBX, PBX6, Running, World, net};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("routes_of_an_earlier_run_are_adopted", adopted),
        case("a_restart_leaves_no_gap", restart),
        case("foreign_routes_with_our_protocol_are_named", foreign),
        case("coverage_says_what_rp_filter_leaves_open", coverage),
        case("auto_needs_no_gate_where_rp_filter_stops_everything", auto_without_gate),
        case("a_gate_that_is_switched_off_goes", switched_off),
        case("a_gate_under_other_settings_replaces_the_old_one", renamed),
        case("a_table_of_somebody_else_keeps_its_name", taken_name),
        case("flush_removes_everything_of_ours_and_nothing_else", flush_all),
        case("flush_on_a_clean_host_removes_nothing", flush_nothing),
        case("without_the_capability_the_error_says_how_to_grant_it", no_capability),
        case("settings_out_of_range_are_refused", bad_settings),
        case("what_is_queued_at_shutdown_is_finished", shutdown),
    ]
}

fn with_gate(mode: GateMode) -> Settings {
    let gate = GateSettings { mode, ..GateSettings::default() };
    Settings { gate, ..Settings::default() }
}

fn adopted() {
    let world = World::new().with_default_route();
    for target in [FAR, FAR6, ATTACKER] {
        add_route(&world.pbx, RouteType::BlackHole, target, 216, 254);
    }
    let mut running = Running::start(&world.pbx, Settings::default());
    let mut found = running.found.routes.clone();
    found.sort();
    let mut expected = [FAR, FAR6, ATTACKER].map(net);
    expected.sort();
    assert_eq!(found, expected);
    assert!(!udp_arrives((&world.attacker, FAR), (&world.pbx, PBX)), "adopted means in force");
    assert_eq!(running.block(FAR), Enforcement::Full);
    running.unblock(FAR6);
    assert!(!is_blackholed(&world.pbx, FAR6, 254));
    running.stop();
}

fn restart() {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    running.block(ATTACKER);
    assert!(!udp_arrives((&world.attacker, ATTACKER), (&world.pbx, PBX)));
    running.stop();
    assert!(!udp_arrives((&world.attacker, ATTACKER), (&world.pbx, PBX)));
    let dropped = packets_dropped(&world.pbx);
    let running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.routes, [net(ATTACKER)]);
    assert!(running.found.foreign.is_empty(), "{:?}", running.found.foreign);
    assert!(packets_dropped(&world.pbx) >= dropped, "the gate was left standing");
    assert!(dropped > 0);
    running.stop();
}

fn foreign() {
    let world = World::new().with_default_route();
    add_route(&world.pbx, RouteType::Unreachable, "10.1.0.0/16", 216, 254);
    add_route(&world.pbx, RouteType::BlackHole, "10.2.0.0/16", 216, 300);
    let running = Running::start(&world.pbx, Settings::default());
    assert!(running.found.routes.is_empty());
    let foreign = running.found.foreign.clone();
    assert_eq!(
        foreign,
        [
            "blackhole 10.2.0.0/16 table 300 proto 216",
            "unreachable 10.1.0.0/16 table 254 proto 216",
        ]
    );
    running.stop();
}

fn coverage() {
    let world = World::new().with_default_route();
    for mode in [GateMode::RpFilter, GateMode::Off] {
        let mut running = Running::start(&world.pbx, with_gate(mode));
        let coverage = running.found.coverage.clone();
        assert!(!coverage.gate && !coverage.ipv4_inbound && !coverage.ipv6_inbound);
        assert!(coverage.gaps.iter().any(|gap| gap.contains("eth0, eth1")), "{coverage:?}");
        assert_eq!(running.block(ATTACKER), Enforcement::RepliesOnly);
        assert!(udp_arrives((&world.attacker, ATTACKER), (&world.pbx, PBX)));
        // Loose on one interface, strict on the other.
        world.pbx.sysctl("ipv4/conf/eth0/rp_filter", "2");
        world.pbx.sysctl("ipv4/conf/eth1/rp_filter", "1");
        running.expect("coverage", |report| {
            matches!(report, Report::Coverage(now) if now.ipv4_inbound && !now.ipv6_inbound)
        });
        assert_eq!(running.block(ATTACKER), Enforcement::Full);
        assert!(!udp_arrives((&world.attacker, ATTACKER), (&world.pbx, PBX)));
        assert_eq!(running.block(ATTACKER6), Enforcement::RepliesOnly);
        assert!(udp_arrives((&world.attacker, ATTACKER6), (&world.pbx, PBX6)));
        running.unblock(ATTACKER);
        running.unblock(ATTACKER6);
        running.stop();
        world.pbx.sysctl("ipv4/conf/eth0/rp_filter", "0");
        world.pbx.sysctl("ipv4/conf/eth1/rp_filter", "0");
    }
}

fn auto_without_gate() {
    let world = World::new().with_default_route();
    world.pbx.sysctl("ipv6/conf/all/disable_ipv6", "1");
    world.pbx.sysctl("ipv4/conf/all/rp_filter", "1");
    // A shield needs the gate.
    let gate = GateSettings { shield: None, ..GateSettings::default() };
    let settings = Settings { gate, ..Settings::default() };
    let mut running = Running::start(&world.pbx, settings);
    let coverage = running.found.coverage.clone();
    assert!(!coverage.gate && coverage.ipv4_inbound && coverage.ipv6_inbound, "{coverage:?}");
    assert!(coverage.gaps.is_empty(), "{coverage:?}");
    assert_eq!(running.block(ATTACKER), Enforcement::Full);
    assert!(!udp_arrives((&world.attacker, ATTACKER), (&world.pbx, PBX)));
    // Somebody switches the filter off: now the gate is needed.
    world.pbx.sysctl("ipv4/conf/all/rp_filter", "0");
    running.expect("a gate", |report| matches!(report, Report::Coverage(now) if now.gate));
    assert!(!udp_arrives((&world.attacker, ATTACKER), (&world.pbx, PBX)));
    running.stop();
}

fn switched_off() {
    let world = World::new().with_default_route();
    Running::start(&world.pbx, Settings::default()).stop();
    assert_eq!(rule_preferences(&world.pbx, 217), [40_000]);
    let running = Running::start(&world.pbx, with_gate(GateMode::Off));
    assert!(!running.found.coverage.gate);
    assert_eq!(rule_preferences(&world.pbx, 217), [0_u32; 0]);
    assert!(!routes(&world.pbx).iter().any(|line| line.ends_with("table 217")));
    running.stop();
}

fn renamed() {
    let world = World::new().with_default_route();
    Running::start(&world.pbx, Settings::default()).stop();
    assert_eq!(tables(&world.pbx), ["sipward"]);
    let gate = GateSettings {
        table_name: "other".to_owned(),
        mark: 1,
        rule_preference: 50_000,
        ..GateSettings::default()
    };
    let settings = Settings { gate, ..Settings::default() };
    let mut running = Running::start(&world.pbx, settings);
    assert!(running.found.foreign.is_empty(), "{:?}", running.found.foreign);
    assert_eq!(tables(&world.pbx), ["other"]);
    assert_eq!(rule_preferences(&world.pbx, 217), [50_000]);
    assert_eq!(running.block(FAR), Enforcement::Full);
    assert!(!udp_arrives((&world.attacker, FAR), (&world.pbx, PBX)));
    running.stop();
    // The way out does not depend on what the file says today.
    let flushed = world.pbx.block_on(async || flush(&Settings::default()).await);
    let everything = Flushed { routes: 1, rules: 2, gate: true, ..Flushed::default() };
    assert_eq!(flushed.unwrap(), everything);
    assert!(tables(&world.pbx).is_empty());
}

fn taken_name() {
    let world = World::new().with_default_route();
    add_table(&world.pbx, "sipward");
    let mut running = Running::start(&world.pbx, Settings::default());
    let gaps = running.found.coverage.gaps.concat();
    assert!(gaps.contains("choose another table name"), "{gaps}");
    assert_eq!(running.block(FAR), Enforcement::RepliesOnly);
    running.stop();
    world.pbx.block_on(async || flush(&Settings::default()).await).unwrap();
    assert_eq!(tables(&world.pbx), ["sipward"], "not ours to remove");
}

fn flush_all() {
    for table in [BanTable::Main, BanTable::Own(OwnTable { id: 100, preference: 500 })] {
        let world = World::new().with_default_route();
        add_route(&world.pbx, RouteType::BlackHole, "10.3.0.0/16", 4, 254);
        let before = routes(&world.pbx);
        let settings = Settings { table, ..Settings::default() };
        let mut running = Running::start(&world.pbx, settings.clone());
        for target in [ATTACKER, ATTACKER6, FAR] {
            running.block(target);
        }
        running.stop();
        let flushed = world.pbx.block_on(async || flush(&settings).await).unwrap();
        let rules = if table == BanTable::Main { 2 } else { 4 };
        assert_eq!(flushed, Flushed { routes: 3, rules, gate: true, ..Flushed::default() });
        assert_eq!(routes(&world.pbx), before);
        assert_eq!(rule_preferences(&world.pbx, 217), [0_u32; 0]);
        assert_eq!(rule_preferences(&world.pbx, 100), [0_u32; 0]);
        assert!(world.reached_by_attacker(ATTACKER) && world.reached_by_attacker(ATTACKER6));
        // The table is gone: there is nothing left for others to flush.
        flush_ruleset(&world.pbx);
        assert_eq!(packets_dropped(&world.pbx), 0);
    }
}

fn flush_nothing() {
    let host = Host::new("clean");
    let flushed = host.block_on(async || flush(&Settings::default()).await).unwrap();
    assert_eq!(flushed, Flushed::default());
}

fn no_capability() {
    let host = Host::new("pbx");
    for mode in [GateMode::Auto, GateMode::Off] {
        let (opened, flushed) = host.block_on(async || {
            // Of this thread only.
            caps::drop(None, CapSet::Effective, Capability::CAP_NET_ADMIN).unwrap();
            (Enforcer::open(with_gate(mode)).await, flush(&with_gate(mode)).await)
        });
        let error = opened.expect_err("no right to change routes");
        assert!(matches!(error, RouteError::NotPermitted), "{error}");
        for words in ["CAP_NET_ADMIN", "AmbientCapabilities=", "setcap cap_net_admin+ep"] {
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(matches!(flushed, Err(RouteError::NotPermitted)));
    }
}

fn bad_settings() {
    let host = Host::new("pbx");
    let settings = Settings { protocol: 4, ..Settings::default() };
    let outcome = Running::try_start(&host, settings).map(|_| ());
    assert!(matches!(outcome, Err(RouteError::Settings(_))), "{outcome:?}");
}

fn shutdown() {
    let world = World::new();
    let running = Running::start(&world.pbx, Settings::default());
    let targets: Vec<_> = (0..500).map(|n| net(&format!("10.1.{}.{}", n / 250, n % 250))).collect();
    for target in &targets {
        running.send(Change::block(*target));
    }
    running.stop();
    let standing =
        routes(&world.pbx).iter().filter(|line| line.contains("proto 216 table 254")).count();
    assert_eq!(standing, targets.len());
}
