//! What an operator sees on a terminal and in a pipe.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use sipward_tests::daemon::{Daemon, Setup};
use sipward_tests::fake_freeswitch::{Attempt, Outcome};
use sipward_tests::wait::until;

use super::doctor::Screen;
use super::shell::{assert_harmless, sipward};
use super::world::{World, ip, of};

super::cases![
    all_bans_are_lifted_after_a_question_on_a_terminal,
    all_bans_are_not_lifted_where_nobody_can_be_asked,
    a_table_fits_the_terminal_in_colour_and_local_time,
    what_is_piped_is_whole_plain_and_in_utc,
    the_history_begins_where_it_is_asked_to,
    decisions_are_counted_by_rule_and_day,
    events_are_followed_as_the_log_has_them_over_a_restart,
    a_pipe_that_nobody_reads_ends_the_events,
    keys_explain_ban_and_unban_the_selected_address,
];

/// An hour before UTC, all year.
const ZONE: &str = "CET-1";

fn all_bans_are_lifted_after_a_question_on_a_terminal() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    sipward(&setup, &["ban", "203.0.113.9"]).expect(0);

    let mut screen = Screen::start(&setup, &["unban", "--all"]);
    screen.wait_for("lift 2 bans (1 automatic, 1 manual)? [y/N] ");
    screen.keys.write_all(b"\n").unwrap();
    screen.wait_for("nothing lifted");
    assert!(screen.end().success());
    assert!(sipward(&setup, &["bans"]).expect(0).contains("203.0.113.9/32"));

    let mut screen = Screen::start(&setup, &["unban", "--all"]);
    screen.wait_for("[y/N] ");
    screen.keys.write_all(b"y\n").unwrap();
    screen.wait_for("2 bans lifted");
    assert!(screen.end().success());
    assert_eq!(sipward(&setup, &["bans"]).expect(0), "no bans\n");
}

fn all_bans_are_not_lifted_where_nobody_can_be_asked() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    sipward(&setup, &["ban", "203.0.113.9"]).expect(0);
    for words in [&["unban", "--all"] as &[&str], &["unban", "--all", "--json"]] {
        let said = sipward(&setup, words);
        assert_eq!((said.status, said.out.as_str()), (Some(4), ""), "{words:?}: {}", said.err);
        assert!(
            said.err.contains("1 ban (1 manual)") && said.err.contains("--yes"),
            "{}",
            said.err
        );
    }
    assert!(sipward(&setup, &["unban", "--all", "--yes"]).expect(0).starts_with("1 ban lifted"));
    assert_eq!(sipward(&setup, &["unban", "--all"]).expect(0), "there were no bans\n");
}

/// A daemon with a ban of an attacker whose names are long, and would like to own the terminal.
fn attacked(world: &World, setup: &Setup) -> Daemon {
    let daemon = world.watch(setup);
    for n in 0..5 {
        let attempt = Attempt::new(ip("198.51.100.7"), 5060 + n, "\u{1b}[2J1000")
            .user_agent("friendly-scanner 1.8 (Ubuntu; SIPVicious) \u{9b}31m end");
        world.fs.emit(&attempt, Outcome::WrongPassword);
    }
    daemon.expect("ban");
    daemon
}

/// What a command wrote on a terminal of 80 columns.
fn screen(setup: &Setup, words: &[&str]) -> String {
    Screen::start(setup, words).whole()
}

