//! The system's clock is wrong at boot, is set, and the process stands still.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::wait::until;

use super::nft::forget_all;
use super::store::stored;
use super::world::{Family, World, of};

/// The cases. Those that need libfaketime are ignored where it is not, and fail there with `SIPWARD_FAKETIME=must`,
/// which `.ci/run` sets.
pub(crate) fn cases() -> Vec<libtest_mimic::Trial> {
    let is_missing = library().is_none() && std::env::var_os("SIPWARD_FAKETIME").is_none();
    let faked: [(&str, fn()); 2] = [
        ("a_clock_behind_at_boot_is_set_right_and_no_ban_is_longer", behind),
        ("a_clock_ahead_at_boot_is_set_right_and_no_ban_is_lost", ahead),
    ];
    let faked = faked.into_iter().map(|(name, body)| {
        let name = format!("clock::{name}");
        sipward_tests::netns::case(&name, body).with_ignored_flag(is_missing)
    });
    let stall = ("clock::a_stopped_process_reports_its_stall_and_how_late_its_bans_are", stall);
    faked.chain([sipward_tests::netns::case(stall.0, stall.1)]).collect()
}

const A: &str = "203.0.113.9/32";
const B: &str = "203.0.113.10/32";
const C: &str = "203.0.113.11/32";

/// Length of the short ban, in seconds.
const SHORT: u32 = 12;
const WEEK: u32 = 7 * 86_400;
const HOUR: u32 = 3_600;

/// libfaketime of Debian's package.
fn library() -> Option<PathBuf> {
    let found = fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    found.map(|path| path.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

/// A host, a first run that bans, a reboot with another time.
struct Host {
    world: World,
    setup: Setup,
    time: PathBuf,
}

impl Host {
    fn new() -> Self {
        let library = library().expect("libfaketimeMT.so.1: install the package faketime");
        let world = World::new();
        let setup = world.setup("");
        let daemon = world.watch(&setup);
        ban(&setup, A, SHORT);
        ban(&setup, B, WEEK);
        stored(&setup.store_file(), 2);
        daemon.stop();
        // A rebooted kernel knows nothing.
        forget_all(&world.pbx);
        let time = setup.directory().join("time");
        let setup = setup
            .env("LD_PRELOAD", library.to_str().unwrap())
            .env("FAKETIME_TIMESTAMP_FILE", time.to_str().unwrap())
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_NO_CACHE", "1");
        Self { world, setup, time }
    }

    /// Boots with this time, which goes on from there.
    fn boot(&self, time: &str) -> Daemon {
        fs::write(&self.time, format!("@{time}\n")).unwrap();
        let daemon = self.world.start(&self.setup);
        daemon.expect("api_opened");
        daemon
    }

    /// NTP sets the clock right.
    fn set_right(&self) {
        let new = self.time.with_extension("new");
        fs::write(&new, "+0\n").unwrap();
        fs::rename(&new, &self.time).unwrap();
    }

    fn left(&self, net: &str) -> Option<f64> {
        let answer = self.setup.client().get(&format!("/bans/{}", net.replace('/', "%2F")));
        answer.body["remaining_seconds"].as_f64()
    }
}

fn ban(setup: &Setup, net: &str, seconds: u32) {
    let body = serde_json::json!({ "net": net, "ban_time_seconds": seconds });
    let made = setup.client().post("/bans", &body);
    assert_eq!(made.status, 201, "{}", made.body);
}

fn behind() {
    let host = Host::new();
    let daemon = host.boot("2020-01-01 00:00:00");
    let told = daemon.expect("clock_behind");
    assert!(told.field("by_seconds").as_f64().unwrap() > 5.0 * 365.0 * 86_400.0, "{}", told.raw);
    assert!(host.left(A).is_some_and(|left| left <= f64::from(SHORT)), "{:?}", host.left(A));
    assert!(host.left(B).is_some_and(|left| left <= f64::from(WEEK)), "{:?}", host.left(B));
    ban(&host.setup, C, HOUR);
    host.set_right();
    let told = daemon.expect("clock_stepped");
    assert!(told.field("by_seconds").as_f64().unwrap() > 5.0 * 365.0 * 86_400.0, "{}", told.raw);
    assert_eq!(told.field("corrected"), true, "{}", told.raw);
    daemon.expect("store_read");
    daemon.expect_that("unban", of(A));
    in_the_end(&host, daemon);
}

fn ahead() {
    let host = Host::new();
    let daemon = host.boot("2036-01-01 00:00:00");
    assert_eq!((host.left(A), host.left(B)), (None, None), "their ends have passed by this clock");
    ban(&host.setup, C, HOUR);
    host.set_right();
    let told = daemon.expect("clock_stepped");
    assert!(told.field("by_seconds").as_f64().unwrap() < -5.0 * 365.0 * 86_400.0, "{}", told.raw);
    daemon.expect("store_read");
    until("the week's ban is back", || host.left(B).is_some());
    // The short one may be back for the seconds that it has left.
    until("the short ban is over", || host.left(A).is_none());
    in_the_end(&host, daemon);
}

/// What holds in both: each ban has what it was made for, by the API, by the time that is shown, and after a restart.
fn in_the_end(host: &Host, daemon: Daemon) {
    let year = jiff::Timestamp::now().strftime("%Y").to_string();
    for (net, length) in [(B, WEEK), (C, HOUR)] {
        let left = host.left(net);
        assert!(about(left, length), "{net}: {left:?}");
        let path = format!("/bans/{}", net.replace('/', "%2F"));
        let ban = host.setup.client().get(&path).body;
        let since = ban["since"].as_str().unwrap();
        assert!(since.starts_with(&year), "{net} since {since}, and it is {year}");
    }
    daemon.stop();
    let again = host.world.watch(&host.setup);
    for (net, length) in [(B, WEEK), (C, HOUR)] {
        let left = host.left(net);
        assert!(about(left, length), "{net}: {left:?}");
    }
    assert!(host.left(A).is_none());
    again.stop();
}

/// Nearly its whole length.
fn about(left: Option<f64>, length: u32) -> bool {
    let length = f64::from(length);
    left.is_some_and(|left| left <= length && left > length - 600.0)
}

/// Whether all threads of a process are stopped (`proc_pid_stat(5)`).
fn has_stopped(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat"))).all(|stat| {
        let stat = stat.unwrap();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}

fn stall() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let id = Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    kill(id, Signal::SIGSTOP).unwrap();
    // On a busy machine that takes its time.
    until("all its threads have stopped", || has_stopped(daemon.id()));
    world.fail(Family::V4.attacker(), 5);
    // The daemon does nothing meanwhile, so there is no event to wait for.
    let stopped = Duration::from_secs(4);
    thread::sleep(stopped);
    kill(id, Signal::SIGCONT).unwrap();

    let told = daemon.expect("stalled");
    let seconds = told.field("seconds").as_f64().unwrap();
    // The signal takes effect a little after it was sent.
    assert!(seconds >= stopped.as_secs_f64() - 0.1, "{}", told.raw);
    let ban = daemon.expect_that("ban", of(Family::V4.attackers_net()));
    let [from_socket, from_event] =
        ["event_to_route_us", "event_time_to_route_us"].map(|name| ban.number(name).unwrap());
    assert!(from_event > 3_500_000 && from_socket <= from_event, "{}", ban.raw);
    daemon.stop();
}
