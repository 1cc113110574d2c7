//! A source that fails too often is banned, for its time, and no other source.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use sipward_tests::daemon::Setup;
use sipward_tests::netns::{self, Conversation};
use sipward_tests::wait::until;

use super::kernel::{blackholes, flush, nets};
use super::shell::sipward;
use super::world::{ALL, Family, NONE, World, arrivals, ip, of, seen_at};

super::cases![
    without_a_daemon_everything_arrives,
    five_failures_shut_an_ipv4_host_out_for_the_ban_time,
    five_failures_shut_an_ipv6_network_out_for_the_ban_time,
    a_ban_line_tells_all_that_is_known,
    an_established_connection_dies,
    the_second_ban_is_longer,
    failures_outside_the_window_do_not_count,
    flushed_routes_are_back,
    a_neighbour_on_the_same_ipv6_network_is_banned_alone,
    bans_work_without_a_default_route,
    a_table_of_its_own_bans_as_well,
];

const CONFIG: &str = "[policy]\nmax_failures = 5\nban_time = \"6s\"\n";

/// Says whether it is the network or the daemon when other cases fail.
fn without_a_daemon_everything_arrives() {
    let world = World::new();
    for family in [Family::V4, Family::V6] {
        assert_eq!(world.attacker_arrives(family), ALL, "{family:?}");
        assert_eq!(world.phone_arrives(family), ALL, "{family:?}");
    }
}

fn five_failures_shut_an_ipv4_host_out_for_the_ban_time() {
    out_and_in_again(Family::V4);
}

fn five_failures_shut_an_ipv6_network_out_for_the_ban_time() {
    out_and_in_again(Family::V6);
}

fn out_and_in_again(family: Family) {
    let world = World::new();
    let setup = world.setup(CONFIG);
    let daemon = world.watch(&setup);
    let net = family.attackers_net();
    assert_eq!(world.attacker_arrives(family), ALL, "before");
    assert_eq!(world.phone_arrives(family), ALL, "before");

    world.fail(family.attacker(), 4);
    daemon.expect_many("auth_failure", 4, seen_at(family.attacker()));
    assert_eq!(blackholes(&world.pbx), nets([]), "four are not enough");

    world.fail(family.attacker(), 1);
    let ban = daemon.expect_that("ban", of(net));
    assert_eq!(blackholes(&world.pbx), nets([net]));
    assert_eq!(ban.field("enforced"), true, "{}", ban.raw);
    assert_eq!(world.attacker_arrives(family), NONE, "banned");
    assert_eq!(world.phone_arrives(family), ALL, "the other host has done nothing");

    let unban = daemon.expect_that("unban", of(net));
    assert_eq!(unban.text("reason"), "expired");
    assert_eq!(ban_times(&setup), [60]);
    let late = unban.time("time").unwrap().duration_since(ban.time("until").unwrap());
    assert!(late.as_secs_f64() > -0.1, "{late:?} after its time");
    world.attacker_is_let_in(family);
    assert_eq!(blackholes(&world.pbx), nets([]));
    assert_eq!(daemon.log().all("ban").len(), 1);
    assert_eq!(world.fs.violations(), [""; 0]);
}

fn a_ban_line_tells_all_that_is_known() {
    let world = World::new();
    let setup = world.setup("[policy]\nwindow = \"5m\"\n");
    let daemon = world.watch(&setup);

    for user in ["1000", "1001", "1000", "100\"2", "1003"] {
        world.fs.failure(ip("198.51.100.7"), 5060, user);
    }

    let ban = daemon.expect("ban");
    assert_eq!(ban.text("net"), "198.51.100.7/32");
    assert_eq!(ban.number("failures"), Some(5));
    assert_eq!(ban.field("window_seconds").as_f64(), Some(300.0));
    assert_eq!(ban.text("grade"), "answered");
    assert_eq!(ban.text("profile"), "internal");
    assert_eq!(ban.text("user_agent"), "pytest/1.0");
    assert_eq!(ban.number("ban_count"), Some(1));
    let users: Vec<_> = ban.field("users").as_array().unwrap().iter().collect();
    assert_eq!(users.len(), 4, "{users:?}");
    assert!(users.iter().any(|user| **user == "100\"2"), "{users:?}");
    assert!(ban.number("event_to_route_us").is_some(), "{}", ban.raw);
    assert_eq!(ban_times(&setup), [36_000], "an hour by default");
}

fn an_established_connection_dies() {
    let world = World::new();
    let setup = world.setup(CONFIG);
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        let open = |host, address| Conversation::open((host, address), (&world.pbx, family.pbx()));
        let mut theirs = open(&world.attacker, family.attacker()).unwrap();
        let mut ours = open(&world.phone, family.phone()).unwrap();
        assert!(theirs.arrives() && ours.arrives());

        world.ban(&daemon, family);

        assert!(!theirs.arrives(), "{family:?}");
        assert!(ours.arrives(), "{family:?}");
    }
}

