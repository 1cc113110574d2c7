//! What outlives a stop, a crash, a reboot.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use sipward_config::{StoreLocation, StoreSettings};
use sipward_engine::Expiry;
use sipward_store::{Saved, Store};
use sipward_tests::daemon::Daemon;
use sipward_tests::wait::until;

use super::kernel::{blackholes, nets};
use super::nft::forget_all;
use super::world::{ALL, Family, NONE, World, ip, of, seen_at};

super::cases![
    a_restart_keeps_bans_and_the_time_they_have_left,
    after_a_reboot_the_bans_are_back_before_freeswitch_is_listened_to,
    what_ended_while_nobody_ran_ends_at_the_start,
    a_route_that_the_store_does_not_know_becomes_a_ban,
    the_second_ban_is_longer_after_a_restart_too,
    a_phone_that_was_healthy_before_a_restart_is_known_after_it,
    what_was_only_observed_is_never_enforced,
    flush_ends_the_stored_bans_too,
    a_start_that_restores_nothing_says_why,
];

/// What a store holds. No daemon runs.
pub(crate) fn saved(file: &Path) -> Saved {
    let settings = StoreSettings {
        location: StoreLocation::File(file.to_owned()),
        ..StoreSettings::default()
    };
    Store::open(&settings).unwrap().1
}

/// Waits until the store holds `count` bans.
pub(crate) fn stored(file: &Path, count: i64) {
    let reader = Connection::open(file).unwrap();
    reader.busy_timeout(Duration::from_secs(5)).unwrap();
    until("bans are stored", || number(&reader, "SELECT count(*) FROM bans") == count);
}

pub(crate) fn number(reader: &Connection, question: &str) -> i64 {
    reader.query_row(question, [], |row| row.get(0)).unwrap()
}

/// Bans of both attackers.
pub(crate) fn ban_both(world: &World, daemon: &Daemon) {
    for family in [Family::V4, Family::V6] {
        world.ban(daemon, family);
    }
}

pub(crate) fn both() -> std::collections::BTreeSet<ipnet::IpNet> {
    nets([Family::V4, Family::V6].map(Family::attackers_net))
}

/// What the daemon says it took over: bans restored, routes adopted.
pub(crate) fn taken_over(daemon: &Daemon) -> (Option<u64>, Option<u64>) {
    let started = daemon.expect("started");
    (started.number("restored"), started.number("adopted"))
}

fn a_restart_keeps_bans_and_the_time_they_have_left() {
    let world = World::new();
    let setup = world.setup("[policy]\nban_time = \"8s\"\n");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    let told = daemon.log().all("ban");
    daemon.stop();

    let again = world.watch(&setup);

    assert_eq!(taken_over(&again), (Some(2), Some(0)));
    for ban in told {
        let ended = again.expect_that("unban", of(ban.text("net")));
        assert_eq!(ended.text("reason"), "expired");
        let late = ended.time("time").unwrap().duration_since(ban.time("until").unwrap());
        assert!((-0.1..3.0).contains(&late.as_secs_f64()), "{late:?} after its time");
    }
    assert!(again.log().all("ban").is_empty(), "a restored ban is no news");
    until("the routes are gone", || blackholes(&world.pbx).is_empty());
}

fn after_a_reboot_the_bans_are_back_before_freeswitch_is_listened_to() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    stored(&setup.store_file(), 2);
    daemon.kill();
    // A rebooted kernel knows nothing.
    forget_all(&world.pbx);
    assert_eq!(world.attacker_arrives(Family::V4), ALL);
    world.fs.kill().unwrap();

    let again = world.start(&setup);
    again.expect("esl_disconnected");

    assert_eq!(blackholes(&world.pbx), both(), "before the first word about FreeSWITCH");
    assert_eq!(taken_over(&again), (Some(2), Some(0)));
    for family in [Family::V4, Family::V6] {
        assert_eq!(world.attacker_arrives(family), NONE);
        assert_eq!(world.phone_arrives(family), ALL);
    }
}

