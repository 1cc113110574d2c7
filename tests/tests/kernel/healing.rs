//! What outsiders take away comes back within a second.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use libtest_mimic::Trial;
use rtnetlink::packet_route::route::RouteType;
use sipward_route::{BanTable, Change, Enforcement, Enforcer, OwnTable, Report, Settings};
use sipward_tests::netns::case;
use sipward_tests::wait::until;
use tokio::sync::{mpsc, oneshot};

use crate::outside::{
    add_blackholes, add_route, delete_blackholes, delete_chain_rules, delete_route, delete_rules,
    flush_routes, flush_ruleset, is_blackholed, packets_dropped, rule_preferences,
};
use crate::world::{ATTACKER, ATTACKER6, FAR, Running, World, net};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("flushed_routes_come_back", flushed_routes),
        case("a_deleted_rule_comes_back", deleted_rule),
        case("the_rule_of_an_own_table_comes_back", own_table_rule),
        case("a_flushed_ruleset_comes_back", flushed_ruleset),
        case("an_emptied_chain_is_filled_again", emptied_chain),
        case("a_deleted_fallback_route_comes_back", deleted_fallback),
        case("everything_comes_back_after_the_loopback_was_down", loopback_down),
        case("a_ban_that_somebody_replaced_is_reported", replaced_route),
        case("our_own_changes_are_no_damage", own_changes),
        case("forty_thousand_flushed_bans_come_back", thousands),
        case("what_was_missed_in_an_overrun_is_found", overrun),
        case("new_addresses_and_gateways_are_reported", host_changes),
        case("a_ban_that_a_new_connection_outranks_is_told_again", outranked_later),
    ]
}

fn start() -> (World, Running) {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    for target in [ATTACKER, ATTACKER6, FAR] {
        assert_eq!(running.block(target), Enforcement::Full);
    }
    (world, running)
}

fn flushed_routes() {
    let (world, mut running) = start();
    flush_routes(&world.pbx, 216);
    let mut routes = 0;
    let mut rules = 0;
    while routes < 3 || rules < 1 {
        let healed = running.healed();
        routes += healed.0;
        rules += healed.1;
    }
    assert_eq!((routes, rules), (3, 1), "the fallback route carries our protocol too");
    for target in [ATTACKER, ATTACKER6, FAR] {
        assert!(is_blackholed(&world.pbx, target, 254));
    }
    assert!(!world.reached_by_attacker(ATTACKER));
    running.stop();
}

fn deleted_rule() {
    let (world, mut running) = start();
    delete_rules(&world.pbx, 217);
    assert_eq!(running.healed(), (0, 1, false));
    assert_eq!(rule_preferences(&world.pbx, 217), [40_000]);
    running.stop();
}

fn own_table_rule() {
    let world = World::new().with_default_route();
    let table = BanTable::Own(OwnTable { id: 100, preference: 500 });
    let mut running = Running::start(&world.pbx, Settings { table, ..Settings::default() });
    running.block(ATTACKER);
    delete_rules(&world.pbx, 100);
    let mut rules = 0;
    while rules < 2 {
        rules += running.healed().1;
    }
    assert_eq!(rule_preferences(&world.pbx, 100), [500, 500]);
    assert!(!world.reached_by_attacker(ATTACKER));
    running.stop();
}

fn flushed_ruleset() {
    let (world, mut running) = start();
    flush_ruleset(&world.pbx);
    assert_eq!(running.healed(), (0, 0, true));
    assert!(!world.reached_by_attacker(ATTACKER));
    assert!(!world.reached_by_attacker(ATTACKER6));
    assert!(packets_dropped(&world.pbx) > 0);
    running.stop();
}

fn emptied_chain() {
    let (world, mut running) = start();
    delete_chain_rules(&world.pbx, "sipward", "gate");
    assert_eq!(running.healed(), (0, 0, true));
    assert!(!world.reached_by_attacker(ATTACKER6));
    running.stop();
}

fn deleted_fallback() {
    let (world, mut running) = start();
    let fallback = |line: &String| line.ends_with("table 217");
    assert_eq!(crate::outside::routes(&world.pbx).iter().filter(|l| fallback(l)).count(), 1);
    world.pbx.netlink(async |handle| {
        use futures_util::TryStreamExt;
        let request = rtnetlink::RouteMessageBuilder::<std::net::Ipv4Addr>::new().build();
        let all: Vec<_> = handle.route().get(request).execute().try_collect().await.unwrap();
        let found = all.into_iter().find(|route| route.header.table == 217).unwrap();
        handle.route().del(found).execute().await.unwrap();
    });
    assert_eq!(running.healed(), (0, 1, false));
    assert_eq!(crate::outside::routes(&world.pbx).iter().filter(|l| fallback(l)).count(), 1);
    running.stop();
}

fn loopback_down() {
    let (world, mut running) = start();
    world.pbx.down("lo");
    world.pbx.up("lo");
    until("routes and rule are back", || {
        [ATTACKER, ATTACKER6, FAR].iter().all(|target| is_blackholed(&world.pbx, target, 254))
            && crate::outside::routes(&world.pbx).iter().any(|line| line.ends_with("table 217"))
    });
    assert!(!world.reached_by_attacker(ATTACKER6));
    assert!(world.reached_by_phone());
    running.reports_within(Duration::ZERO);
    running.stop();
}

