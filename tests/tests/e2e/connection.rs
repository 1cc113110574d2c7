//! The Event Socket: refused, cut, stalled, restarted.

use std::time::Duration;

use sipward_tests::fake_freeswitch::{FakeFreeSwitch, Greeting};
use sipward_tests::wait::PATIENCE;

use super::kernel::{blackholes, nets};
use super::world::{Family, NONE, World, of};

super::cases![
    the_subscription_is_what_the_daemon_needs,
    freeswitch_may_start_later,
    a_wrong_password_is_told_and_tried_again,
    a_refusal_by_the_acl_is_told_and_tried_again,
    a_user_of_the_directory_logs_in,
    bans_go_on_after_freeswitch_was_killed_and_restarted,
    bans_go_on_after_an_orderly_shutdown,
    counts_survive_a_connection_cut_in_mid_frame,
    a_silent_freeswitch_is_left_and_found_again,
];

fn the_subscription_is_what_the_daemon_needs() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);

    let asked = world.fs.wait_for_subscription(PATIENCE).unwrap();

    assert!(asked.names.contains("HEARTBEAT"), "{:?}", asked.names);
    let subclasses: Vec<_> = asked.subclasses.iter().map(String::as_str).collect();
    assert_eq!(
        subclasses,
        [
            "sipward::call",
            "sipward::report",
            "sofia::expire",
            "sofia::gateway_add",
            "sofia::gateway_delete",
            "sofia::gateway_state",
            "sofia::pre_register",
            "sofia::profile_start",
            "sofia::register",
            "sofia::register_attempt",
            "sofia::register_failure",
            "sofia::unregister",
            "sofia::wrong_call_state",
        ]
    );
    assert_eq!(world.fs.violations(), [""; 0]);
}

fn freeswitch_may_start_later() {
    let world = World::new();
    world.fs.kill().unwrap();
    let setup = world.setup("");
    let daemon = world.start(&setup);
    let told = daemon.expect("esl_disconnected");
    assert!(told.text("error").contains("refused"), "{}", told.raw);

    world.fs.boot().unwrap();
    daemon.expect("esl_connected");
    world.fail("198.51.100.7", 5);

    daemon.expect("ban");
}

fn a_wrong_password_is_told_and_tried_again() {
    let world = World::with(FakeFreeSwitch::builder().password("another"));
    let setup = world.setup("");
    let daemon = world.start(&setup);

    let told = daemon.expect("esl_disconnected");
    assert!(told.text("error").contains("password"), "{}", told.raw);
    assert!(told.field("retry_in_seconds").as_f64().is_some_and(|s| s > 0.0), "{}", told.raw);
    world.fs.wait_for_connections(2, PATIENCE).unwrap();
    assert!(daemon.log().all("esl_connected").is_empty());

    world.fs.expect_password("ClueCon");
    daemon.expect("esl_connected");
}

fn a_refusal_by_the_acl_is_told_and_tried_again() {
    let world = World::with(FakeFreeSwitch::builder().greeting(Greeting::RudeRejection));
    let setup = world.setup("");
    let daemon = world.start(&setup);

    let told = daemon.expect("esl_disconnected");
    assert!(told.text("error").contains("apply-inbound-acl"), "{}", told.raw);
    world.fs.wait_for_connections(2, PATIENCE).unwrap();

    world.fs.greet_with(Greeting::Handshake);
    daemon.expect("esl_connected");
}

fn a_user_of_the_directory_logs_in() {
    let world = World::with(FakeFreeSwitch::builder().user("sipward@default"));
    let setup = world.setup("").env("ESL_USER", "sipward@default");
    let _daemon = world.watch(&setup);

    assert_eq!(world.fs.commands()[0], "userauth sipward@default:ClueCon");
}

fn bans_go_on_after_freeswitch_was_killed_and_restarted() {
    after_a_restart(|fs| fs.restart().unwrap());
}

fn bans_go_on_after_an_orderly_shutdown() {
    after_a_restart(|fs| {
        fs.shut_down(PATIENCE).unwrap();
        fs.boot().unwrap();
    });
}

fn after_a_restart(restart: impl FnOnce(&FakeFreeSwitch)) {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    let before = world.fs.core_uuid();

    restart(&world.fs);
    daemon.expect_many("esl_connected", 2, |_| true);
    world.fail("2001:db8:bad::7", 5);

    daemon.expect_that("ban", of("2001:db8:bad::/64"));
    let told = daemon.expect("esl_restarted");
    assert_eq!((told.text("old"), told.text("new")), (&*before, &*world.fs.core_uuid()));
    assert_eq!(world.attacker_arrives(Family::V4), NONE, "the old ban stands");
    assert_eq!(world.attacker_arrives(Family::V6), NONE, "the new one as well");
    assert_eq!(world.fs.violations(), [""; 0]);
}

fn counts_survive_a_connection_cut_in_mid_frame() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 4);
    daemon.expect_many("auth_failure", 4, |_| true);

    world.fs.drop_mid_frame();
    daemon.expect("esl_disconnected");
    daemon.expect_many("esl_connected", 2, |_| true);
    world.fail("198.51.100.7", 1);

    let ban = daemon.expect("ban");
    assert_eq!(ban.number("failures"), Some(5));
    assert_eq!(blackholes(&world.pbx), nets(["198.51.100.7/32"]));
}

/// A FreeSWITCH that hangs keeps its connections open: only the missing HEARTBEAT shows it.
fn a_silent_freeswitch_is_left_and_found_again() {
    let world = World::with(FakeFreeSwitch::builder().heartbeat_every(Duration::from_secs(5)));
    // The least that can be set: FreeSWITCH beats every 20 s.
    let setup = world.setup("[esl]\nheartbeat_timeout = \"21s\"\n");
    let daemon = world.watch(&setup);
    world.fs.heartbeat();

    world.fs.stall();
    // It reads nothing either, so it does not notice that its client has gone.
    // The second one asked for the registrations.
    world.fs.wait_for_connections(3, Duration::from_secs(40)).unwrap();
    let told = daemon.expect("esl_disconnected");
    assert!(told.text("error").to_lowercase().contains("heartbeat"), "{}", told.raw);

    world.fs.resume();
    daemon.expect_many("esl_connected", 2, |_| true);
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
}
