//! Policy rules of others: a ban is proved for each way in, and goes where no rule passes it by.

use std::time::Duration;

use libtest_mimic::Trial;
use rtnetlink::packet_route::route::RouteType;
use sipward_route::{
    BanTable, Enforcement, OwnTable, Report, Route, Settings, flush, inspect, look_up,
};
use sipward_tests::netns::{self, Host, case, tcp_connects, udp_arrives};
use sipward_tests::wait::until;

use crate::outside::{
    Rule, add_default_route, add_route, add_rule, add_vrf, delete_rule, is_blackholed, mark_all,
    routes, rule_preferences, tables, try_vrf,
};
use crate::world::{ATTACKER, FAR, FAR6, PBX, PBX6, ROUTER, ROUTER6, Running, World, net};

/// Further addresses of the PBX, those of its second uplink.
const SECOND: &str = "192.0.2.2";
const SECOND6: &str = "2001:db8:a::2";
/// The table of the second uplink.
const UPLINK: u32 = 100;
const MAIN: u32 = 254;
/// A network around the far attacker: only its route stops it.
const FAR_NET: &str = "203.0.113.0/24";
/// Where bans go by themselves.
const AUTO: u32 = 216;

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("a_second_uplink_passes_no_ban_by", second_uplink),
        case("a_rule_that_comes_while_bans_stand_moves_them_without_a_gap", live_rule),
        case("main_is_kept_when_it_is_asked_for_and_the_rule_is_named", main_asked_for),
        case("an_own_table_behind_a_rule_is_named_too", own_table_behind),
        case("a_rule_that_goes_makes_bans_effective_again", rule_goes),
        case("a_rule_for_the_attackers_network_passes_no_ban_by", to_rule),
        case("a_rule_for_packets_that_come_in_by_an_interface_hides_nothing", iif_rule),
        case("a_rule_for_a_mark_passes_no_ban_by", mark_rule),
        case("wg_quick_needs_no_other_table", wg_quick),
        where_vrfs_are(case("a_vrf_passes_no_ban_by", vrf)),
        where_vrfs_are(case("a_vrf_that_comes_while_bans_stand_moves_them", live_vrf)),
        case("a_rule_that_gets_before_ours_is_passed_again", before_ours),
        case("rules_before_the_local_table_are_never_overtaken", before_local),
        case("a_rule_by_transport_is_named", by_transport),
        case("a_used_table_is_not_taken", used_table),
        case("bans_of_an_earlier_run_move_at_the_start", moves_at_start),
        case("bans_go_back_to_main_at_a_start_without_the_rule", back_to_main),
        case("bans_follow_a_changed_setting", changed_setting),
        case("unbanning_while_bans_move_leaves_nothing", unban_while_moving),
        case("flush_removes_bans_of_the_own_table_and_its_rule", flushes),
        case("ten_thousand_bans_move", ten_thousand),
    ]
}

/// A case that is shown as ignored where the kernel has no VRFs (`CONFIG_NET_VRF`).
fn where_vrfs_are(case: Trial) -> Trial {
    let has_vrfs = try_vrf(&Host::new("vrf"), "red", 10);
    if !has_vrfs {
        eprintln!("{}: not tried, this kernel has no VRFs", case.name());
    }
    case.with_ignored_flag(!has_vrfs)
}

/// A world whose PBX has two uplinks over the same cable, as hosts in clouds and with two providers have.
fn world() -> World {
    let world = World::new().with_default_route();
    world.pbx.address("eth0", "192.0.2.2/24");
    world.pbx.address("eth0", "2001:db8:a::2/64");
    add_default_route(&world.pbx, ROUTER, "eth0", UPLINK);
    add_default_route(&world.pbx, ROUTER6, "eth0", UPLINK);
    world
}

/// `ip rule add from SECOND lookup UPLINK pref PREFERENCE`, both families.
fn second(preference: u32) -> [Rule; 2] {
    [SECOND, SECOND6]
        .map(|own| Rule { from: Some(net(own)), ..Rule::lookup(own, preference, UPLINK) })
}

fn add_second(host: &Host, preference: u32) {
    for rule in &second(preference) {
        add_rule(host, rule);
    }
}

fn delete_second(host: &Host) {
    for rule in &second(1000) {
        delete_rule(host, rule);
    }
}

fn with(table: BanTable) -> Settings {
    Settings { table, ..Settings::default() }
}

/// Whether packets of the attacker reach an own address of the PBX.
fn reaches(world: &World, from: &str, to: &str) -> bool {
    let udp = udp_arrives((&world.attacker, from), (&world.pbx, to));
    let tcp = tcp_connects((&world.attacker, from), (&world.pbx, to));
    assert_eq!(udp, tcp, "{from} to {to}: UDP {udp}, TCP {tcp}");
    udp
}