fn replaced_route() {
    let (world, mut running) = start();
    delete_route(&world.pbx, RouteType::BlackHole, FAR, 216, 254);
    add_route(&world.pbx, RouteType::Unreachable, FAR, 4, 254);
    let report = running.expect("another route", |report| {
        matches!(report, Report::Blocked { enforcement: Enforcement::StoppedByOther { .. }, .. })
    });
    let Report::Blocked { net: target, enforcement } = report else { panic!("{report:?}") };
    assert_eq!(target, net(FAR));
    assert!(enforcement.to_string().contains("unreachable 203.0.113.66/32"), "{enforcement}");
    running.stop();
}

fn own_changes() {
    let (world, mut running) = start();
    for n in 0..200 {
        running.send(Change::block(net(&format!("203.0.113.{n}"))));
    }
    for n in 0..200 {
        running.send(Change::Unblock(net(&format!("203.0.113.{n}"))));
    }
    let reports = running.reports_within(Duration::from_millis(500));
    let healed = reports.iter().filter(|report| matches!(report, Report::Healed { .. })).count();
    assert_eq!(healed, 0);
    drop(world);
    running.stop();
}

fn thousands() {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    let targets: Vec<_> =
        (0..40_000_u32).map(|n| IpNet::from(IpAddr::V4((0x0a00_0000 + n).into()))).collect();
    for some in targets.chunks(1000) {
        for target in some {
            running.send(Change::block(*target));
        }
        let last = some.last().copied();
        running.expect(
            "blocked",
            |report| matches!(report, Report::Blocked { net, .. } if Some(*net) == last),
        );
    }
    delete_blackholes(&world.pbx, &targets, 216);
    let mut routes = 0;
    while routes < targets.len() {
        let report = running.expect("healed", |report| matches!(report, Report::Healed { .. }));
        let Report::Healed { routes: some, .. } = report else { panic!("{report:?}") };
        routes += some;
    }
    assert!(is_blackholed(&world.pbx, "10.0.156.63", 254));
    running.stop();
}

/// The enforcer cannot listen while this test holds its thread: the monitor's queue overflows, and what
/// happens then is not announced.
fn overrun() {
    let world = World::new().with_default_route();
    let elsewhere: Vec<_> =
        (0..60_000_u32).map(|n| IpNet::from(IpAddr::V4((0x0b00_0000 + n).into()))).collect();
    let pbx = &world.pbx;
    pbx.block_on(async || {
        let (enforcer, _) = Enforcer::open(Settings::default()).await.unwrap();
        let (changes, change_queue) = mpsc::channel(16);
        let (report_queue, mut reports) = mpsc::channel(16);
        let (_running, stop) = oneshot::channel();
        tokio::spawn(enforcer.run(change_queue, report_queue, stop));
        changes.send(Change::block(net(FAR))).await.unwrap();
        assert!(matches!(reports.recv().await, Some(Report::Blocked { .. })));
        add_blackholes(pbx, &elsewhere, 4);
        delete_blackholes(pbx, &[net(FAR)], 216);
        assert!(!is_blackholed(pbx, FAR, 254));
        let report = tokio::time::timeout(Duration::from_secs(5), reports.recv()).await.unwrap();
        assert_eq!(report, Some(Report::Healed { routes: 1, rules: 0, gate: false, elements: 0 }));
        assert!(is_blackholed(pbx, FAR, 254));
    });
}

fn host_changes() {
    let world = World::new();
    let mut running = Running::start(&world.pbx, Settings::default());
    let found = running.found.host.clone();
    assert!(found.own.contains(&"192.0.2.1".parse().unwrap()), "{found:?}");
    assert!(found.own.contains(&"2001:db8:a::1".parse().unwrap()), "{found:?}");
    assert!(found.on_link.contains(&net("2001:db8:a::/64")), "{found:?}");
    assert!(found.on_link.contains(&net("198.51.100.0/24")), "{found:?}");
    assert!(found.gateways.is_empty(), "{found:?}");
    world.pbx.route("0.0.0.0/0", ATTACKER);
    running.expect("a gateway", |report| {
        matches!(report, Report::Host(facts) if facts.gateways == [ATTACKER.parse::<std::net::IpAddr>().unwrap()])
    });
    world.pbx.address("eth0", "192.0.2.9/24");
    running.expect("an address", |report| {
        matches!(report, Report::Host(facts) if facts.own.contains(&"192.0.2.9".parse().unwrap()))
    });
    world.pbx.remove_address("eth0", "192.0.2.9/24");
    running.expect("no address", |report| {
        matches!(report, Report::Host(facts) if !facts.own.contains(&"192.0.2.9".parse().unwrap()))
    });
    running.stop();
}

fn outranked_later() {
    let world = World::new().with_default_route();
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.block("2001:db8:c::/64"), Enforcement::Full);
    assert_eq!(running.block(FAR), Enforcement::Full);
    world.pbx.address("eth1", "2001:db8:c::1/64");
    let told = running.expect("a second report", |report| matches!(report, Report::Blocked { .. }));
    let Report::Blocked { net: target, enforcement: Enforcement::Outranked { winner } } = told
    else {
        panic!("{told:?}")
    };
    assert_eq!(target, net("2001:db8:c::/64"));
    assert!(winner.contains("metric 256"), "{winner}");
    running.stop();
}
