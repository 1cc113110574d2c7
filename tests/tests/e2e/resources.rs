//! Descriptors and connections, rights of threads, a log without a reader, forged events by the thousand.

use std::fs;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use sipward_tests::daemon::Daemon;
use sipward_tests::fake_freeswitch::{Attempt, Outcome};
use sipward_tests::wait::until;
use sipward_tests::web::Web;

use super::http::token;
use super::http_open::{NAME, web, with_tls};
use super::world::{Family, World, ip};

super::cases![
    silent_connections_leave_descriptors_for_everything_else,
    the_limit_of_open_files_is_raised,
    one_thread_may_change_routes_and_no_other_may_do_anything,
    a_log_that_nobody_reads_does_not_prevent_the_stop,
    forged_events_by_the_thousand_are_one_line,
    who_shows_a_token_that_was_valid_once_is_no_guesser,
];

fn silent_connections_leave_descriptors_for_everything_else() {
    let world = World::new();
    let ports = [8022, 8023, 8024, 8025];
    let listen: Vec<_> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let setup = world.setup(&format!("[http]\nlisten = [{}]\n", listen.join(", ")));
    // Room for 144 connections.
    let daemon = world.pbx.run(|| setup.start_after("ulimit -n 400"));
    daemon.expect("esl_connected");
    daemon.expect_many("http_opened", ports.len(), |_| true);
    // Loopback is not bounded as one client is. They send nothing.
    let connect = |n: usize| TcpStream::connect(("127.0.0.1", ports[n % ports.len()])).unwrap();
    let silent: Vec<_> = (0..600).map(|n| world.pbx.run(|| connect(n))).collect();
    daemon.expect("connections_shed");
    until("most of them are shed", || open_files(&daemon) < 300);

    world.fs.restart().unwrap();
    daemon.expect_many("esl_connected", 2, |_| true);
    let ask = || Web::new(([127, 0, 0, 1], ports[0]).into()).get("/healthz");
    world.pbx.run(ask).expect(200);
    let _ = setup.client().get("/status").expect(200);
    world.ban(&daemon, Family::V4);
    drop(silent);
    daemon.stop();
}

fn open_files(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().count()
}

fn the_limit_of_open_files_is_raised() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.pbx.run(|| setup.start_after("ulimit -Sn 300; ulimit -Hn 900"));
    daemon.expect("esl_connected");
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let fields: Vec<_> = files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(fields, ["900", "900"]);
    daemon.stop();
}

/// Sets of capabilities of a thread, by their names in `/proc`.
fn capabilities(status: &str) -> Vec<(&str, u64)> {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let sets = lines.filter(|(name, _)| name.starts_with("Cap"));
    sets.map(|(name, set)| (name, u64::from_str_radix(set.trim(), 16).unwrap())).collect()
}

fn one_thread_may_change_routes_and_no_other_may_do_anything() {
    const NET_ADMIN: u64 = 1 << 12;
    let world = World::new();
    let setup = world.setup("[http]\nlisten = [\"127.0.0.1:8022\"]\n");
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    world.ban(&daemon, Family::V4);
    let _ = setup.client().get("/history").expect(200);
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.id())).unwrap();
    let statuses: Vec<_> = threads
        .map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap())
        .collect();
    assert!(statuses.len() >= 5, "{} threads", statuses.len());
    let mut able = 0;
    for status in &statuses {
        let name = status.lines().next().unwrap();
        for (set, found) in capabilities(status) {
            let most = if matches!(set, "CapPrm" | "CapEff") { NET_ADMIN } else { 0 };
            assert_eq!(found & !most, 0, "{name} has {set} {found:x}");
            able += u32::from(set == "CapEff" && found != 0);
        }
    }
    assert_eq!(able, 1, "threads that may change routes");
    daemon.stop();
}

fn a_log_that_nobody_reads_does_not_prevent_the_stop() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 1000\n");
    let mut command = setup.command(&["run", "--log-format", "json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = world.pbx.run(|| command.spawn().unwrap());
    world.fs.wait_for_subscription(Duration::from_secs(60)).unwrap();
    // A pipe holds 64 KiB, the queue behind it 8,192 lines.
    for round in 0..20_u32 {
        for n in 0..1_000_u32 {
            world.fs.failure(ip(&format!("198.18.{round}.{}", n % 250)), 5060, "1000");
        }
    }
    let client = setup.client();
    let judged = || client.get("/status").body["totals"]["failures"].as_u64().unwrap_or_default();
    until("the log is full", || judged() > 15_000);

    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let status = until("its end", || child.try_wait().unwrap());
    assert!(status.success(), "{status}");
}

fn forged_events_by_the_thousand_are_one_line() {
    const MANY: u64 = 20_000;
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let attempt = Attempt::new(ip(Family::V4.attacker()), 5060, "1000");
    for _ in 0..MANY {
        world.fs.emit(&attempt, Outcome::ForgedBySendevent);
    }
    let counted = || {
        let lines = daemon.log().all("event_forged");
        let count: u64 = lines.iter().map(|line| line.number("count").unwrap()).sum();
        let dropped = daemon.log().all("esl_overflow");
        let dropped: u64 = dropped.iter().map(|line| line.number("dropped").unwrap()).sum();
        (lines.len(), count + dropped)
    };
    until("all are reported", || counted().1 >= MANY);
    let (lines, count) = counted();
    assert_eq!(count, MANY);
    assert!(lines <= 3, "{lines} lines");
    daemon.stop();
}

fn who_shows_a_token_that_was_valid_once_is_no_guesser() {
    let world = World::new();
    let (setup, certificate) = with_tls(&world);
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    let client = setup.client();
    let [expired, revoked] = ["prometheus", "old"].map(|name| token(&client, name, "read"));
    let gone = client.delete("/tokens/old");
    assert_eq!(gone.status, 200, "{}", gone.body);
    daemon.stop();
    // None is made for less than a minute.
    let store = Connection::open(setup.store_file()).unwrap();
    store.execute("UPDATE tokens SET until = since + 1", []).unwrap();
    store.close().unwrap();
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    let scrape = |secret: &str| {
        let ask = || web().trusting(&certificate, NAME).bearer(secret).get("/metrics");
        world.attacker.run(ask).expect(401)
    };
    for (secret, name, because) in
        [(&expired, "prometheus", "expired"), (&revoked, "old", "revoked")]
    {
        let answers: Vec<_> = (0..12).map(|_| scrape(secret)).collect();
        assert!(answers.iter().all(|answer| answer.body.contains(because)), "{}", answers[0].body);
        let told = daemon.expect_that("token_refused", |line| line.text("name") == name);
        assert_eq!((told.text("because"), told.text("address")), (because, "198.51.100.7"));
    }
    // At the log-in form too.
    let form =
        || web().trusting(&certificate, NAME).browser().form("/login", &format!("token={revoked}"));
    for _ in 0..12 {
        world.attacker.run(form).expect(401);
    }
    // It is remembered beyond a restart.
    daemon.stop();
    let daemon = world.watch(&setup);
    daemon.expect("http_opened");
    (0..12).for_each(|_| drop(scrape(&revoked)));
    daemon.expect_that("token_refused", |line| line.text("name") == "old");
    assert_eq!(setup.client().get("/bans").expect(200)["total"], 0);
    let ended = daemon.stop();
    assert!(ended.log.all("login_failed").is_empty() && ended.log.all("ban").is_empty());
}