/// Whether the far attacker reaches any address of the PBX, by any family.
fn any_reached(world: &World) -> Vec<&'static str> {
    let ways = [(FAR, PBX), (FAR, SECOND), (FAR6, PBX6), (FAR6, SECOND6)];
    ways.into_iter().filter(|(from, to)| reaches(world, from, to)).map(|(_, to)| to).collect()
}

fn is_moved(running: &mut Running, to: u32) {
    running
        .expect("a move", |report| matches!(report, Report::Moved { table, .. } if *table == to));
}

fn second_uplink() {
    let world = world();
    add_second(&world.pbx, 1000);
    assert_eq!(any_reached(&world).len(), 4);
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.coverage.table, AUTO);
    assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
    assert_eq!(rule_preferences(&world.pbx, AUTO), [900, 900]);
    for target in [FAR, "2001:db8:66::/64"] {
        assert_eq!(running.block(target), Enforcement::Full);
        assert!(is_blackholed(&world.pbx, target, AUTO));
    }
    assert_eq!(any_reached(&world), [""; 0]);
    assert!(world.reached_by_phone());
    for target in [FAR, "2001:db8:66::/64"] {
        running.unblock(target);
    }
    assert_eq!(any_reached(&world).len(), 4);
    running.stop();
}

fn live_rule() {
    let world = world();
    let mut running = Running::start(&world.pbx, Settings::default());
    for target in [FAR, "2001:db8:66::/64"] {
        assert_eq!(running.block(target), Enforcement::Full);
        assert!(is_blackholed(&world.pbx, target, MAIN));
    }
    assert_eq!(any_reached(&world), [""; 0]);
    // A sender that never pauses, to the first address.
    let attacker = world.attacker.clone();
    let pbx = world.pbx.clone();
    let flood =
        std::thread::spawn(move || netns::udp_burst((&attacker, FAR), (&pbx, PBX), 5060, 20_000));
    add_second(&world.pbx, 1000);
    let report = running.expect("a move", |report| matches!(report, Report::Moved { .. }));
    let Report::Moved { routes, table, preference, because } = report else { panic!("{report:?}") };
    assert_eq!((routes, table, preference), (2, AUTO, Some(900)));
    assert!(because.concat().contains(&format!("from {SECOND} lookup {UPLINK}")), "{because:?}");
    for target in [FAR, "2001:db8:66::/64"] {
        assert!(is_blackholed(&world.pbx, target, AUTO));
        assert!(!is_blackholed(&world.pbx, target, MAIN));
    }
    assert_eq!(flood.join().unwrap(), 0, "packets came through while bans moved");
    assert_eq!(any_reached(&world), [""; 0]);
    running.stop();
}

fn main_asked_for() {
    let world = world();
    add_second(&world.pbx, 1000);
    let mut running = Running::start(&world.pbx, with(BanTable::Main));
    let coverage = running.found.coverage.clone();
    assert!(!coverage.ipv4_inbound && !coverage.ipv6_inbound, "{coverage:?}");
    let gaps = coverage.gaps.concat();
    for own in [SECOND, SECOND6] {
        assert!(gaps.contains(&format!("packets to {own} pass by the bans")), "{gaps}");
    }
    assert!(gaps.contains(&format!("ip rule pref 1000 from {SECOND} lookup {UPLINK}")), "{gaps}");
    let Enforcement::PassedBy { packets, rule, winner } = running.block(FAR_NET) else {
        panic!("the rule hides the ban")
    };
    assert_eq!(packets, format!("to {SECOND}"));
    assert_eq!(rule, format!("ip rule pref 1000 from {SECOND} lookup {UPLINK}"));
    assert!(winner.contains("table 100"), "{winner}");
    assert!(matches!(running.block("2001:db8:66::/48"), Enforcement::PassedBy { .. }));
    assert_eq!(any_reached(&world), [SECOND, SECOND6]);
    // `inspect` finds the same.
    let (found, route) = world.pbx.block_on(async || {
        let settings = with(BanTable::Main);
        (inspect(&settings).await.unwrap(), look_up(&settings, FAR.parse().unwrap()).await.unwrap())
    });
    assert_eq!(found.outranked.len(), 2, "{:?}", found.outranked);
    assert!(
        found.outranked.iter().all(|(_, why)| why.contains("pref 1000")),
        "{:?}",
        found.outranked
    );
    assert!(!found.coverage.gaps.is_empty());
    assert!(matches!(&route, Route::Other(why) if why.contains(SECOND)), "{route:?}");
    // Exact hosts are in the gate's set, which asks no route.
    for target in [FAR, "2001:db8:66::/64"] {
        let Enforcement::InboundOnly { because } = running.block(target) else {
            panic!("{target} is in a set")
        };
        assert!(because.contains("pref 1000"), "{because}");
    }
    assert_eq!(any_reached(&world), [""; 0]);
    running.stop();
}

