//! Who is never banned.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use sipward_tests::daemon::Daemon;
use sipward_tests::fake_freeswitch::FakeFreeSwitch;
use sipward_tests::netns;

use super::kernel::{blackholes, nets};
use super::world::{ALL, Family, GATEWAYS, World, arrivals, ip, of, seen_at};

super::cases![
    an_allowed_host_stays_in,
    a_proxy_stays_in,
    this_host_its_gateways_and_loopback_stay_in,
    its_name_servers_stay_in,
    the_far_end_of_the_event_socket_stays_in,
    a_network_with_an_allowed_host_in_it_narrows_to_the_failing_address,
];

/// Lets `source` fail ten times, and another one five, whose ban shows that all ten were judged.
fn fail_in_vain(world: &World, daemon: &Daemon, source: &str, witness: &str) {
    world.fail(source, 10);
    world.fail(witness, 5);
    daemon.expect_that("ban", |line| line.text("net").starts_with(&format!("{witness}/")));
    let judged = daemon.expect_many("auth_failure", 10, seen_at(source));
    assert!(
        judged.iter().all(|line| line.field("exempt").is_string()),
        "each of its failures is reported as exempt: {}",
        judged[0].raw
    );
    let banned = daemon.log().all("ban");
    assert!(banned.iter().all(|line| !line.text("net").starts_with(source)), "{source}");
}

fn an_allowed_host_stays_in() {
    let world = World::new();
    let setup = world.setup("allow = [\"198.51.100.0/24\", \"2001:db8:bad::/48\"]\n");
    let daemon = world.watch(&setup);
    for (family, witness) in [(Family::V4, "198.18.0.4"), (Family::V6, "198.18.0.6")] {
        fail_in_vain(&world, &daemon, family.attacker(), witness);
        assert_eq!(world.attacker_arrives(family), ALL);
    }
    assert_eq!(blackholes(&world.pbx), nets(["198.18.0.4/32", "198.18.0.6/32"]));
}

fn a_proxy_stays_in() {
    let world = World::new();
    let setup = world.setup("proxies = [\"198.51.100.7\"]\n");
    let daemon = world.watch(&setup);

    fail_in_vain(&world, &daemon, "198.51.100.7", "198.18.0.4");

    assert_eq!(daemon.log().all("auth_failure")[0].text("exempt"), "proxy");
    assert_eq!(world.attacker_arrives(Family::V4), ALL);
}

fn this_host_its_gateways_and_loopback_stay_in() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let own = [Family::V4.pbx(), Family::V6.pbx(), "127.0.0.1", "127.0.0.9", "::1"];
    let mut witnesses = Vec::new();
    for (n, source) in own.into_iter().chain(GATEWAYS).enumerate() {
        let witness = format!("198.18.0.{n}");
        fail_in_vain(&world, &daemon, source, &witness);
        witnesses.push(format!("{witness}/32"));
    }
    assert_eq!(blackholes(&world.pbx), nets(witnesses.iter().map(String::as_str)));
}

fn its_name_servers_stay_in() {
    let world = World::new();
    let setup = world.setup("");
    let servers = ["198.51.100.53", "2001:db8:53::53"];
    let file = setup.directory().join("resolv.conf");
    std::fs::write(&file, servers.map(|server| format!("nameserver {server}\n")).concat()).unwrap();
    let daemon = world.pbx.run(|| {
        // Of this thread only, which ends with the closure; the child inherits it.
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let nothing = None::<&str>;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).unwrap();
        let theirs = std::fs::canonicalize("/etc/resolv.conf").expect("a file to cover");
        mount(Some(&file), &theirs, nothing, MsFlags::MS_BIND, nothing).unwrap();
        setup.start()
    });
    daemon.expect("esl_connected");

    for (server, witness) in servers.into_iter().zip(["198.18.0.4", "198.18.0.6"]) {
        fail_in_vain(&world, &daemon, server, witness);
        let judged = daemon.expect_that("auth_failure", seen_at(server));
        assert_eq!(judged.text("exempt"), "name_server");
    }
    assert_eq!(blackholes(&world.pbx), nets(["198.18.0.4/32", "198.18.0.6/32"]));
}

/// FreeSWITCH on another host: banning it would end all bans.
fn the_far_end_of_the_event_socket_stays_in() {
    let world = World::new();
    let far = FakeFreeSwitch::builder().listen("203.0.113.5:8021".parse().unwrap());
    let far = world.phone.run(|| far.start()).unwrap();
    let setup = world.setup("").event_socket(far.address(), "ClueCon");
    let daemon = world.watch(&setup);

    for n in 0..10 {
        far.failure(ip("203.0.113.5"), 5060 + n, "1000");
        far.failure(ip("198.51.100.7"), 5060 + n, "1000");
    }

    daemon.expect_that("ban", of("198.51.100.7/32"));
    daemon.expect_many("auth_failure", 10, seen_at("203.0.113.5"));
    assert_eq!(blackholes(&world.pbx), nets(["198.51.100.7/32"]));
    assert_eq!(world.phone_arrives(Family::V4), ALL);
}

fn a_network_with_an_allowed_host_in_it_narrows_to_the_failing_address() {
    let world = World::new();
    world.attacker.address("eth0", "2001:db8:bad::99/64");
    let setup = world.setup("allow = [\"2001:db8:bad::99\"]\n");
    let daemon = world.watch(&setup);

    world.fail("2001:db8:bad::7", 5);

    let ban = daemon.expect("ban");
    assert_eq!(ban.text("net"), "2001:db8:bad::7/128");
    let from = |address| (&world.attacker, address);
    let pbx = (&world.pbx, Family::V6.pbx());
    assert_eq!(arrivals(from("2001:db8:bad::99"), pbx), ALL);
    assert!(!netns::udp_arrives(from("2001:db8:bad::7"), pbx));
}
