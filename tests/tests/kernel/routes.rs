//! Whose routes are touched, and which win.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use rtnetlink::packet_route::route::RouteType;
use sipward_route::{Change, Enforcement, Report, Settings};
use sipward_tests::netns::case;

use crate::outside::{add_route, is_blackholed, routes};
use crate::world::{ATTACKER, FAR, FAR6, ROUTER, ROUTER6, Running, World, net};

/// Number of the main table.
const MAIN: u32 = 254;

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("a_route_of_ours_that_exists_is_a_ban", exists_ours),
        case("a_foreign_route_with_the_same_prefix_is_no_ban_and_stays", exists_foreign),
        case("unbanning_never_removes_the_connected_ipv6_network", on_link_ipv6),
        case("banning_a_gateway_or_the_connected_ipv4_network_is_refused", on_link_ipv4),
        case("a_more_specific_route_is_told", more_specific),
        case("banning_twice_is_banning_once", twice),
        case("unbanning_what_is_not_banned_touches_nothing", unban_unknown),
        case("banning_everybody_is_refused", everybody),
        case("other_protocol_numbers_work", other_protocol),
        case("a_whole_burst_is_answered_one_by_one", burst),
        case("reports_that_nobody_takes_yet_are_not_lost", slow_reader),
    ]
}

fn start() -> (World, Running) {
    let world = World::new().with_default_route();
    let running = Running::start(&world.pbx, Settings::default());
    (world, running)
}

/// The kernel's answer when a ban fails.
fn failure(running: &mut Running, target: &str) -> String {
    match running.ask(Change::block(net(target))) {
        Report::Failed { change: Change::Block { .. }, error } => error,
        other => panic!("block {target}: {other:?}"),
    }
}

fn exists_ours() {
    let (world, mut running) = start();
    for target in [FAR, FAR6] {
        add_route(&world.pbx, RouteType::BlackHole, target, 216, MAIN);
        assert_eq!(running.block(target), Enforcement::Full);
        running.unblock(target);
        assert!(!is_blackholed(&world.pbx, target, MAIN));
    }
    running.stop();
}

fn exists_foreign() {
    let (world, mut running) = start();
    world.pbx.route("203.0.113.66/32", ATTACKER);
    let error = failure(&mut running, FAR);
    assert!(error.contains("ip route show table 254 exact 203.0.113.66/32"), "{error}");
    running.unblock(FAR);
    assert!(routes(&world.pbx).contains(&"unicast 203.0.113.66/32 proto 4 table 254".to_owned()));
    running.stop();
}

fn on_link_ipv6() {
    let (world, mut running) = start();
    let connected = "unicast 2001:db8:b::/64 proto 2 table 254".to_owned();
    assert!(running.found.host.on_link.contains(&net("2001:db8:b::/64")));
    let Enforcement::Outranked { winner } = running.block("2001:db8:b::/64") else {
        panic!("a blackhole beside the connected network does not win")
    };
    assert!(winner.contains("2001:db8:b::/64") && winner.contains("metric 256"), "{winner}");
    running.unblock("2001:db8:b::/64");
    assert!(!is_blackholed(&world.pbx, "2001:db8:b::/64", MAIN));
    assert!(routes(&world.pbx).contains(&connected));
    assert!(world.reached_by_phone());
    running.stop();
}

fn on_link_ipv4() {
    let (world, mut running) = start();
    for (target, lost) in [
        (ROUTER, "its gateway 192.0.2.254"),
        (ROUTER6, "its gateway 2001:db8:a::fe"),
        ("192.0.2.0/24", "its gateway 192.0.2.254"),
        ("198.51.100.0/24", "the network 198.51.100.0/24"),
    ] {
        let error = failure(&mut running, target);
        assert!(error.contains(lost), "{error}");
        running.unblock(target);
    }
    for connected in ["192.0.2.0/24", "198.51.100.0/24"] {
        let connected = format!("unicast {connected} proto 2 table 254");
        assert!(routes(&world.pbx).contains(&connected));
    }
    running.stop();
}

fn more_specific() {
    let (world, mut running) = start();
    world.pbx.route("203.0.113.128/25", ATTACKER);
    let Enforcement::Outranked { winner } = running.block("203.0.113.0/24") else {
        panic!("the more specific route wins")
    };
    assert!(winner.contains("203.0.113.128/25 via 192.0.2.66"), "{winner}");
    running.stop();
}

fn twice() {
    let (world, mut running) = start();
    assert_eq!(running.block(FAR), Enforcement::Full);
    assert_eq!(running.block(FAR), Enforcement::Full);
    running.unblock(FAR);
    assert!(!is_blackholed(&world.pbx, FAR, MAIN));
    running.stop();
}

fn unban_unknown() {
    let (world, mut running) = start();
    let before = routes(&world.pbx);
    for target in ["192.0.2.0/24", "2001:db8:a::/64", FAR, FAR6] {
        running.unblock(target);
    }
    assert_eq!(routes(&world.pbx), before);
    running.stop();
}

fn everybody() {
    let (world, mut running) = start();
    for target in ["0.0.0.0/0", "::/0"] {
        let error = failure(&mut running, target);
        assert!(error.contains("cut this host off from everybody"), "{error}");
    }
    assert!(world.reached_by_phone());
    running.stop();
}

fn other_protocol() {
    let world = World::new().with_default_route();
    let settings = Settings { protocol: 200, ..Settings::default() };
    let mut running = Running::start(&world.pbx, settings);
    assert_eq!(running.block(FAR), Enforcement::Full);
    let ours = "blackhole 203.0.113.66/32 proto 200 table 254".to_owned();
    assert!(routes(&world.pbx).contains(&ours));
    running.stop();
}

fn burst() {
    let (world, mut running) = start();
    let targets: Vec<_> = (0..=255).map(|n| net(&format!("10.1.1.{n}"))).collect();
    for target in &targets {
        running.send(Change::block(*target));
    }
    let mut answered = Vec::new();
    while answered.len() < targets.len() {
        let report = running.expect("an answer", |_| true);
        let Report::Blocked { net, enforcement: Enforcement::Full } = report else {
            panic!("{report:?}")
        };
        answered.push(net);
    }
    assert_eq!(answered, targets);
    drop(world);
    running.stop();
}

/// More changes than every queue on the way holds, from a sender that does not look at reports.
fn slow_reader() {
    let world = World::new();
    let mut running = Running::start(&world.pbx, Settings::default());
    let count = 20_000_u32;
    let sender = running.sender();
    let sending = thread::spawn(move || {
        for n in 0..count {
            let target = IpAddr::V4((0x0a00_0000 + n).into());
            sender.blocking_send(Change::block(target.into())).expect("a running enforcer");
        }
    });
    // Nothing announces that the sender waits.
    thread::sleep(Duration::from_millis(500));
    assert!(!sending.is_finished(), "the enforcer takes no more than it can answer");
    for _ in 0..count {
        let report = running.expect("an answer", |_| true);
        assert!(matches!(report, Report::Blocked { .. }), "{report:?}");
    }
    sending.join().expect("no panic");
    running.stop();
}
