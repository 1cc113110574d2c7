//! What goes wrong with the store's file: no ban does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use rusqlite::Connection;
use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::wait::until;

use super::kernel::{blackholes, nets};
use super::metrics::scrape_until;
use super::nft::forget_all;
use super::store::{ban_both, number, saved, stored, taken_over};
use super::world::{Family, NONE, World, of};

super::cases![
    a_corrupt_file_is_put_aside_and_nobody_gets_in,
    a_newer_schema_is_refused_and_not_touched,
    a_locked_file_is_read_when_it_is_free,
    a_full_disk_stops_no_ban_and_heals,
    the_history_is_pruned_and_the_file_shrinks,
];

fn a_corrupt_file_is_put_aside_and_nobody_gets_in() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    ban_both(&world, &daemon);
    daemon.stop();
    let rubbish = b"the disk has lost its mind".repeat(4_000);
    fs::write(setup.store_file(), &rubbish).unwrap();

    let again = world.watch(&setup);

    let told = again.expect("store_set_aside");
    let kept = PathBuf::from(told.text("file"));
    assert_eq!(kept.parent(), setup.store_file().parent(), "{}", told.raw);
    assert_eq!(fs::read(&kept).unwrap(), rubbish);
    assert_eq!(taken_over(&again), (Some(0), Some(2)), "the kernel has remembered");
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    stored(&setup.store_file(), 2);
}

fn a_newer_schema_is_refused_and_not_touched() {
    let world = World::new();
    let setup = world.setup("");
    world.watch(&setup).stop();
    let newer = Connection::open(setup.store_file()).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    newer.close().unwrap();
    let before = fs::read(setup.store_file()).unwrap();

    let ended = world.start(&setup).wait_for_end();

    assert_eq!(ended.status.code(), Some(1));
    let told = ended.log.stderr();
    for word in ["sipward.db", "schema version 99", "store.path"] {
        assert!(told.contains(word), "{word} in:\n{told}");
    }
    assert_eq!(fs::read(setup.store_file()).unwrap(), before);
}

fn a_locked_file_is_read_when_it_is_free() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    daemon.stop();
    forget_all(&world.pbx);
    let other = Connection::open(setup.store_file()).unwrap();
    other.execute_batch("PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE").unwrap();

    let again = world.watch(&setup);
    let told = again.expect("store_degraded");
    assert!(told.text("error").contains("locked by another process"), "{}", told.raw);
    world.fail("198.18.0.1", 5);
    again.expect_that("ban", of("198.18.0.1/32"));
    assert_eq!(blackholes(&world.pbx), nets(["198.18.0.1/32"]), "bans go on");
    drop(other);

    let read = again.expect("store_read");
    assert_eq!(read.number("restored"), Some(1));
    again.expect("store_recovered");
    let all = nets(["198.18.0.1/32", "198.51.100.7/32"]);
    until("the old ban is back", || blackholes(&world.pbx) == all);
    again.stop();
    let bans = saved(&setup.store_file()).bans;
    assert_eq!(bans.iter().map(|ban| ban.net).collect::<BTreeSet<_>>(), all);
}

/// Starts a daemon that sees a file system of one megabyte at `directory`, which no other process sees.
fn start_on_small_disk(world: &World, setup: &Setup, directory: &Path) -> Daemon {
    let daemon = world.pbx.run(|| {
        // Of this thread only, which ends with the closure; the child inherits it.
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("small"), directory, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
        setup.start()
    });
    daemon.expect("esl_connected");
    daemon
}

/// Runs `f` where the daemon's file systems are mounted.
fn as_seen_by<T: Send>(daemon: &Daemon, f: impl FnOnce() -> T + Send) -> T {
    let namespace = fs::File::open(format!("/proc/{}/ns/mnt", daemon.id())).unwrap();
    thread::scope(|scope| {
        let inside = scope.spawn(move || {
            unshare(CloneFlags::CLONE_FS).unwrap();
            setns(namespace, CloneFlags::CLONE_NEWNS).unwrap();
            f()
        });
        inside.join().unwrap()
    })
}

fn a_full_disk_stops_no_ban_and_heals() {
    let world = World::new();
    let setup = world.setup("");
    let directory = setup.directory().join("disk");
    fs::create_dir(&directory).unwrap();
    let file = directory.join("sipward.db");
    setup.configure(&format!(
        "[policy]\nmax_failures = 1\n[policy.rules.network]\nmode = \"off\"\n[store]\npath = \"{}\"\n",
        file.display()
    ));
    let daemon = start_on_small_disk(&world, &setup, &directory);
    world.fail("198.18.0.1", 1);
    daemon.expect("ban");
    as_seen_by(&daemon, || stored(&file, 1));
    let ballast = directory.join("ballast");
    let full = as_seen_by(&daemon, || fs::write(&ballast, vec![1; 2 * 1024 * 1024])).unwrap_err();
    assert_eq!(full.raw_os_error(), Some(nix::libc::ENOSPC));

    let sources: Vec<String> = (0..200).map(|n| format!("198.18.1.{n}")).collect();
    for source in &sources {
        world.fail(source, 1);
    }
    let told = daemon.expect("store_degraded");
    assert!(told.text("error").contains("no space left"), "{}", told.raw);
    let _ = scrape_until(&setup, "sipward_store_up 0");
    let status = setup.client().get("/status").expect(200);
    assert_eq!(status["store"]["state"], "degraded", "{status:#}");
    daemon.expect_many("ban", 201, |ban| ban.field("enforced") == true);
    assert_eq!(blackholes(&world.pbx).len(), 201, "bans go on");

    as_seen_by(&daemon, || fs::remove_file(&ballast)).unwrap();

    let recovered = daemon.expect("store_recovered");
    assert_eq!(recovered.number("dropped"), Some(0));
    let _ = scrape_until(&setup, "sipward_store_up 1");
    as_seen_by(&daemon, || stored(&file, 201));
    daemon.stop();
}

fn the_history_is_pruned_and_the_file_shrinks() {
    const BANS: u32 = 3_000;
    let world = World::new();
    let setup = world.setup("");
    setup.configure(&format!(
        "[policy]\nmax_failures = 1\nban_time = \"1s\"\n[policy.rules.network]\nmode = \"off\"\n\
         [store]\npath = \"{}\"\nmax_history = 1000\n",
        setup.store_file().display()
    ));
    let daemon = world.watch(&setup);
    for n in 0..BANS {
        let [_, _, high, low] = n.to_be_bytes();
        world.fail(&format!("198.18.{high}.{low}"), 1);
    }
    daemon.expect_many("unban", BANS as usize, |_| true);
    let reader = Connection::open(setup.store_file()).unwrap();
    reader.busy_timeout(Duration::from_secs(5)).unwrap();
    until("all is written", || {
        number(&reader, "SELECT max(id) FROM history") == i64::from(2 * BANS)
    });
    until("the oldest are gone", || number(&reader, "SELECT count(*) FROM history") <= 1_000);
    assert_eq!(
        number(&reader, "SELECT min(id) FROM history"),
        i64::from(2 * BANS) - 999,
        "the newest stay"
    );
    // 6,000 events take more than a megabyte, a thousand of them a fraction of it.
    let free = |reader: &Connection| number(reader, "PRAGMA freelist_count");
    until("the pages are given back", || free(&reader) <= 64);
    assert_eq!(number(&reader, "SELECT count(*) FROM bans"), 0);
    drop(reader);
    daemon.stop();
    let size = fs::metadata(setup.store_file()).unwrap().len();
    assert!(size < 1_500_000, "{size} bytes for a thousand events");
}
