//! The shield: strangers share a budget, phones that are registered pass.

use sipward_tests::fake_freeswitch::{Attempt, FakeFreeSwitch, Frame, Outcome, Recording};
use sipward_tests::netns::{Host, udp_burst};
use sipward_tests::wait::until;

use super::kernel::packets_per_second;
use super::world::{Family, World, ip};

super::cases![
    a_stranger_is_limited_and_a_registered_phone_is_not,
    a_reload_changes_the_shield,
    the_budget_follows_max_recv_rps_of_the_smallest_profile,
    after_a_restart_phones_are_healthy_until_they_are_known_again,
];

const SIP: u16 = 5060;

/// Next to nothing for all strangers together, all that they like for healthy hosts. So few that the time a
/// burst takes on a busy machine does not matter.
const NARROW: &str = "[shield]\npackets = 20\nstranger_packets = 100000\nhealthy_packets = 1000\n\
                      healthy_burst = 1000\nhealthy_together = \"off\"\n";

/// Datagrams of one burst.
const BURST: usize = 400;

fn burst(world: &World, from: (&Host, &str)) -> usize {
    let family = if from.1.contains(':') { Family::V6 } else { Family::V4 };
    udp_burst(from, (&world.pbx, family.pbx()), SIP, BURST)
}

/// Waits until everything arrives.
fn passes(world: &World, from: (&Host, &str)) {
    until(from.1, || burst(world, from) == BURST);
}

/// Waits until most is lost.
fn is_limited(world: &World, from: (&Host, &str)) {
    until(from.1, || burst(world, from) < BURST / 2);
}

fn a_stranger_is_limited_and_a_registered_phone_is_not() {
    let world = World::new();
    world.attacker.address("eth0", "198.51.100.99/24");
    let setup = world.setup(&format!("allow = [\"198.51.100.99\"]\n{NARROW}"));
    let daemon = world.watch(&setup);
    let (phone, attacker) = (&world.phone, &world.attacker);
    for family in [Family::V4, Family::V6] {
        is_limited(&world, (attacker, family.attacker()));
        is_limited(&world, (phone, family.phone()));
    }
    passes(&world, (attacker, "198.51.100.99"));

    for family in [Family::V4, Family::V6] {
        world.fs.success(ip(family.phone()), 5060, "1000");
        passes(&world, (phone, family.phone()));
        is_limited(&world, (attacker, family.attacker()));
    }
    assert!(daemon.log().all("not_spared").is_empty());
    assert!(daemon.log().all("healed").is_empty(), "the gate finds itself as it was left");
    daemon.stop();
}

fn a_reload_changes_the_shield() {
    let world = World::new();
    let setup = world.setup("[shield]\nmode = \"off\"\n");
    let daemon = world.watch(&setup);
    let attacker = (&world.attacker, Family::V4.attacker());
    passes(&world, attacker);
    setup.configure(NARROW);
    daemon.hang_up();
    is_limited(&world, attacker);
    setup.configure("[shield]\nmode = \"off\"\n");
    daemon.hang_up();
    passes(&world, attacker);
    for reload in daemon.log().all("reload") {
        assert_eq!(reload.field("needs_restart").as_array().unwrap().len(), 0);
    }
    daemon.stop();
}

/// 40 % of the smallest limit; of 1000 where no profile has one.
fn the_budget_follows_max_recv_rps_of_the_smallest_profile() {
    let running = "<profiles><profile><name>internal</name><state>RUNNING (0)</state></profile>\
                   <profile><name>external</name><state>RUNNING (0)</state></profile></profiles>";
    let profile = |name: &str, port: u16, limit: &str| {
        format!(
            "<profile><profile-info><name>{name}</name><bind-url>sip:mod_sofia@192.0.2.1:{port};\
             transport=udp,tcp</bind-url>{limit}</profile-info></profile>"
        )
    };
    let rps = |limit: u32| format!("<max-recv-rps>{limit}</max-recv-rps>");
    let fs = FakeFreeSwitch::builder()
        .answer("sofia xmlstatus", running)
        .answer("sofia xmlstatus profile internal", &profile("internal", 5060, &rps(600)))
        .answer("sofia xmlstatus profile external", &profile("external", 5080, &rps(300)));
    let world = World::with(fs);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let budget = || {
        let halves = ["newcomers_udp", "strangers_udp"];
        halves.iter().map(|half| packets_per_second(&world.pbx, half)).sum::<Option<u64>>()
    };
    until("40 % of 300", || budget() == Some(120));
    let recording = Recording::load("session/sofia-profile-restart").unwrap();
    let starts =
        |event: &&Frame| event.decoded("Event-Subclass").as_deref() == Some("sofia::profile_start");
    // 0 is no limit, and old versions of FreeSWITCH do not say.
    for (internal, external, packets) in
        [(rps(600), rps(0), 240), (rps(0), String::new(), 400), (rps(2_000), rps(5_000), 800)]
    {
        world.fs.answer("sofia xmlstatus profile internal", &profile("internal", 5060, &internal));
        world.fs.answer("sofia xmlstatus profile external", &profile("external", 5080, &external));
        world.fs.replay(recording.events().filter(starts));
        until("the budget of other profiles", || budget() == Some(packets));
    }
    daemon.stop();
}

fn after_a_restart_phones_are_healthy_until_they_are_known_again() {
    let world = World::new();
    // With a store the phone would be known again at once, and for good reason.
    let setup = world.setup(&format!("{NARROW}\n[store]\npath = \":memory:\"\n"));
    let daemon = world.watch(&setup);
    let phone = (&world.phone, Family::V4.phone());
    let attacker = (&world.attacker, Family::V4.attacker());
    world.fs.emit(&Attempt::new(ip(phone.1), 5060, "1000"), Outcome::Registered);
    is_limited(&world, attacker);
    passes(&world, phone);
    daemon.stop();
    world.fs.kill().unwrap();

    let daemon = world.start(&setup);
    daemon.expect("esl_disconnected");

    assert_eq!(burst(&world, phone), BURST);
    assert!(burst(&world, attacker) < BURST / 2, "the budget holds too");
    // Its FreeSWITCH comes back, and no phone is registered there.
    world.fs.boot().unwrap();
    daemon.expect("registrations");
    is_limited(&world, phone);
}