fn the_second_ban_is_longer() {
    let world = World::new();
    let setup = world
        .setup("[policy]\nmax_failures = 2\nban_time = \"1s\"\nescalation = { factor = 3.0 }\n");
    let daemon = world.watch(&setup);
    for (count, number) in [(1, 1), (2, 2)] {
        world.fail("198.51.100.7", 2);
        daemon.expect_that("ban", |line| line.number("ban_count") == Some(number));
        daemon.expect_many("unban", count, |_| true);
    }
    assert_eq!(ban_times(&setup), [10, 30]);
}

/// In tenths of a second, from the decision to the end, the first ban first. Lines of the log are later than the
/// decision; the API rounds times to milliseconds.
fn ban_times(setup: &Setup) -> Vec<i128> {
    let page = sipward(setup, &["history", "--event", "ban", "--json"]).json(0);
    let time = |entry: &Value, field| entry[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    let bans = page["items"].as_array().unwrap().iter().rev();
    let length = |ban| time(ban, "until").duration_since(time(ban, "time")).as_millis();
    bans.map(|ban| (length(ban) + 50) / 100).collect()
}

fn failures_outside_the_window_do_not_count() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 3\nwindow = \"1s\"\n");
    let daemon = world.watch(&setup);

    world.fail("198.51.100.7", 2);
    daemon.expect_many("auth_failure", 2, |_| true);
    // The window is time of the daemon's clock: it must pass.
    thread::sleep(Duration::from_millis(1_200));
    world.fail("198.51.100.7", 2);
    let last = daemon.expect_many("auth_failure", 4, |_| true).pop().unwrap();

    assert_eq!(last.number("failures"), Some(2), "{}", last.raw);
    assert!(daemon.log().all("ban").is_empty());
}

fn flushed_routes_are_back() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let both = [Family::V4, Family::V6].map(Family::attackers_net);
    for family in [Family::V4, Family::V6] {
        world.ban(&daemon, family);
    }

    flush(&world.pbx);
    until("the routes are back", || blackholes(&world.pbx) == nets(both));
    // A ban that comes later shows that all before was reported.
    world.fail("203.0.113.99", 5);
    daemon.expect_that("ban", of("203.0.113.99/32"));
    let healed = daemon.log().all("healed");
    let routes: u64 = healed.iter().filter_map(|line| line.number("routes")).sum();
    assert_eq!(routes, 2, "each is reported once");
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    assert_eq!(world.attacker_arrives(Family::V6), NONE);
}

/// The /64 of a neighbour is the PBX's own: a route for it would not win, and must not be set.
fn a_neighbour_on_the_same_ipv6_network_is_banned_alone() {
    let world = World::new();
    let [bad, good] = ["bad neighbour", "good neighbour"].map(netns::Host::new);
    for (host, port, address) in
        [(&bad, "eth1", "2001:db8:0:2::66"), (&good, "eth2", "2001:db8:0:3::5")]
    {
        netns::wire((&world.pbx, port), (host, "eth0"));
        host.address("eth0", &format!("{address}/64"));
    }
    world.pbx.address("eth1", "2001:db8:0:2::1/64");
    world.pbx.address("eth2", "2001:db8:0:3::1/64");
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let from_bad = || arrivals((&bad, "2001:db8:0:2::66"), (&world.pbx, "2001:db8:0:2::1"));
    assert_eq!(from_bad(), ALL);

    world.fail("2001:db8:0:2::66", 5);

    let ban = daemon.expect("ban");
    assert_eq!(ban.text("net"), "2001:db8:0:2::66/128");
    assert_eq!(ban.field("enforced"), true, "{}", ban.raw);
    assert_eq!(from_bad(), NONE);
    assert_eq!(arrivals((&good, "2001:db8:0:3::5"), (&world.pbx, "2001:db8:0:3::1")), ALL);
}

fn bans_work_without_a_default_route() {
    let world = World::new();
    for (net, gateway) in ["0.0.0.0/0", "::/0"].into_iter().zip(super::world::GATEWAYS) {
        world.pbx.remove_route(net, gateway);
    }
    world.pbx.route("198.51.100.0/24", super::world::GATEWAYS[0]);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let phone = ((&world.phone, "203.0.113.5"), (&world.pbx, "192.0.2.1"));
    assert!(netns::udp_arrives(phone.0, phone.1), "even a host that cannot be answered is heard");

    world.fail("198.51.100.7", 5);

    daemon.expect("ban");
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    assert!(netns::udp_arrives(phone.0, phone.1));
}

fn a_table_of_its_own_bans_as_well() {
    let world = World::new();
    let setup = world.setup("[route]\ntable = 216\n");
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        let ban = world.ban(&daemon, family);
        assert_eq!(ban.field("enforced"), true, "{}", ban.raw);
        assert_eq!(world.attacker_arrives(family), NONE);
        assert_eq!(world.phone_arrives(family), ALL);
    }
}
