//! Routes of others for the same networks, and what an unban leaves.

use std::time::Duration;

use libtest_mimic::Trial;
use rtnetlink::packet_route::route::RouteType;
use sipward_route::{Change, Enforcement, Report, Settings, inspect};
use sipward_tests::netns::case;

use crate::outside::{add_route, add_route_with_metric, delete_route, is_blackholed, routes};
use crate::world::{ATTACKER, FAR, FAR6, ROUTER, ROUTER6, Running, World, net};

const MAIN: u32 = 254;
/// Somebody else's protocol number (`boot`, as `ip route add` sets it).
const BOOT: u8 = 3;
/// Ours.
const OURS: u8 = 216;

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("a_foreign_blackhole_stops_and_ours_follows_it", || follows(RouteType::BlackHole)),
        case("a_foreign_unreachable_route_stops_and_ours_follows_it", || {
            follows(RouteType::Unreachable);
        }),
        case("a_foreign_prohibit_route_stops_and_ours_follows_it", || follows(RouteType::Prohibit)),
        case("in_ipv6_ours_stands_beside_a_foreign_route", beside_in_ipv6),
        case("in_ipv6_a_preferred_refusal_stops_answers_only", preferred_in_ipv6),
        case("in_ipv4_a_less_preferred_route_is_no_obstacle", less_preferred),
        case("a_refused_ban_is_set_when_the_obstacle_goes", obstacle_goes),
        case("a_refused_ban_that_is_lifted_is_not_tried_again", lifted_meanwhile),
        case("what_would_cut_off_a_gateway_is_banned_when_it_is_none_any_more", gateway_goes),
        case("a_more_specific_route_that_comes_later_is_told_and_so_is_its_end", more_specific),
        case("an_unban_tells_what_stops_the_address_all_the_same", still_stopped),
        case("an_unban_removes_every_route_of_ours", every_route),
        case("an_unban_leaves_routes_of_others", leaves_others),
        case("routes_with_our_mark_that_are_no_bans_are_told", strays),
        case("a_look_names_routes_of_others_for_banned_networks", looked_at),
    ]
}

fn start() -> (World, Running) {
    let world = World::new().with_default_route();
    let running = Running::start(&world.pbx, Settings::default());
    (world, running)
}

fn blocked(report: &Report) -> Option<&Enforcement> {
    match report {
        Report::Blocked { enforcement, .. } => Some(enforcement),
        _ => None,
    }
}

fn becomes_full(running: &mut Running, target: &str) {
    let wanted = Report::Blocked { net: net(target), enforcement: Enforcement::Full };
    running.expect("one of our bans", |report| *report == wanted);
}

fn follows(kind: RouteType) {
    let (world, mut running) = start();
    add_route(&world.pbx, kind, FAR, BOOT, MAIN);
    let Enforcement::StoppedByOther { route } = running.block(FAR) else { panic!("theirs stops") };
    assert!(route.contains("203.0.113.66/32 table 254 proto 3"), "{route}");
    assert!(!world.reached_by_attacker(FAR), "what is said is so");
    assert!(!is_blackholed(&world.pbx, FAR, MAIN));
    delete_route(&world.pbx, kind, FAR, BOOT, MAIN);
    becomes_full(&mut running, FAR);
    assert!(is_blackholed(&world.pbx, FAR, MAIN));
    assert!(!world.reached_by_attacker(FAR));
    running.unblock(FAR);
    assert!(world.reached_by_attacker(FAR));
    running.stop();
}

fn beside_in_ipv6() {
    let (world, mut running) = start();
    for kind in [RouteType::BlackHole, RouteType::Unreachable, RouteType::Prohibit] {
        add_route(&world.pbx, kind, FAR6, BOOT, MAIN);
        assert_eq!(running.block(FAR6), Enforcement::Full, "{kind:?}");
        assert!(!world.reached_by_attacker(FAR6), "{kind:?}");
        delete_route(&world.pbx, kind, FAR6, BOOT, MAIN);
        assert!(is_blackholed(&world.pbx, FAR6, MAIN), "{kind:?}");
        running.unblock(FAR6);
        assert!(world.reached_by_attacker(FAR6), "{kind:?}");
    }
    world.pbx.route("2001:db8:66::66/128", ROUTER6);
    assert_eq!(running.block(FAR6), Enforcement::Full);
    assert!(!world.reached_by_attacker(FAR6));
    running.stop();
}

fn preferred_in_ipv6() {
    let (world, mut running) = start();
    add_route_with_metric(&world.pbx, RouteType::Unreachable, FAR6, BOOT, 10);
    let Enforcement::InboundOnly { because } = running.block(FAR6) else { panic!("theirs wins") };
    assert!(because.contains("unreachable"), "{because}");
    assert!(!world.reached_by_attacker(FAR6), "the gate's set asks no route");
    running.stop();
}

fn less_preferred() {
    let (world, mut running) = start();
    add_route_with_metric(&world.pbx, RouteType::Unreachable, FAR, BOOT, 10);
    assert_eq!(running.block(FAR), Enforcement::Full);
    assert!(!world.reached_by_attacker(FAR));
    running.stop();
}

