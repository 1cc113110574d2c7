//! What sipward says of a ban is so: rules and routes of other programs, unbans, `flush`, and the lists of the
//! daemon and the kernel held against each other.

use serde_json::Value;
use sipward_tests::daemon::{Line, Setup};
use sipward_tests::fake_freeswitch::FakeFreeSwitch;
use sipward_tests::netns;
use sipward_tests::wait::until;

use rtnetlink::packet_route::route::RouteType;

use super::kernel::{add_route, blackholes, delete_route, from_own_address, nets};
use super::world::{Family, NONE, World, arrivals, of};

super::cases![
    a_second_uplink_is_shut_without_a_setting,
    a_rule_that_comes_later_moves_the_bans_and_the_log_says_why,
    with_main_asked_for_status_bans_why_and_doctor_name_the_rule,
    a_foreign_route_counts_and_is_named_and_ours_follows_it,
    what_the_gate_drops_is_said_of_each_ban,
    a_ban_that_failed_is_set_when_the_obstacle_goes,
    an_unban_says_what_stops_the_address_all_the_same,
    a_route_of_nobody_is_reported_and_found_by_the_doctor,
    flush_beside_a_running_daemon_is_refused_unless_forced,
];

/// The second address of the PBX, of each family.
const SECOND: [&str; 2] = ["192.0.2.2", "2001:db8:0:1::2"];
/// The networks of the attacker.
const NETWORKS: [&str; 2] = ["198.51.100.0/25", "2001:db8:bad::/48"];
/// The table of the second uplink.
const UPLINK: u32 = 100;

fn world() -> World {
    let fs = FakeFreeSwitch::builder()
        .heartbeat_every(std::time::Duration::from_millis(200))
        .answer("module_exists mod_sofia", "true");
    let world = World::with(fs);
    world.pbx.address("eth0", "192.0.2.2/24");
    world.pbx.address("eth0", "2001:db8:0:1::2/64");
    world
}

/// `ip route add default … table 100; ip rule add from SECOND lookup 100`.
fn second_uplink(world: &World) {
    for (own, gateway) in SECOND.into_iter().zip(super::world::GATEWAYS) {
        from_own_address(&world.pbx, own, gateway, UPLINK);
    }
}