fn own_table_behind() {
    let world = world();
    add_second(&world.pbx, 500);
    let own = BanTable::Own(OwnTable { id: 70_000, preference: 600 });
    let mut running = Running::start(&world.pbx, with(own));
    assert!(running.found.coverage.gaps.concat().contains("table 70000"));
    assert!(matches!(running.block(FAR_NET), Enforcement::PassedBy { .. }));
    running.stop();
    let before = BanTable::Own(OwnTable { id: 70_000, preference: 499 });
    let mut running = Running::start(&world.pbx, with(before));
    assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
    assert_eq!(running.block(FAR), Enforcement::Full);
    assert!(!reaches(&world, FAR, SECOND));
    running.stop();
}

fn rule_goes() {
    let world = world();
    let mut running = Running::start(&world.pbx, with(BanTable::Main));
    assert_eq!(running.block(FAR_NET), Enforcement::Full);
    add_second(&world.pbx, 1000);
    running.expect("the rule", |report| {
        matches!(report, Report::Blocked { enforcement: Enforcement::PassedBy { .. }, .. })
    });
    delete_second(&world.pbx);
    running.expect("its end", |report| {
        matches!(report, Report::Blocked { enforcement: Enforcement::Full, .. })
    });
    assert!(!reaches(&world, FAR, SECOND));
    running.stop();
}

fn to_rule() {
    let world = world();
    for target in ["203.0.113.0/24", "2001:db8:66::/48"] {
        add_rule(&world.pbx, &Rule { to: Some(net(target)), ..Rule::lookup(target, 1000, UPLINK) });
    }
    let mut running = Running::start(&world.pbx, with(BanTable::Main));
    assert!(matches!(running.block(FAR_NET), Enforcement::PassedBy { .. }));
    assert!(reaches(&world, FAR, PBX));
    assert_eq!(running.block(ATTACKER), Enforcement::Full, "the rule is not for this one");
    running.stop();
    let mut running = Running::start(&world.pbx, Settings::default());
    is_moved(&mut running, AUTO);
    stops_both(running, &world);
}

/// Bans of both families are in force, and nothing arrives.
fn stops_both(mut running: Running, world: &World) {
    assert_eq!(running.block(FAR), Enforcement::Full);
    assert_eq!(running.block(FAR6), Enforcement::Full);
    assert_eq!(any_reached(world), [""; 0]);
    running.stop();
}

fn iif_rule() {
    let world = world();
    for own in [SECOND, SECOND6] {
        let iif = Some("eth0".to_owned());
        add_rule(&world.pbx, &Rule { iif, ..Rule::lookup(own, 1000, UPLINK) });
    }
    for table in [BanTable::Main, BanTable::default()] {
        let running = Running::start(&world.pbx, with(table));
        assert_eq!(running.found.coverage.table, MAIN, "nothing passes main by");
        assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
        stops_both(running, &world);
    }
}

fn mark_rule() {
    let world = world();
    for own in [SECOND, SECOND6] {
        add_rule(&world.pbx, &Rule { mark: Some(0x64), ..Rule::lookup(own, 1000, UPLINK) });
    }
    // Somebody marks packets before the gate sees them.
    mark_all(&world.pbx, 0x64);
    let running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.coverage.table, AUTO);
    stops_both(running, &world);
}

fn wg_quick() {
    let world = world();
    for own in [SECOND, SECOND6] {
        let main = Rule { suppress: Some(0), ..Rule::lookup(own, 32_000, MAIN) };
        add_rule(&world.pbx, &main);
        let tunnel =
            Rule { mark: Some(0xca6c), inverted: true, ..Rule::lookup(own, 32_001, UPLINK) };
        add_rule(&world.pbx, &tunnel);
    }
    let running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.coverage.table, MAIN);
    assert!(running.found.coverage.gaps.is_empty(), "{:?}", running.found.coverage);
    stops_both(running, &world);
}