fn obstacle_goes() {
    let (world, mut running) = start();
    world.pbx.route("203.0.113.66/32", ROUTER);
    let report = running.ask(Change::block(net(FAR)));
    assert!(matches!(report, Report::Failed { .. }), "{report:?}");
    assert!(world.reached_by_attacker(FAR));
    // It is tried again every few seconds; a try that fails again is not reported.
    let again = running.reports_within(Duration::from_secs(6));
    assert!(again.is_empty(), "tried again, and told once: {again:?}");
    world.pbx.remove_route("203.0.113.66/32", ROUTER);
    becomes_full(&mut running, FAR);
    assert!(!world.reached_by_attacker(FAR));
    running.stop();
}

fn lifted_meanwhile() {
    let (world, mut running) = start();
    world.pbx.route("203.0.113.66/32", ROUTER);
    running.ask(Change::block(net(FAR)));
    running.unblock(FAR);
    world.pbx.remove_route("203.0.113.66/32", ROUTER);
    assert!(
        running.reports_within(Duration::from_millis(500)).iter().all(|r| blocked(r).is_none())
    );
    assert!(!is_blackholed(&world.pbx, FAR, MAIN));
    running.stop();
}

fn gateway_goes() {
    let (world, mut running) = start();
    world.pbx.route("10.9.0.0/16", ATTACKER);
    running.expect("a gateway", |report| matches!(report, Report::Host(_)));
    let report = running.ask(Change::block(net(ATTACKER)));
    assert!(matches!(report, Report::Failed { .. }), "{report:?}");
    world.pbx.remove_route("10.9.0.0/16", ATTACKER);
    becomes_full(&mut running, ATTACKER);
    running.stop();
}

fn more_specific() {
    let (world, mut running) = start();
    assert_eq!(running.block("203.0.113.0/24"), Enforcement::Full);
    world.pbx.route("203.0.113.128/25", ATTACKER);
    let report = running.expect("a better route", |report| blocked(report).is_some());
    let Some(Enforcement::Outranked { winner }) = blocked(&report) else { panic!("{report:?}") };
    assert!(winner.contains("203.0.113.128/25 via 192.0.2.66"), "{winner}");
    world.pbx.remove_route("203.0.113.128/25", ATTACKER);
    becomes_full(&mut running, "203.0.113.0/24");
    running.stop();
}

fn still_stopped() {
    let (world, mut running) = start();
    assert_eq!(running.block(FAR), Enforcement::Full);
    add_route(&world.pbx, RouteType::BlackHole, "203.0.113.0/24", BOOT, MAIN);
    let report = running.ask(Change::Unblock(net(FAR)));
    let Report::Unblocked { still: Some(still), .. } = report else { panic!("{report:?}") };
    assert!(still.contains("ip route get 203.0.113.66"), "{still}");
    assert!(!world.reached_by_attacker(FAR));
    // A ban of sipward around it is no report.
    delete_route(&world.pbx, RouteType::BlackHole, "203.0.113.0/24", BOOT, MAIN);
    assert_eq!(running.block("203.0.113.0/24"), Enforcement::Full);
    assert_eq!(running.block(FAR), Enforcement::Full);
    running.unblock(FAR);
    assert!(is_blackholed(&world.pbx, "203.0.113.0/24", MAIN));
    running.stop();
}

fn every_route() {
    let (world, mut running) = start();
    for target in [FAR, FAR6] {
        assert_eq!(running.block(target), Enforcement::Full);
        // As an older version, or a second one with other ideas, left it.
        add_route_with_metric(&world.pbx, RouteType::BlackHole, target, OURS, 2000);
        running.unblock(target);
        assert!(!is_blackholed(&world.pbx, target, MAIN), "{:#?}", routes(&world.pbx));
        assert!(world.reached_by_attacker(target));
        // Nor is a route left that is no ban of sipward.
        add_route(&world.pbx, RouteType::BlackHole, target, OURS, MAIN);
        running.unblock(target);
        assert!(world.reached_by_attacker(target));
    }
    running.stop();
}

fn leaves_others() {
    let (world, mut running) = start();
    for target in [FAR, FAR6] {
        add_route(&world.pbx, RouteType::BlackHole, target, BOOT, MAIN);
        running.block(target);
        let report = running.ask(Change::Unblock(net(target)));
        assert!(matches!(report, Report::Unblocked { still: Some(_), .. }), "{report:?}");
        let theirs = format!("blackhole {} proto 3 table 254", net(target));
        assert!(routes(&world.pbx).contains(&theirs), "{theirs}");
        assert!(!is_blackholed(&world.pbx, target, MAIN));
    }
    running.stop();
}

fn strays() {
    let (world, mut running) = start();
    running.block(ATTACKER);
    add_route(&world.pbx, RouteType::BlackHole, FAR, OURS, MAIN);
    let told = |report: &Report| matches!(report, Report::Strays { .. });
    let report = running.expect("a stray", told);
    assert_eq!(report, Report::Strays { nets: vec![net(FAR)], count: 1 });
    delete_route(&world.pbx, RouteType::BlackHole, FAR, OURS, MAIN);
    let report = running.expect("its end", told);
    assert_eq!(report, Report::Strays { nets: Vec::new(), count: 0 });
    assert!(is_blackholed(&world.pbx, ATTACKER, MAIN));
    running.stop();
}

fn looked_at() {
    let (world, mut running) = start();
    add_route(&world.pbx, RouteType::Unreachable, FAR, BOOT, MAIN);
    running.block(FAR);
    running.block(ATTACKER);
    running.stop();
    let found = world.pbx.block_on(async || inspect(&Settings::default()).await).unwrap();
    assert_eq!(found.bans, [net(ATTACKER)].into());
    assert_eq!(found.stopped_by_others, [net(FAR)].into());
}