fn json(world: &World, setup: &Setup, words: &[&str]) -> Value {
    let output = world.pbx.run(|| setup.shell(words));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn text(world: &World, setup: &Setup, words: &[&str]) -> String {
    String::from_utf8(world.pbx.run(|| setup.shell(words)).stdout).unwrap()
}

/// State and words of one check of the doctor.
fn doctor(world: &World, setup: &Setup, name: &str) -> (String, String) {
    let examination = json(world, setup, &["doctor", "--json", "--no-wait"]);
    let checks = examination["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["check"] == name).unwrap();
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("state"), format!("{} {}", text("found"), text("advice")))
}

/// The first ban that the daemon lists.
fn listed(setup: &Setup) -> Value {
    setup.client().get("/bans").expect(200)["items"][0].clone()
}

fn ban_both(world: &World, daemon: &sipward_tests::daemon::Daemon) -> Vec<Line> {
    let both = [Family::V4, Family::V6];
    both.map(|family| world.ban(daemon, family)).into()
}

fn nothing_arrives(world: &World) {
    for (family, second) in [Family::V4, Family::V6].into_iter().zip(SECOND) {
        for own in [family.pbx(), second] {
            let arrived = arrivals((&world.attacker, family.attacker()), (&world.pbx, own));
            assert_eq!(arrived, NONE, "{own}");
        }
    }
}

fn a_second_uplink_is_shut_without_a_setting() {
    let world = world();
    second_uplink(&world);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let gate = daemon.expect("gate");
    assert_eq!(gate.number("table"), Some(216), "{}", gate.raw);
    let bans = ban_both(&world, &daemon);
    assert!(bans.iter().all(|ban| *ban.field("enforced") == true), "{}", bans[0].raw);
    nothing_arrives(&world);
    assert!(text(&world, &setup, &["status"]).contains("the bans are in routing table 216"));
    for check in ["gate", "bans", "clashes"] {
        let (state, said) = doctor(&world, &setup, check);
        assert_eq!(state, "ok", "{check}: {said}");
    }
}

fn a_rule_that_comes_later_moves_the_bans_and_the_log_says_why() {
    let world = world();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    second_uplink(&world);
    let moved = daemon.expect("bans_moved");
    assert_eq!((moved.number("routes"), moved.number("table")), (Some(2), Some(216)));
    let because = moved.field("because").to_string();
    assert!(because.contains(&format!("from {} lookup {UPLINK}", SECOND[0])), "{because}");
    nothing_arrives(&world);
    assert_eq!(blackholes(&world.pbx), nets(["198.51.100.7/32", "2001:db8:bad::/64"]));
    assert_eq!(doctor(&world, &setup, "bans").0, "ok");
    // They are found again after a restart, and unbanned where they are.
    daemon.stop();
    let daemon = world.watch(&setup);
    assert_eq!(daemon.expect("started").number("restored"), Some(2));
    let lifted = text(&world, &setup, &["unban", "--all", "--yes"]);
    assert_eq!(lifted, "2 bans lifted\n");
    assert_eq!(blackholes(&world.pbx), nets([]));
}

fn with_main_asked_for_status_bans_why_and_doctor_name_the_rule() {
    let world = world();
    second_uplink(&world);
    let setup = world.setup("[route]\ntable = \"main\"\n");
    let daemon = world.watch(&setup);
    // What single hosts send is dropped by the gate, which asks no route.
    let bans = ban_both(&world, &daemon);
    assert!(bans.iter().all(|ban| *ban.field("enforced") == true), "{}", bans[0].raw);
    nothing_arrives(&world);
    text(&world, &setup, &["unban", "--all", "--yes"]);
    // Networks are found by their routes alone.
    for net in NETWORKS {
        text(&world, &setup, &["ban", net]);
    }
    let ban = daemon.expect_that("ban", of(NETWORKS[0]));
    assert_eq!(ban.field("enforced"), false, "{}", ban.raw);
    let rule = format!("from {} lookup {UPLINK}", SECOND[0]);
    assert!(ban.text("not_enforced_because").contains(&rule), "{}", ban.raw);
    until("packets to the second uplink", || {
        arrivals((&world.attacker, "198.51.100.7"), (&world.pbx, SECOND[0])).udp
    });
    let shown = [
        text(&world, &setup, &["status"]),
        text(&world, &setup, &["bans"]),
        text(&world, &setup, &["why", "198.51.100.7"]),
        doctor(&world, &setup, "gate").1,
    ];
    for said in &shown {
        assert!(said.contains(&rule), "{said}");
    }
    assert!(shown[0].contains("2 of them NOT enforced"), "{}", shown[0]);
    assert!(shown[1].contains("INEFFECTIVE"), "{}", shown[1]);
    assert_eq!(doctor(&world, &setup, "gate").0, "fail");
    let status = setup.client().get("/status").expect(200);
    assert_eq!(status["gate"]["ipv4_inbound"], false, "{status:#}");
}

fn a_foreign_route_counts_and_is_named_and_ours_follows_it() {
    let world = world();
    for kind in [RouteType::Unreachable, RouteType::BlackHole, RouteType::Prohibit] {
        add_route(&world.pbx, kind, "198.51.100.7/32");
        let setup = world.setup("");
        let daemon = world.watch(&setup);
        world.fail("198.51.100.7", 6);
        let ban = daemon.expect_that("ban", of("198.51.100.7/32"));
        assert_eq!(ban.field("enforced"), true, "{kind:?}: {}", ban.raw);
        assert_eq!(world.attacker_arrives(Family::V4), NONE, "{kind:?}");
        let stands = listed(&setup);
        assert_eq!(stands["state"], "enforced");
        let by = stands["enforced_by"].as_str().unwrap_or_default();
        assert!(by.contains("198.51.100.7/32 table 254"), "{stands:#}");
        let said = text(&world, &setup, &["bans"]);
        assert!(said.contains("ineffective because of a route of another program"), "{said}");
        let (state, said) = doctor(&world, &setup, "bans");
        assert_eq!(state, "ok");
        assert!(said.contains("1 network blocked by routes of other programs"), "{said}");

        delete_route(&world.pbx, kind, "198.51.100.7/32");
        until("one of our routes", || listed(&setup)["enforced_by"].is_null());
        assert_eq!(blackholes(&world.pbx), nets(["198.51.100.7/32"]));
        assert_eq!(world.attacker_arrives(Family::V4), NONE, "{kind:?}");
        assert!(daemon.log().all("route_failed").is_empty());
        text(&world, &setup, &["unban", "--all", "--yes"]);
        daemon.stop();
    }
}

fn what_the_gate_drops_is_said_of_each_ban() {
    let world = world();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.ban(&daemon, Family::V4);
    let [attacker, pbx] = [Family::V4.attacker(), Family::V4.pbx()];
    let arrived = netns::udp_burst((&world.attacker, attacker), (&world.pbx, pbx), 5070, 20);
    assert_eq!(arrived, 0);
    until("they are counted", || listed(&setup)["packets_dropped"] == 20);
    let said = text(&world, &setup, &["why", attacker]);
    assert!(said.contains("DROPPED"), "{said}");
    // A ban of a network has no counter.
    text(&world, &setup, &["ban", "192.0.2.128/26"]);
    let said = json(&world, &setup, &["why", "192.0.2.129", "--json"]);
    assert!(said["bans"][0]["packets_dropped"].is_null(), "{said:#}");
}

fn a_ban_that_failed_is_set_when_the_obstacle_goes() {
    let world = world();
    world.pbx.route("198.51.100.7/32", "192.0.2.254");
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 6);
    assert_eq!(daemon.expect("ban").field("enforced"), false);
    let (state, said) = doctor(&world, &setup, "bans");
    assert_eq!(state, "fail", "{said}");
    assert!(
        said.contains("1 of 1 bans have no route") && said.contains("198.51.100.7/32"),
        "{said}"
    );
    world.pbx.remove_route("198.51.100.7/32", "192.0.2.254");
    let changed = daemon.expect("enforcement");
    assert_eq!((changed.number("enforced"), changed.number("not_enforced")), (Some(1), Some(0)));
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    assert_eq!(listed(&setup)["state"], "enforced");
    assert_eq!(doctor(&world, &setup, "bans").0, "ok");
    assert_eq!(daemon.log().all("route_failed").len(), 1, "tried again, and told once");
}