/// Puts the PBX's cable into a VRF, with its way back.
fn into_vrf(world: &World) {
    add_vrf(&world.pbx, "red", 10, "eth0");
    // IPv4 addresses stay, IPv6 ones go when an interface gets a master.
    for own in ["2001:db8:a::1/64", "2001:db8:a::2/64"] {
        world.pbx.address("eth0", own);
    }
    add_default_route(&world.pbx, ROUTER, "eth0", 10);
    add_default_route(&world.pbx, ROUTER6, "eth0", 10);
}

fn in_vrf(world: &World) -> Vec<&'static str> {
    world.pbx.sysctl("ipv4/udp_l3mdev_accept", "1");
    world.pbx.sysctl("ipv4/tcp_l3mdev_accept", "1");
    any_reached(world)
}

fn vrf() {
    let world = World::new();
    world.pbx.address("eth0", "192.0.2.2/24");
    into_vrf(&world);
    assert!(!in_vrf(&world).is_empty(), "before");
    let mut running = Running::start(&world.pbx, with(BanTable::Main));
    let Enforcement::PassedBy { packets, .. } = running.block(FAR_NET) else { panic!("a VRF") };
    assert_eq!(packets, "in VRF red");
    assert!(running.found.coverage.gaps.concat().contains("in VRF red"));
    assert!(in_vrf(&world).contains(&PBX));
    running.stop();
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.coverage.table, AUTO);
    is_moved(&mut running, AUTO);
    assert_eq!(running.block(FAR), Enforcement::Full);
    assert_eq!(running.block(FAR6), Enforcement::Full);
    assert_eq!(in_vrf(&world), [""; 0]);
    running.stop();
}

fn live_vrf() {
    let world = World::new();
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.coverage.table, MAIN);
    assert_eq!(running.block(FAR), Enforcement::Full);
    into_vrf(&world);
    is_moved(&mut running, AUTO);
    assert!(is_blackholed(&world.pbx, FAR, AUTO));
    assert!(!in_vrf(&world).contains(&PBX));
    running.stop();
}

fn before_ours() {
    let world = world();
    add_second(&world.pbx, 1000);
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.block(FAR), Enforcement::Full);
    add_second(&world.pbx, 300);
    until("rules before the second", || rule_preferences(&world.pbx, AUTO) == [299, 299]);
    assert!(!reaches(&world, FAR, SECOND));
    assert!(is_blackholed(&world.pbx, FAR, AUTO));
    running.stop();
}

fn before_local() {
    let world = world();
    // As container networks do: the local table comes behind rules of theirs.
    for own in [SECOND, SECOND6] {
        add_rule(&world.pbx, &Rule::lookup(own, 50, 255));
        delete_rule(&world.pbx, &Rule::lookup(own, 0, 255));
    }
    add_second(&world.pbx, 10);
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(rule_preferences(&world.pbx, AUTO), [50, 50]);
    let gaps = running.found.coverage.gaps.concat();
    assert!(gaps.contains(&format!("pref 10 from {SECOND}")), "{gaps}");
    assert!(matches!(running.block(FAR_NET), Enforcement::PassedBy { .. }));
    assert!(world.reached_by_phone());
    running.stop();
}

fn by_transport() {
    let world = world();
    let udp = Rule { transport: Some(17), ..Rule::lookup(SECOND, 1000, UPLINK) };
    add_rule(&world.pbx, &udp);
    let mut running = Running::start(&world.pbx, with(BanTable::Main));
    let enforcement = running.block(FAR_NET);
    let Enforcement::PassedBy { packets, .. } = enforcement else { panic!("{enforcement:?}") };
    assert_eq!(packets, "over UDP");
    assert!(udp_arrives((&world.attacker, FAR), (&world.pbx, PBX)));
    assert!(!tcp_connects((&world.attacker, FAR), (&world.pbx, PBX)));
    running.stop();
}

fn used_table() {
    let world = world();
    add_second(&world.pbx, 1000);
    add_route(&world.pbx, RouteType::Unreachable, "10.99.0.0/16", 4, AUTO);
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.coverage.table, 218);
    assert_eq!(running.block(FAR), Enforcement::Full);
    running.stop();
    // The next start finds it again.
    let running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.routes, [net(FAR)]);
    assert_eq!(running.found.coverage.table, 218);
    running.stop();
}

fn moves_at_start() {
    let world = world();
    let mut running = Running::start(&world.pbx, Settings::default());
    running.block(FAR);
    running.stop();
    add_second(&world.pbx, 1000);
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.routes, [net(FAR)]);
    assert!(running.found.foreign.is_empty(), "{:?}", running.found.foreign);
    is_moved(&mut running, AUTO);
    assert!(is_blackholed(&world.pbx, FAR, AUTO) && !is_blackholed(&world.pbx, FAR, MAIN));
    assert!(!reaches(&world, FAR, SECOND));
    running.unblock(FAR);
    assert!(!is_blackholed(&world.pbx, FAR, AUTO));
    running.stop();
}

