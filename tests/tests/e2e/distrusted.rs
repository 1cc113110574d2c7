//! A host that hops from port to port loses its place among the healthy ones; its registered phones keep theirs.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use sipward_tests::daemon::{Daemon, Setup};

use sipward_tests::fake_freeswitch::FakeFreeSwitch;
use sipward_tests::wait::until;

use super::flows::{PHONE, denial, make_known, said, way};
use super::nft::{denied, look};
use super::packets::SIP;
use super::world::{Family, World, ip, seen_at};

super::cases![
    a_host_that_hops_ports_is_a_stranger_and_its_registered_phones_are_not,
    after_a_restart_the_registered_phones_of_a_distrusted_host_keep_their_place,
    a_guesser_who_hops_ports_where_nobody_is_registered_is_slowed_down,
    an_ipv6_guesser_slows_no_registered_phone_of_its_network,
    an_ipv6_host_that_hops_ports_is_a_stranger_and_registered_phones_of_its_network_are_not,
];

/// Next to nothing for all strangers together, all that they like for healthy hosts.
const NARROW: &str = "[shield]\npackets = 20\nstranger_packets = 100000\nhealthy_packets = 1000\n\
                      healthy_burst = 1000\nhealthy_together = \"off\"\n";

/// Datagrams of one burst.
const BURST: usize = 400;

/// Ports that a host may lose in an hour.
const PORTS: u16 = 8;

/// Two addresses of the phone's host in one /64, and what is said of that.
const PHONE6: &str = "2001:db8:900d::5";
const GUESSER6: &str = "2001:db8:900d::7";
const NETWORK6: &str = "2001:db8:900d::/64";

/// How many datagrams of a burst from a port of the phone's host arrive.
fn burst(world: &World, port: u16) -> usize {
    burst_of(world, PHONE, port)
}

/// The same from an address of that host.
fn burst_of(world: &World, from: &str, port: u16) -> usize {
    let source = SocketAddr::new(ip(from), port);
    let pbx = if source.is_ipv6() { Family::V6.pbx() } else { Family::V4.pbx() };
    let target = SocketAddr::new(ip(pbx), SIP);
    let receiver = world.pbx.udp(target);
    let sender = world.phone.udp(source);
    receiver.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    let mut arrived = 0;
    for sent in 1..=BURST {
        sender.send_to(b"x", target).unwrap();
        // Emptied on the way: the receive buffer holds some hundreds.
        if sent % 50 == 0 || sent == BURST {
            receiver.set_nonblocking(sent != BURST).unwrap();
            // sipward's own questions to FreeSWITCH arrive here, too.
            while let Ok((_, peer)) = receiver.recv_from(&mut [0; 16]) {
                arrived += usize::from(peer == source);
            }
        }
    }
    arrived
}

fn passes(world: &World, port: u16) {
    until("all of it passes", || burst(world, port) == BURST);
}

/// Sends burst after burst, slower than the limit of a registration.
fn goes_on_passing(world: &World, port: u16) {
    for round in 0..3 {
        assert_eq!(burst(world, port), BURST, "round {round}");
        thread::sleep(Duration::from_millis(400));
    }
}

fn is_limited(world: &World, port: u16) {
    until("most of it is lost", || burst(world, port) < BURST / 2);
}

/// Guesses from some ports of the phone's host, one after the other, until each is denied.
fn hop(world: &World, daemon: &Daemon, from: u16, ports: u16) {
    for n in 0..70_u16 {
        world.fs.failure(ip(PHONE), from, ["2000", "2001"][usize::from(n % 2)]);
    }
    denial(daemon, from);
    for port in from + 1..from + ports {
        world.fs.failure(ip(PHONE), port, "2000");
        denial(daemon, port);
    }
}

fn a_host_that_hops_ports_is_a_stranger_and_its_registered_phones_are_not() {
    let world = World::new();
    let setup = world.setup(NARROW);
    let daemon = world.watch(&setup);
    world.fs.success(ip(PHONE), 5060, "1000");
    passes(&world, 7000);

    hop(&world, &daemon, 6001, PORTS);

    let line = daemon.expect("distrusted");
    assert_eq!(line.text("address"), PHONE);
    let left = line.time("until").unwrap().duration_since(line.time("time").unwrap());
    let minutes = left.as_secs() / 60;
    assert!((58..=60).contains(&minutes), "{minutes} minutes");
    assert_eq!(look(&world.pbx).flows.len(), usize::from(PORTS) * 2);
    is_limited(&world, 7000);
    passes(&world, 5060);
    let why = said(&setup, &["why", PHONE]);
    assert!(why.contains("new flows are treated like a stranger's"), "{why}");
    // One that registers now has its place at once.
    world.fs.success(ip(PHONE), 5062, "1001");
    passes(&world, 5062);
    is_limited(&world, 7000);
    // No further port is denied: ports can be forged.
    world.fs.failure(ip(PHONE), 6100, "2000");
    let refused = daemon.expect_that("refused", |line| line.text("reason") == "denied_lately");
    assert_eq!(refused.text("net"), "203.0.113.5/32");
    assert_eq!(look(&world.pbx).flows.len(), usize::from(PORTS) * 2);

    said(&setup, &["unban", PHONE]);

    passes(&world, 7000);
    passes(&world, 5060);
    assert_eq!(denied(&world.pbx), [""; 0]);
    daemon.stop();
}

