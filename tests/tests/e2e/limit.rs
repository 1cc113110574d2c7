//! The gate's limit on each source, and whom it spares.

use std::time::{Duration, Instant};

use sipward_tests::fake_freeswitch::{Attempt, Outcome};
use sipward_tests::netns::{Host, udp_burst};

use super::world::{Family, World, ip};

super::cases![
    a_stranger_is_limited_and_a_known_phone_is_not,
    without_the_key_nobody_is_limited,
    after_a_restart_phones_are_spared_until_they_are_known_again,
];

const SIP: u16 = 5060;

/// Packets a second of a stranger. So few that the time a burst takes on a busy machine does not matter.
const LIMIT: &str = "[route]\ngate_limit = 20\n";

/// Datagrams of one burst.
const BURST: usize = 400;

/// How long it may take until a change is in the kernel: a beat of the daemon, a rest of the gate.
const IN_FORCE: Duration = Duration::from_secs(30);

fn burst(world: &World, from: (&Host, &str)) -> usize {
    let family = if from.1.contains(':') { Family::V6 } else { Family::V4 };
    udp_burst(from, (&world.pbx, family.pbx()), SIP, BURST)
}

/// Waits until everything arrives.
fn spared(world: &World, from: (&Host, &str)) {
    let deadline = Instant::now() + IN_FORCE;
    loop {
        let arrived = burst(world, from);
        if arrived == BURST {
            return;
        }
        assert!(Instant::now() < deadline, "{}: only {arrived} of {BURST} arrived", from.1);
    }
}

fn assert_limited(world: &World, from: (&Host, &str)) {
    let arrived = burst(world, from);
    assert!(arrived < BURST / 2, "{}: {arrived} of {BURST} arrived", from.1);
}

fn a_stranger_is_limited_and_a_known_phone_is_not() {
    let world = World::new();
    world.attacker.address("eth0", "198.51.100.99/24");
    let setup = world.setup(&format!("allow = [\"198.51.100.99\"]\n{LIMIT}"));
    let daemon = world.watch(&setup);
    let (phone, attacker) = (&world.phone, &world.attacker);
    for family in [Family::V4, Family::V6] {
        assert_limited(&world, (attacker, family.attacker()));
        assert_limited(&world, (phone, family.phone()));
    }
    spared(&world, (attacker, "198.51.100.99"));

    for family in [Family::V4, Family::V6] {
        world.fs.success(ip(family.phone()), 5060, "1000");
        spared(&world, (phone, family.phone()));
        assert_limited(&world, (attacker, family.attacker()));
    }
    assert!(daemon.log().all("not_spared").is_empty());
    assert!(daemon.log().all("healed").is_empty(), "the gate finds itself as it was left");
    daemon.stop();
}

fn without_the_key_nobody_is_limited() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        assert_eq!(burst(&world, (&world.attacker, family.attacker())), BURST);
    }
    daemon.stop();
}

fn after_a_restart_phones_are_spared_until_they_are_known_again() {
    let world = World::new();
    // With a store the phone would be known again at once, and for good reason.
    let setup = world.setup(&format!("{LIMIT}\n[store]\npath = \":memory:\"\n"));
    let daemon = world.watch(&setup);
    let phone = (&world.phone, Family::V4.phone());
    world.fs.emit(&Attempt::new(ip(phone.1), 5060, "1000"), Outcome::Registered);
    spared(&world, phone);
    daemon.stop();
    world.fs.kill().unwrap();

    let daemon = world.start(&setup);
    daemon.expect("esl_disconnected");

    assert_eq!(burst(&world, phone), BURST);
    // Its FreeSWITCH comes back, and nobody is registered there.
    world.fs.boot().unwrap();
    daemon.expect("registrations");
    let deadline = Instant::now() + IN_FORCE;
    while burst(&world, phone) == BURST {
        assert!(Instant::now() < deadline, "spared for good");
    }
}
