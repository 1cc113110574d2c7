//! Start, reload, stop, crash, observe, flush, missing rights.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use caps::{CapSet, Capability};
use ipnet::IpNet;
use sipward_tests::daemon::Setup;

use super::kernel::{blackholes, blackholes_become, everything, nets};
use super::world::{ALL, Family, NONE, World, ip, of, seen_at};

super::cases![
    a_name_that_nobody_answers_does_not_hold_up_the_stop,
    bans_outlive_a_stop,
    a_stop_can_flush_instead,
    a_crash_in_the_storm_loses_no_ban,
    a_good_reload_is_in_force_and_forgets_nothing,
    a_broken_reload_changes_nothing_and_says_why,
    allowing_by_reload_lifts_the_ban,
    observe_mode_changes_nothing_in_the_kernel,
    a_dry_run_changes_nothing_in_the_kernel,
    flush_lets_everybody_in_without_a_daemon,
    a_daemon_without_the_capability_says_what_it_needs,
    a_stop_is_quick_in_a_storm_and_without_freeswitch,
];

/// Stops the storm when it goes out of scope.
struct Storm<'a>(&'a AtomicBool);

impl Drop for Storm<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Plays `during` while 200 sources fail about 1,000 times a second in turn.
fn in_a_storm<T>(world: &World, during: impl FnOnce() -> T) -> T {
    let goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let sources = (0..).map(|n: u32| ip(&format!("198.18.7.{}", n % 200)));
            for source in sources.take_while(|_| goes_on.load(Ordering::Relaxed)) {
                world.fs.failure(source, 5060, "1000");
                thread::sleep(Duration::from_millis(1));
            }
        });
        let _storm = Storm(&goes_on);
        during()
    })
}

/// The output of `sipward flush` without a route, a rule or a gate of sipward.
const NOTHING: &str = "removed 0 routes, 0 rules; there was no gate\n";

/// The output of `sipward flush`.
fn flushed(world: &World, setup: &Setup) -> String {
    let done = world.pbx.run(|| setup.run("flush"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn bans_outlive_a_stop() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        world.ban(&daemon, family);
    }

    let ended = daemon.stop();

    assert_eq!(ended.log.all("stopped").len(), 1);
    for family in [Family::V4, Family::V6] {
        assert_eq!(world.attacker_arrives(family), NONE, "no gap while nobody runs");
        assert_eq!(world.phone_arrives(family), ALL);
    }
    let again = world.watch(&setup);
    let started = again.expect("started");
    assert_eq!((started.number("restored"), started.number("adopted")), (Some(2), Some(0)));
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
}

fn a_stop_can_flush_instead() {
    let world = World::new();
    let before = everything(&world.pbx);
    let setup = world.setup("on_exit = \"flush\"\n");
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        world.ban(&daemon, family);
    }

    daemon.stop();

    assert_eq!(everything(&world.pbx), before);
    let said = flushed(&world, &setup);
    assert_eq!(said, NOTHING.replace('\n', "; ended 2 stored bans\n"), "they would come back");
    for family in [Family::V4, Family::V6] {
        assert_eq!(world.attacker_arrives(family), ALL);
    }
}

fn a_crash_in_the_storm_loses_no_ban() {
    let world = World::new();
    let setup = world.setup("[policy]\nban_time = \"8s\"\n");
    let daemon = world.watch(&setup);
    let ended = in_a_storm(&world, || {
        daemon.expect_many("ban", 60, |_| true);
        daemon.kill()
    });
    let told: BTreeSet<IpNet> =
        ended.log.all("ban").iter().map(|ban| ban.text("net").parse().unwrap()).collect();
    let left = blackholes(&world.pbx);
    assert!(told.is_subset(&left), "told, but not in the kernel: {:?}", &told - &left);
    assert!(left.len() < 200, "the crash came too late to prove anything");

    let again = world.watch(&setup);

    let started = again.expect("started");
    let taken_over = [started.number("restored"), started.number("adopted")].into_iter().flatten();
    assert_eq!(taken_over.sum::<u64>(), left.len() as u64, "{}", started.raw);
    assert_eq!(blackholes(&world.pbx), left, "taken over, not set again, not lost");
    again.expect_many("unban", left.len(), |_| true);
    // They end as others do.
    blackholes_become(&world.pbx, []);
}

