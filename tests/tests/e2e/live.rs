//! Registrations that come and go, and what a reload asks of FreeSWITCH.

use std::time::Duration;

use sipward_tests::fake_freeswitch::{Attempt, FakeFreeSwitch, Outcome};
use sipward_tests::wait::until;

use super::kernel::{blackholes, nets};
use super::world::{Family, World, ip, of};

super::cases![
    registrations_stand_until_they_end,
    after_a_gap_the_list_of_freeswitch_replaces_them,
    other_access_lists_take_force_with_a_reload,
    the_log_is_asked_for_as_long_as_its_rule_is_on,
];

const ATTACKER: &str = "198.51.100.7";

fn phone(address: &str, user: &str) -> Attempt {
    Attempt::new(ip(address), 5060, user).call_id(&format!("call-of-{user}"))
}

/// The answer to `show registrations as json`.
fn list(phones: &[&Attempt]) -> String {
    let row = |phone: &&Attempt| {
        format!(
            "{{\"reg_user\":\"{}\",\"realm\":\"pbx.test\",\"token\":\"{}\",\"url\":\"x\",\
             \"expires\":\"4000000000\",\"network_ip\":\"{}\",\"network_port\":\"5060\",\
             \"network_proto\":\"udp\",\"hostname\":\"fslab\",\"metadata\":\"\"}}",
            phone.user, phone.call_id, phone.source
        )
    };
    let rows: Vec<String> = phones.iter().map(row).collect();
    format!("{{\"row_count\":{},\"rows\":[{}]}}", phones.len(), rows.join(","))
}

const LIST: &str = "show registrations as json";

fn registrations_stand_until_they_end() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    daemon.expect("registrations");
    let phones = [phone("203.0.113.5", "1000"), phone("203.0.113.5", "1001")];
    let (leaves, runs_out) = (phone("203.0.113.6", "1002"), phone("2001:db8:900d::5", "1003"));
    for phone in phones.iter().chain([&leaves, &runs_out, &runs_out]) {
        world.fs.emit(phone, Outcome::Registered);
    }
    world.fs.emit(&leaves, Outcome::Unregistered);
    world.fs.emit(&runs_out, Outcome::Expired);
    world.fail("198.18.0.4", 5);
    daemon.expect_that("ban", of("198.18.0.4/32"));

    let ended = daemon.stop();

    assert_eq!(ended.log.all("stopped")[0].number("registered_now"), Some(2));
}

fn after_a_gap_the_list_of_freeswitch_replaces_them() {
    let (stays, leaves) = (phone("203.0.113.5", "1000"), phone("203.0.113.6", "1001"));
    let comes = phone("203.0.113.7", "1002");
    let world = World::with(FakeFreeSwitch::builder().answer(LIST, &list(&[&stays, &leaves])));
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    assert_eq!(daemon.expect("registrations").number("phones"), Some(2));
    world.fs.emit(&stays, Outcome::Registered);
    // The list may lag behind the events: a phone that was seen just before it is kept, so that time must pass.
    std::thread::sleep(Duration::from_millis(2_500));

    world.fs.answer(LIST, &list(&[&stays, &comes, &phone("203.0.113.8", "1003")]));
    world.fs.drop_mid_frame();

    daemon.expect_that("registrations", |line| line.number("phones") == Some(3));
    assert_eq!(daemon.stop().log.all("stopped")[0].number("registered_now"), Some(3));
}

fn other_access_lists_take_force_with_a_reload() {
    let fs = FakeFreeSwitch::builder().answer("acl 198.51.100.7 office", "true");
    let world = World::with(fs);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail(ATTACKER, 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));

    setup.configure("allow_acl = [\"trusted\", \"office\"]\n");
    daemon.hang_up();
    let unban = daemon.expect("unban");
    assert_eq!((unban.text("net"), unban.text("reason")), ("198.51.100.7/32", "exempted"));
    assert_eq!(daemon.expect("reload").field("needs_restart").as_array().unwrap().len(), 0);
    world.attacker_is_let_in(Family::V4);
    world.fail(ATTACKER, 10);
    daemon.expect_many("auth_failure", 10, |line| {
        line.text("address") == ATTACKER && line.field("exempt") == "acl"
    });

    setup.configure("allow_acl = [\"trusted\"]\n");
    daemon.hang_up();
    daemon.expect_many("reload", 2, |_| true);
    world.fail(ATTACKER, 5);
    daemon.expect_many("ban", 2, of("198.51.100.7/32"));
    assert_eq!(blackholes(&world.pbx), nets(["198.51.100.7/32"]));
    assert_eq!(world.fs.violations(), [""; 0]);
}

fn the_log_is_asked_for_as_long_as_its_rule_is_on() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let told = |expected: &[&str]| {
        until(&format!("the commands {expected:?}"), || {
            let mut commands = world.fs.commands();
            commands.retain(|command| command.ends_with("log") || command.starts_with("log "));
            if commands == expected { Ok(()) } else { Err(format!("{commands:?}")) }
        });
    };
    told(&["log 4"]);
    let steps = [
        ("off", &["log 4", "nolog"][..]),
        ("ban", &["log 4", "nolog", "log 4"]),
        // In shadow the log is read as well.
        ("shadow", &["log 4", "nolog", "log 4"]),
        ("off", &["log 4", "nolog", "log 4", "nolog"]),
    ];
    for (done, (mode, expected)) in (1..).zip(steps) {
        setup.configure(&format!("[policy.rules.log]\nmode = \"{mode}\"\n"));
        daemon.hang_up();
        daemon.expect_many("reload", done, |_| true);
        told(expected);
    }
}