fn after_a_restart_the_registered_phones_of_a_distrusted_host_keep_their_place() {
    let list = format!(
        "{{\"row_count\":1,\"rows\":[{{\"reg_user\":\"1000\",\"realm\":\"pbx.test\",\"token\":\
         \"1000-{PHONE}-5060\",\"url\":\"x\",\"expires\":\"4000000000\",\"network_ip\":\"{PHONE}\",\
         \"network_port\":\"5060\",\"network_proto\":\"udp\",\"hostname\":\"fslab\",\"metadata\":\"\"}}]}}"
    );
    let world = World::with(FakeFreeSwitch::builder().answer("show registrations as json", &list));
    let setup = world.setup(NARROW);
    let daemon = world.watch(&setup);
    daemon.expect("registrations");
    hop(&world, &daemon, 6001, PORTS);
    daemon.expect("distrusted");
    is_limited(&world, 7000);
    passes(&world, 5060);
    daemon.stop();
    world.fs.kill().unwrap();

    let again = world.start(&setup);
    again.expect("esl_disconnected");
    // FreeSWITCH has not yet listed the registrations: what passed before passes.
    goes_on_passing(&world, 5060);
    world.fs.boot().unwrap();
    again.expect("registrations");

    is_limited(&world, 7000);
    passes(&world, 5060);
    goes_on_passing(&world, 5060);
    assert_eq!(look(&world.pbx).flows.len(), usize::from(PORTS) * 2);
}

fn a_guesser_who_hops_ports_where_nobody_is_registered_is_slowed_down() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    make_known(&world);
    hop(&world, &daemon, 6001, PORTS);
    daemon.expect("distrusted");
    assert_eq!(daemon.expect("slowed").text("address"), PHONE);
    assert!(daemon.log().all("ban").is_empty());
    // 20 at once, then one a second.
    until("it is held to a packet a second", || burst(&world, 7000) < 30);
    assert!(way(&world, 7001, super::packets::WEB).is_open());
    assert!(!daemon.expect_many("auth_failure", 70, seen_at(PHONE)).is_empty());
}

fn passes_from(world: &World, from: &str, port: u16) {
    until("all of it passes", || burst_of(world, from, port) == BURST);
}

/// A world in which the phone's host has a second address, and a daemon.
fn two_addresses(world: &World) -> (Setup, Daemon) {
    world.phone.address("eth0", &format!("{GUESSER6}/64"));
    let setup = world.setup(NARROW);
    let daemon = world.watch(&setup);
    world.fs.success(ip(PHONE6), 5060, "1000");
    passes_from(world, PHONE6, 5060);
    (setup, daemon)
}

/// As `hop`, from the second address.
fn hop6(world: &World, daemon: &Daemon) {
    for n in 0..70_u16 {
        world.fs.failure(ip(GUESSER6), 6001, ["2000", "2001"][usize::from(n % 2)]);
    }
    for port in 6001..6001 + PORTS {
        if port > 6001 {
            world.fs.failure(ip(GUESSER6), port, "2000");
        }
        let flow = format!("{GUESSER6} udp {port}");
        daemon.expect_that("flow_denied", |line| line.text("flow") == flow);
    }
    assert_eq!(daemon.expect("distrusted").text("address"), GUESSER6);
}

fn an_ipv6_guesser_slows_no_registered_phone_of_its_network() {
    let world = World::new();
    let (setup, daemon) = two_addresses(&world);
    world.fs.success(ip(GUESSER6), 5060, "1001");

    for n in 0..40_u16 {
        let user = ["2001", "2002", "2003", "2004", "2005"][usize::from(n % 5)];
        world.fs.failure(ip(GUESSER6), 6060 + n, user);
    }

    assert_eq!(daemon.expect("slowed").text("address"), GUESSER6);
    until("it is held to a packet a second", || burst_of(&world, GUESSER6, 7000) < 30);
    for round in 0..3 {
        assert_eq!(burst_of(&world, PHONE6, 5060), BURST, "round {round}");
        thread::sleep(Duration::from_millis(400));
    }
    assert!(burst_of(&world, GUESSER6, 7000) < 30);
    // One that registers now goes on as well.
    world.fs.success(ip(PHONE6), 5062, "1002");
    passes_from(&world, PHONE6, 5062);
    let why = said(&setup, &["why", PHONE6]);
    let limited =
        format!("its network {NETWORK6} is limited to 1 packet a second because {GUESSER6}");
    assert!(why.contains(&limited), "{why}");
    assert!(why.contains("but not its registered phones"), "{why}");
    assert!(!why.contains("distrusted"), "{why}");
    let why = said(&setup, &["why", GUESSER6]);
    assert!(why.contains(&format!("with its network {NETWORK6} because it guesses")), "{why}");
    daemon.stop();
}

fn an_ipv6_host_that_hops_ports_is_a_stranger_and_registered_phones_of_its_network_are_not() {
    let world = World::new();
    let (setup, daemon) = two_addresses(&world);
    world.fs.success(ip(GUESSER6), 5060, "1001");
    passes_from(&world, GUESSER6, 7000);

    hop6(&world, &daemon);

    until("most of it is lost", || burst_of(&world, GUESSER6, 7000) < BURST / 2);
    passes_from(&world, GUESSER6, 5060);
    for round in 0..3 {
        assert_eq!(burst_of(&world, PHONE6, 5060), BURST, "round {round}");
        thread::sleep(Duration::from_millis(400));
    }
    let why = said(&setup, &["why", GUESSER6]);
    assert!(why.contains("new flows are treated like a stranger's"), "{why}");

    said(&setup, &["unban", GUESSER6]);

    passes_from(&world, GUESSER6, 7000);
    passes_from(&world, PHONE6, 5060);
    daemon.stop();
}
