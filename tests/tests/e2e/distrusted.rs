//! A host that hops from port to port loses its place among the healthy ones; its registered phones keep theirs.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use sipward_tests::daemon::Daemon;
use sipward_tests::fake_freeswitch::FakeFreeSwitch;
use sipward_tests::wait::until;

use super::flows::{PHONE, denial, make_known, said, way};
use super::nft::{denied, look};
use super::packets::SIP;
use super::world::{World, ip, seen_at};

super::cases![
    a_host_that_hops_ports_is_a_stranger_and_its_registered_phones_are_not,
    after_a_restart_the_registered_phones_of_a_distrusted_host_keep_their_place,
    a_guesser_who_hops_ports_where_nobody_is_registered_is_slowed_down,
];

/// Next to nothing for all strangers together, all that they like for healthy hosts.
const NARROW: &str = "[shield]\npackets = 20\nstranger_packets = 100000\nhealthy_packets = 1000\n\
                      healthy_burst = 1000\nhealthy_together = \"off\"\n";

/// Datagrams of one burst.
const BURST: usize = 400;

/// Ports that a host may lose in an hour.
const PORTS: u16 = 8;

/// How many datagrams of a burst from a port of the phone's host arrive.
fn burst(world: &World, port: u16) -> usize {
    let source = SocketAddr::new(ip(PHONE), port);
    let target = SocketAddr::new(ip("192.0.2.1"), SIP);
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
