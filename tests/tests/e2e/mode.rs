//! The mode, changed while the daemon runs: what is blocked then, and what is kept.

use sipward_tests::daemon::Setup;

use super::kernel::{blackholes, blackholes_become, everything, nets};
use super::world::{ALL, Family, NONE, World, of};

super::cases![
    mode_ban_blocks_what_was_observed_and_forgets_no_failure,
    mode_observe_leaves_nothing_in_the_kernel,
    the_mode_outlives_a_crash_until_the_file_has_another,
    the_mode_of_the_file_changes_by_a_reload,
    a_dry_run_keeps_its_mode,
    a_second_daemon_cannot_change_to_mode_ban,
];

/// What `sipward` with these words prints, and its exit status.
fn sipward(setup: &Setup, words: &[&str]) -> (Option<i32>, String) {
    let output = setup.shell(words);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn mode(setup: &Setup, mode: &str) -> String {
    let (status, text) = sipward(setup, &["mode", mode, "--yes"]);
    assert_eq!(status, Some(0), "{text}");
    text
}

fn mode_ban_blocks_what_was_observed_and_forgets_no_failure() {
    let world = World::new();
    let setup = world.setup("mode = \"observe\"\n");
    let daemon = world.watch(&setup);
    world.fail(Family::V4.attacker(), 5);
    assert_eq!(daemon.expect_that("ban", of("198.51.100.7/32")).field("enforced"), false);
    world.fail(Family::V6.attacker(), 4);
    daemon.expect_many("auth_failure", 9, |_| true);
    let (_, before) = sipward(&setup, &["mode"]);
    assert!(before.contains("blocks at once: 1 ban"), "{before}");
    assert_eq!(world.attacker_arrives(Family::V4), ALL);

    let said = mode(&setup, "ban");

    assert!(said.contains("1 ban set in the kernel") && said.contains("outranks"), "{said}");
    let changed = daemon.expect("mode_changed");
    assert_eq!((changed.text("mode"), changed.number("bans")), ("ban", Some(1)));
    blackholes_become(&world.pbx, ["198.51.100.7/32"]);
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    assert_eq!(world.phone_arrives(Family::V4), ALL);
    world.fail(Family::V6.attacker(), 1);
    let ban = daemon.expect_that("ban", of("2001:db8:bad::/64"));
    assert_eq!(ban.field("enforced"), true, "the four failures before count: {}", ban.raw);
    assert_eq!(world.attacker_arrives(Family::V6), NONE);
    assert_eq!(daemon.stop().log.all("enforcement").len(), 0, "no alarm about bans");
}

fn mode_observe_leaves_nothing_in_the_kernel() {
    let world = World::new();
    let before = everything(&world.pbx);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        world.ban(&daemon, family);
        assert_eq!(world.attacker_arrives(family), NONE);
    }

    let said = mode(&setup, "observe");

    assert!(said.contains("2 bans removed from the kernel"), "{said}");
    assert_eq!(everything(&world.pbx), before);
    for family in [Family::V4, Family::V6] {
        assert_eq!(world.attacker_arrives(family), ALL);
    }
    let (_, bans) = sipward(&setup, &["bans"]);
    assert!(bans.contains("198.51.100.7"), "the list keeps it: {bans}");
    world.fs.failure("198.18.0.9".parse().unwrap(), 5060, "1000");
    assert_eq!(everything(&world.pbx), before);

    mode(&setup, "ban");

    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    let ended = daemon.stop();
    assert_eq!(ended.log.all("enforcement").len(), 0, "no alarm about bans");
}

fn the_mode_outlives_a_crash_until_the_file_has_another() {
    let world = World::new();
    let setup = world.setup("mode = \"observe\"\n");
    let daemon = world.watch(&setup);
    world.fail(Family::V4.attacker(), 5);
    daemon.expect("ban");
    mode(&setup, "ban");
    daemon.kill();
    assert_eq!(world.attacker_arrives(Family::V4), NONE);

    let daemon = world.watch(&setup);
    let started = daemon.expect("started");
    assert_eq!((started.text("mode"), started.number("restored")), ("ban", Some(1)));
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    daemon.stop();

    setup.configure("mode = \"ban\"\n");
    let daemon = world.watch(&setup);
    assert_eq!(daemon.expect("started").text("mode"), "ban");
    daemon.stop();
    setup.configure("mode = \"observe\"\n");
    let daemon = world.watch(&setup);
    let started = daemon.expect("started");
    assert_eq!(started.text("mode"), "observe", "what was set over the file before is over");
}

fn the_mode_of_the_file_changes_by_a_reload() {
    let world = World::new();
    let setup = world.setup("mode = \"observe\"\n");
    let daemon = world.watch(&setup);
    world.fail(Family::V4.attacker(), 5);
    daemon.expect("ban");
    setup.configure("mode = \"ban\"\n");
    let (status, said) = sipward(&setup, &["reload"]);
    assert_eq!((status, said.as_str()), (Some(0), "the configuration was applied\n"));
    assert_eq!(daemon.expect("mode_changed").text("mode"), "ban");
    blackholes_become(&world.pbx, ["198.51.100.7/32"]);
}

fn a_dry_run_keeps_its_mode() {
    let world = World::new();
    let before = everything(&world.pbx);
    let setup = world.setup("").arg("--dry-run");
    let daemon = world.watch(&setup);
    world.fail(Family::V4.attacker(), 5);
    daemon.expect("ban");
    let (status, said) = sipward(&setup, &["mode", "ban", "--yes"]);
    assert_eq!(status, Some(4), "{said}");
    assert!(said.contains("--dry-run"), "{said}");
    assert_eq!(everything(&world.pbx), before);
}

fn a_second_daemon_cannot_change_to_mode_ban() {
    let world = World::new();
    let first = world.watch(&world.setup(""));
    let setup = world.setup("mode = \"observe\"\n");
    let second = world.watch(&setup);
    world.fail(Family::V4.attacker(), 5);
    first.expect("ban");
    second.expect("ban");
    let (status, said) = sipward(&setup, &["mode", "ban", "--yes"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("not changed") && said.contains("another sipward"), "{said}");
    let (_, now) = sipward(&setup, &["mode"]);
    assert!(now.starts_with("mode observe"), "{now}");
    assert_eq!(blackholes(&world.pbx), nets(["198.51.100.7/32"]));
    second.stop();
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
}