fn a_table_fits_the_terminal_in_colour_and_local_time() {
    let world = World::new();
    let setup = world.setup("").env("TZ", ZONE).env("TERM", "xterm");
    let _daemon = attacked(&world, &setup);
    for words in [
        &["bans"] as &[&str],
        &["history"],
        &["status"],
        &["why", "198.51.100.7"],
        &["policy", "show"],
    ] {
        let shown = screen(&setup, words);
        let plain = shown.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        let plain = plain.replace("\u{1b}[1;31m", "");
        assert!(!plain.contains(['\u{1b}', '\u{9b}']), "{words:?}: {plain:?}");
        for line in plain.lines() {
            assert!(line.chars().count() <= 80, "{words:?}: {line:?}");
        }
    }
    let history = screen(&setup, &["history"]);
    assert!(history.contains("\u{1b}[1mNETWORK\u{1b}[0m"), "{history:?}");
    assert!(history.contains(" CET  "), "{history}");
    assert!(screen(&setup, &["why", "198.51.100.7"]).contains("is \u{1b}[1;31mBANNED"));
    let plain = screen(&setup, &["history", "--color", "never", "--utc"]);
    assert!(!plain.contains('\u{1b}') && plain.contains("Z  ban"), "{plain:?}");
    let mut command = setup.command(&["history"]);
    command.env("NO_COLOR", "1");
    let without = Screen::of(command).whole();
    assert!(!without.contains('\u{1b}') && without.contains("NETWORK"), "{without:?}");
}

fn what_is_piped_is_whole_plain_and_in_utc() {
    let world = World::new();
    let setup = world.setup("").env("TZ", ZONE);
    let _daemon = attacked(&world, &setup);
    let history = sipward(&setup, &["history"]).expect(0);
    assert_harmless(&history);
    assert!(history.contains("SIPVicious) \\u{9b}31m end; until "), "{history}");
    assert!(!history.contains("CET") && history.contains("Z  ban"), "{history}");
    let coloured = sipward(&setup, &["history", "--color", "always"]).expect(0);
    assert!(coloured.starts_with("\u{1b}[1mTIME\u{1b}[0m"), "{coloured:?}");
}

fn the_history_begins_where_it_is_asked_to() {
    let world = World::new();
    let setup = world.setup("").env("TZ", ZONE);
    let _daemon = attacked(&world, &setup);
    for since in ["1h", "yesterday", "2026-01-01", "2026-01-01T10:00", "2026-01-01T10:00:00Z"] {
        let shown = sipward(&setup, &["history", "--since", since]).expect(0);
        assert!(shown.contains("198.51.100.7/32"), "{since}: {shown}");
    }
    let shown = sipward(&setup, &["history", "--until", "1h"]).expect(0);
    assert_eq!(shown, "no decisions\n");
}