fn a_good_reload_is_in_force_and_forgets_nothing() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 2);
    world.fail("198.18.0.1", 5);
    daemon.expect_that("ban", of("198.18.0.1/32"));
    daemon.expect_many("auth_failure", 2, seen_at("198.51.100.7"));

    setup.configure("[policy]\nmax_failures = 3\n");
    daemon.hang_up();
    daemon.expect("reload");
    world.fail("198.51.100.7", 1);

    let ban = daemon.expect_that("ban", of("198.51.100.7/32"));
    assert_eq!(ban.number("failures"), Some(3), "two from before, one after");
    assert_eq!(blackholes(&world.pbx), nets(["198.18.0.1/32", "198.51.100.7/32"]));
    assert_eq!(
        world.fs.connections(),
        2,
        "no more than at the start: events, and who is registered"
    );
}

fn a_broken_reload_changes_nothing_and_says_why() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 2\n");
    let daemon = world.watch(&setup);

    setup.configure("[policy]\nmax_failures = 7\nban_tyme = \"1h\"\n");
    daemon.hang_up();
    let told = daemon.expect("reload_failed");
    for word in ["sipward.toml:3:1", "ban_tyme", "ban_time"] {
        assert!(told.text("error").contains(word), "{word} in {}", told.raw);
    }

    world.fail("198.51.100.7", 2);
    let ban = daemon.expect("ban");
    assert_eq!(ban.number("failures"), Some(2), "neither 5, the default, nor 7");
}

fn allowing_by_reload_lifts_the_ban() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    world.fail("198.18.0.1", 5);
    daemon.expect_many("ban", 2, |_| true);

    setup.configure("allow = [\"198.51.100.0/28\"]\n");
    daemon.hang_up();

    let unban = daemon.expect("unban");
    assert_eq!((unban.text("net"), unban.text("reason")), ("198.51.100.7/32", "exempted"));
    world.attacker_is_let_in(Family::V4);
    assert_eq!(blackholes(&world.pbx), nets(["198.18.0.1/32"]));
}

fn observe_mode_changes_nothing_in_the_kernel() {
    only_watches("mode = \"observe\"\n", &[]);
}

fn a_dry_run_changes_nothing_in_the_kernel() {
    only_watches("", &["--dry-run"]);
}

fn only_watches(config: &str, arguments: &[&str]) {
    let world = World::new();
    let before = everything(&world.pbx);
    let setup = arguments.iter().fold(world.setup(config), |setup, argument| setup.arg(argument));
    let daemon = world.watch(&setup);
    assert_eq!(daemon.expect("started").text("mode"), "observe");

    for family in [Family::V4, Family::V6] {
        let ban = world.ban(&daemon, family);
        assert_eq!(ban.field("enforced"), false, "{}", ban.raw);
        assert_eq!(world.attacker_arrives(family), ALL);
    }
    assert_eq!(everything(&world.pbx), before);
    daemon.stop();
    assert_eq!(everything(&world.pbx), before);
    assert_eq!(flushed(&world, &setup), NOTHING);
}

fn flush_lets_everybody_in_without_a_daemon() {
    let world = World::new();
    let before = everything(&world.pbx);
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    for family in [Family::V4, Family::V6] {
        world.ban(&daemon, family);
    }
    daemon.kill();
    assert_eq!(world.attacker_arrives(Family::V4), NONE);

    let said = flushed(&world, &setup);

    assert!(said.contains("2 routes") && said.contains("and the gate"), "{said}");
    assert_eq!(everything(&world.pbx), before);
    for family in [Family::V4, Family::V6] {
        assert_eq!(world.attacker_arrives(family), ALL);
    }
}

fn a_daemon_without_the_capability_says_what_it_needs() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.pbx.run(|| {
        // Of this thread only, which ends with the closure; the child inherits it.
        caps::drop(None, CapSet::Bounding, Capability::CAP_NET_ADMIN).unwrap();
        setup.start()
    });

    let ended = daemon.wait_for_end();

    assert_eq!(ended.status.code(), Some(1));
    let told = ended.log.text();
    for word in ["CAP_NET_ADMIN", "AmbientCapabilities", "setcap"] {
        assert!(told.contains(word), "{word} in:\n{told}");
    }
    assert_eq!(world.fs.connections(), 0, "it gives up before it listens");
}

/// [`Daemon::stop`](sipward_tests::daemon::Daemon::stop) judges the time.
fn a_stop_is_quick_in_a_storm_and_without_freeswitch() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    in_a_storm(&world, || {
        daemon.expect_many("ban", 20, |_| true);
        daemon.stop();
    });
    world.fs.kill().unwrap();
    let daemon = world.start(&setup);
    daemon.expect("esl_disconnected");
    daemon.stop();
}

fn a_name_that_nobody_answers_does_not_hold_up_the_stop() {
    let world = World::new();
    // The name servers of this machine are out of reach in here, so the resolver tries on.
    let setup = world.setup("allow = [\"office.example.org\"]\n");
    let daemon = world.watch(&setup);
    daemon.stop();
}