fn what_ended_while_nobody_ran_ends_at_the_start() {
    let world = World::new();
    let setup = world.setup("[policy]\nban_time = \"1s\"\n");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    let ban = daemon.expect("ban");
    // Before its end, so that the route stays.
    stored(&setup.store_file(), 1);
    daemon.kill();
    assert_eq!(blackholes(&world.pbx), nets(["198.51.100.7/32"]));
    until("the ban is over", || Timestamp::now() > ban.time("until").unwrap());

    let again = world.watch(&setup);

    assert_eq!(again.expect("unban").text("reason"), "expired");
    until("the route is gone", || blackholes(&world.pbx).is_empty());
    assert_eq!(taken_over(&again), (Some(0), Some(0)));
    again.stop();
    // It stays stored for an hour: if the clock was ahead, it comes back when that is set right.
    let left = saved(&setup.store_file()).bans;
    let now = sipward_model::clock::stamp(std::time::SystemTime::now());
    assert!(left.iter().all(|ban| ban.until < Expiry::At(now)), "{left:?}");
}

fn a_route_that_the_store_does_not_know_becomes_a_ban() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    daemon.kill();
    for name in ["sipward.db", "sipward.db-wal", "sipward.db-shm"] {
        fs::remove_file(setup.directory().join(name)).unwrap();
    }

    let again = world.watch(&setup);

    assert_eq!(taken_over(&again), (Some(0), Some(2)));
    let told = again.expect_many("ban", 2, |_| true);
    assert!(told.iter().all(|ban| ban.text("by") == "adopted"), "{told:?}");
    assert_eq!(blackholes(&world.pbx), both());
    again.stop();
    let once_more = world.watch(&setup);
    assert_eq!(taken_over(&once_more), (Some(2), Some(0)), "and is known from then on");
}

fn the_second_ban_is_longer_after_a_restart_too() {
    let world = World::new();
    let setup = world.setup("[policy]\nban_time = \"1s\"\n");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect("unban");
    daemon.stop();
    assert_eq!(saved(&setup.store_file()).bans, []);

    let again = world.watch(&setup);
    world.fail("198.51.100.7", 5);

    assert_eq!(again.expect("ban").number("ban_count"), Some(2));
}

fn a_phone_that_was_healthy_before_a_restart_is_known_after_it() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fs.success(ip("203.0.113.5"), 5060, "1000");
    // Events are judged in their order.
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    daemon.stop();

    let again = world.watch(&setup);
    world.fail("203.0.113.5", 5);

    let told = again.expect("needs_attention");
    assert_eq!((told.text("address"), told.text("user")), ("203.0.113.5", "1000"));
    again.expect_many("auth_failure", 5, seen_at("203.0.113.5"));
    assert!(again.log().all("ban").is_empty());
}

fn what_was_only_observed_is_never_enforced() {
    let world = World::new();
    let setup = world.setup("mode = \"observe\"\n");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    daemon.stop();
    let again = world.watch(&setup);
    assert_eq!(taken_over(&again), (Some(1), Some(0)), "observed on");
    again.stop();

    setup.configure("mode = \"ban\"\n");
    let banning = world.watch(&setup);

    assert_eq!(taken_over(&banning), (Some(0), Some(0)));
    assert_eq!(blackholes(&world.pbx), nets([]));
}

fn flush_ends_the_stored_bans_too() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    daemon.stop();

    let done = world.pbx.run(|| setup.run("flush"));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("2 routes") && said.contains("ended 2 stored bans"), "{said}");

    let again = world.watch(&setup);
    assert_eq!(taken_over(&again), (Some(0), Some(0)));
    assert_eq!(blackholes(&world.pbx), nets([]));
    for family in [Family::V4, Family::V6] {
        assert_eq!(world.attacker_arrives(family), ALL);
    }
}

fn a_start_that_restores_nothing_says_why() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let begun = daemon.expect("store_begun");
    assert_eq!(Path::new(begun.text("file")), setup.store_file());
    // What comes now stays in the write-ahead log: no checkpoint passes a reader.
    let reader = Connection::open(setup.store_file()).unwrap();
    // Nor does the reader, when it is the last to close.
    reader.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").unwrap();
    ban_both(&world, &daemon);
    stored(&setup.store_file(), 2);
    daemon.kill();
    drop(reader);
    forget_all(&world.pbx);
    // As in a copy of the file alone.
    fs::remove_file(setup.directory().join("sipward.db-wal")).unwrap();

    let again = world.watch(&setup);

    assert_eq!(taken_over(&again), (Some(0), Some(0)));
    let told = again.expect("store_incomplete");
    assert!(told.text("error").contains("sipward.db-wal is missing"), "{}", told.raw);
    assert!(again.log().all("store_begun").is_empty(), "there was a file");
    again.stop();
    let once_more = world.watch(&setup);
    assert!(once_more.log().all("store_incomplete").is_empty(), "that is old news");
}