fn decisions_are_counted_by_rule_and_day() {
    let world = World::new();
    let setup = world.setup("").env("TZ", ZONE);
    let _daemon = attacked(&world, &setup);
    sipward(&setup, &["ban", "203.0.113.0/24"]).expect(0);
    // Splits the ban, which makes no further one.
    sipward(&setup, &["unban", "203.0.113.7"]).expect(0);
    let stats = sipward(&setup, &["stats", "--json"]).json(0);
    assert_eq!((&stats["total"]["bans"], &stats["countries"]), (&json!(2), &json!(null)));
    let mut rules: Vec<_> = stats["rules"].as_array().unwrap().iter().collect();
    rules.sort_by_key(|rule| rule["rule"].to_string());
    let of = |rule| json!({"rule": rule, "bans": 1, "refused": 0, "flows_denied": 0});
    assert_eq!(rules, [&of("manual"), &of("user_agents")], "{stats:#}");
    // Midnight may lie in between.
    let days = stats["days"].as_array().unwrap();
    assert_eq!(days.iter().map(|day| day["bans"].as_u64().unwrap()).sum::<u64>(), 2);
    let text = sipward(&setup, &["stats", "--since", "today"]).expect(0);
    assert!(text.starts_with("2 bans made, "), "{text}");
    for part in ["the stored history begins at", "RULE         BANS", "user agents     1", "DAY  "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let api = setup.client();
    assert_eq!(api.get("/stats?utc_offset_minutes=1441").status, 422);
    assert_eq!(api.get("/stats?from=2020-01-01T00:00:00Z").status, 422);
}

/// `sipward tail` and the lines that it writes.
struct Tail {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Tail {
    /// Reads `most` lines, then closes the pipe.
    fn start(setup: &Setup, words: &[&str], most: usize) -> Self {
        let mut command = setup.command(words);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (out, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().take(most) {
                // The test may have ended.
                let _ = out.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    /// The next line. `happen` is done until one comes, because nobody knows when it has connected.
    fn heard(&self, happen: impl Fn()) -> String {
        until("a line", || {
            happen();
            self.lines.recv_timeout(Duration::from_millis(200)).ok()
        })
    }

    /// Its end, as it must be.
    fn ends_well(mut self) {
        let status = until("its end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // Ended already, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn events_are_followed_as_the_log_has_them_over_a_restart() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let most = usize::MAX;
    let tail = Tail::start(&setup, &["tail", "198.51.100.7", "--event", "ban,flow_denied"], most);
    let json = Tail::start(&setup, &["tail", "--json", "--event", "ban"], most);
    let ban = |reason: &str| {
        // Of another address: it is heard only as JSON.
        sipward(&setup, &["unban", "203.0.113.9", "198.51.100.7"]);
        sipward(&setup, &["ban", "203.0.113.9"]).expect(0);
        sipward(&setup, &["ban", "198.51.100.7", "--reason", reason]).expect(0);
    };
    let line = tail.heard(|| ban("\u{1b}[2J rang at night"));
    let (_, logged) = line.split_once("Z ").unwrap();
    assert!(logged.starts_with("INFO  ban 198.51.100.7/32"), "{line}");
    assert!(logged.contains("\\u{1b}[2J rang at night"), "{line}");
    assert_harmless(&line);
    // It may have heard of the other one first.
    let events = (0..3).map(|_| json.heard(|| ban("again")));
    let events: Vec<Value> = events.map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert!(events.iter().any(|event| event["net"] == "203.0.113.9/32"), "{events:#?}");
    for event in events {
        assert_eq!((&event["event"], event.get("message")), (&json!("ban"), None), "{event:#}");
    }

    daemon.kill();
    let _daemon = world.watch(&setup);
    let line = until("a line of the second daemon", || {
        let line = tail.heard(|| ban("after the restart"));
        line.contains("after the restart").then_some(line)
    });
    assert!(line.contains("ban 198.51.100.7/32"), "{line}");
    kill(Pid::from_raw(tail.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    tail.ends_well();
}

fn a_pipe_that_nobody_reads_ends_the_events() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let tail = Tail::start(&setup, &["tail", "203.0.113.9"], 1);
    tail.heard(|| {
        sipward(&setup, &["ban", "203.0.113.9"]).expect(0);
        sipward(&setup, &["unban", "203.0.113.9"]).expect(0);
    });
    // Nothing more happens that it could write.
    tail.ends_well();
}

fn keys_explain_ban_and_unban_the_selected_address() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    let mut screen = Screen::start(&setup, &["watch"]);
    screen.wait_for("q quit");
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    screen.wait_for("198.51.100.7/32");
    screen.press("j\r", "it counts as 198.51.100.7/32, stranger");
    screen.press("u", "unban 198.51.100.7/32? [y/N]");
    screen.press("y", "1 ban lifted");
    daemon.expect("unban");
    screen.press("b", "ban 198.51.100.7/32? [y/N]");
    screen.press("n", "nothing changed");
    assert_eq!(sipward(&setup, &["bans"]).expect(0), "no bans\n");
    screen.press("b", "ban 198.51.100.7/32? [y/N]");
    screen.press("y", "198.51.100.7/32 is banned until");
    assert!(sipward(&setup, &["bans"]).expect(0).contains("198.51.100.7/32"));
    screen.press("q?", "ban the selected address or network");
    screen.keys.write_all(b"qq").unwrap();
    screen.ends_well();
}