fn an_unban_says_what_stops_the_address_all_the_same() {
    let world = world();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    add_route(&world.pbx, RouteType::BlackHole, "198.51.100.0/24");
    let said = text(&world, &setup, &["unban", "198.51.100.7"]);
    assert!(said.contains("1 ban lifted") && said.contains("is still blocked"), "{said}");
    let unban = daemon.expect_that("unban", of("198.51.100.7/32"));
    assert!(unban.text("still_stopped_by").contains("another program"), "{}", unban.raw);
    let said = text(&world, &setup, &["unban", "2001:db8:bad::7"]);
    assert!(said.contains("1 ban lifted") && !said.contains("still blocked"), "{said}");
    assert!(netns::udp_arrives(
        (&world.attacker, "2001:db8:bad::7"),
        (&world.pbx, "2001:db8:0:1::1")
    ));
}

fn a_route_of_nobody_is_reported_and_found_by_the_doctor() {
    let world = world();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    super::kernel::add_route_of_ours(&world.pbx, "203.0.113.99/32");
    let stray = daemon.expect("stray_routes");
    assert_eq!(stray.number("count"), Some(1));
    assert!(stray.field("nets").to_string().contains("203.0.113.99/32"), "{}", stray.raw);
    let (state, said) = doctor(&world, &setup, "bans");
    assert_eq!(state, "warn", "{said}");
    assert!(said.contains("203.0.113.99/32"), "{said}");
}

fn flush_beside_a_running_daemon_is_refused_unless_forced() {
    let world = world();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    let refused = world.pbx.run(|| setup.shell(&["flush"]));
    assert_eq!(refused.status.code(), Some(4));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains(&format!("process {}", daemon.id())), "{said}");
    assert!(refused.stdout.is_empty());
    assert_eq!(blackholes(&world.pbx).len(), 2, "nothing was removed");
    let forced = world.pbx.run(|| setup.shell(&["flush", "--force"]));
    assert!(forced.status.success(), "{}", String::from_utf8_lossy(&forced.stderr));
    until("they are back", || blackholes(&world.pbx).len() == 2);
    daemon.stop();
    assert!(world.pbx.run(|| setup.shell(&["flush"])).status.success());
    assert_eq!(blackholes(&world.pbx), nets([]));
}