fn back_to_main() {
    let world = world();
    add_second(&world.pbx, 1000);
    let mut running = Running::start(&world.pbx, Settings::default());
    running.block(FAR);
    running.stop();
    delete_second(&world.pbx);
    let mut running = Running::start(&world.pbx, Settings::default());
    assert_eq!(running.found.coverage.table, MAIN);
    is_moved(&mut running, MAIN);
    assert!(is_blackholed(&world.pbx, FAR, MAIN) && !is_blackholed(&world.pbx, FAR, AUTO));
    assert!(rule_preferences(&world.pbx, AUTO).is_empty());
    running.stop();
}

fn changed_setting() {
    let world = world();
    add_second(&world.pbx, 1000);
    let mut running = Running::start(&world.pbx, Settings::default());
    running.block(FAR);
    running.block(FAR6);
    running.stop();
    // From a table that sipward has taken to one that is asked for, and from there to main.
    let own = BanTable::Own(OwnTable { id: AUTO + 2, preference: 20 });
    for (table, number) in [(own, AUTO + 2), (BanTable::Main, MAIN)] {
        let mut running = Running::start(&world.pbx, with(table));
        assert_eq!(running.found.routes.len(), 2, "{table:?}");
        assert!(running.found.foreign.is_empty(), "{:?}", running.found.foreign);
        is_moved(&mut running, number);
        let tables = [MAIN, AUTO, AUTO + 2];
        for target in [FAR, FAR6] {
            let found =
                tables.into_iter().filter(|table| is_blackholed(&world.pbx, target, *table));
            assert_eq!(found.collect::<Vec<_>>(), [number], "{table:?}");
        }
        assert!(rule_preferences(&world.pbx, AUTO).is_empty());
        running.stop();
    }
    assert!(rule_preferences(&world.pbx, AUTO + 2).is_empty());
}

fn unban_while_moving() {
    let world = world();
    let mut running = Running::start(&world.pbx, Settings::default());
    let targets: Vec<String> = (0..200).map(|n| format!("10.7.{n}.1")).collect();
    for target in &targets {
        assert_eq!(running.block(target), Enforcement::Full);
    }
    add_second(&world.pbx, 1000);
    for target in &targets {
        running.unblock(target);
    }
    let left = |table: u32| {
        let end = format!("proto 216 table {table}");
        routes(&world.pbx)
            .into_iter()
            .filter(|r| r.starts_with("blackhole") && r.ends_with(&end))
            .count()
    };
    until("no route in either table", || left(MAIN) + left(AUTO) == 0);
    running.stop();
}

fn flushes() {
    let world = world();
    add_second(&world.pbx, 1000);
    let mut running = Running::start(&world.pbx, Settings::default());
    running.block(FAR);
    running.block(FAR6);
    running.stop();
    let done = world.pbx.block_on(async || flush(&Settings::default()).await).unwrap();
    assert_eq!(done.routes, 2);
    assert!(done.gate && tables(&world.pbx).is_empty());
    assert!(rule_preferences(&world.pbx, AUTO).is_empty());
    assert!(!routes(&world.pbx).iter().any(|route| route.contains("proto 216")));
    assert_eq!(rule_preferences(&world.pbx, UPLINK), [1000, 1000], "theirs stay");
}

fn ten_thousand() {
    let world = world();
    let mut running = Running::start(&world.pbx, Settings::default());
    let targets: Vec<_> = (0..10_000_u32)
        .map(|n| ipnet::IpNet::from(std::net::IpAddr::V4((0x0a00_0000 + n).into())))
        .collect();
    for some in targets.chunks(1000) {
        for target in some {
            running.send(sipward_route::Change::block(*target));
        }
        let last = some.last().copied();
        running.expect(
            "blocked",
            |report| matches!(report, Report::Blocked { net, .. } if Some(*net) == last),
        );
    }
    add_second(&world.pbx, 1000);
    let report = running.expect("a move", |report| matches!(report, Report::Moved { .. }));
    assert!(matches!(report, Report::Moved { routes: 10_000, .. }), "{report:?}");
    let reports = running.reports_within(Duration::from_secs(1));
    let healed = reports.iter().filter(|report| matches!(report, Report::Healed { .. })).count();
    assert_eq!(healed, 0, "a move is no damage");
    assert!(is_blackholed(&world.pbx, "10.0.39.15", AUTO));
    running.stop();
}
