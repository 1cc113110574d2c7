//! The command line: each command against the real daemon, and without one.

use std::fs;
use std::process::Output;

use rusqlite::Connection;
use serde_json::{Value, json};
use sipward_tests::daemon::Setup;
use sipward_tests::fake_freeswitch::{Attempt, Outcome};
use sipward_tests::wait::until;

use super::kernel::blackholes;
use super::world::{ALL, Family, GATEWAYS, NONE, World, ip, of};

super::cases![
    every_command_without_a_daemon_says_so_and_ends_with_3,
    what_the_daemon_knows_is_shown_and_moves_no_cursor,
    every_answer_is_there_as_json,
    a_ban_by_hand_holds_until_it_is_lifted,
    the_names_of_fail2ban_work,
    a_refused_ban_ends_with_4_and_the_reason,
    the_ssh_client_is_not_banned_by_a_slip,
    values_that_cannot_be_end_with_2,
    allowing_a_host_lets_it_in_and_the_file_is_left_alone,
    a_ban_by_hand_on_whom_is_allowed_is_told_with_what_lifts_it,
    the_policy_is_changed_and_given_back,
    reload_tells_what_waits_for_a_restart,
    all_bans_are_listed_beyond_a_page,
    a_ban_in_observe_mode_names_the_mode,
    what_fail2ban_had_is_printed_and_nothing_changed,
    what_fail2ban_had_is_taken_over,
    an_import_names_who_is_healthy_and_bans_no_registered_host,
];

/// What a command wrote and how it ended.
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    /// Its standard output, when it ended as expected.
    pub(crate) fn expect(self, status: i32) -> String {
        assert_eq!(self.status, Some(status), "{}{}", self.out, self.err);
        self.out
    }

    pub(crate) fn json(self, status: i32) -> Value {
        let out = self.expect(status);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error} in {out}"))
    }
}

pub(crate) fn sipward(setup: &Setup, words: &[&str]) -> Said {
    setup.shell(words).into()
}

/// Each command that asks the daemon.
const ASKING: [&[&str]; 20] = [
    &["status"],
    &["bans"],
    &["bans", "--all"],
    &["ban", "203.0.113.99"],
    &["unban", "203.0.113.98"],
    &["unban", "--all", "--yes"],
    &["why", "198.51.100.7"],
    &["allow", "list"],
    &["allow", "add", "203.0.113.97"],
    &["allow", "remove", "203.0.113.97"],
    &["history"],
    &["stats", "--since", "yesterday"],
    &["policy", "show"],
    &["policy", "show", "--changed"],
    &["policy", "set", "--max-failures", "7"],
    &["policy", "set", "rules.users.mode=shadow", "rules.slow.window=12h"],
    &["policy", "add-agent", "evil-agent"],
    &["policy", "reset", "rules.slow.window"],
    &["whois", "198.51.100.7"],
    &["reload"],
];

fn every_command_without_a_daemon_says_so_and_ends_with_3() {
    let world = World::new();
    let setup = world.setup("");
    for words in
        ASKING.into_iter().chain([&["watch", "--json"] as &[&str], &["tail"], &["unban", "--all"]])
    {
        let said = sipward(&setup, words);
        assert_eq!(said.status, Some(3), "{words:?}: {}{}", said.out, said.err);
        assert_eq!(said.out, "", "{words:?}");
        assert!(said.err.contains("sipward is not running"), "{words:?}: {}", said.err);
        assert!(said.err.contains("systemctl start sipward"), "{words:?}: {}", said.err);
    }
}

/// An attacker that would like to own the terminal.
fn hostile(world: &World) {
    for n in 0..5 {
        let attempt =
            Attempt::new(ip("198.51.100.7"), 5060 + n, "\u{1b}[2J\u{9b}31m1000\n\u{202e}")
                .user_agent("friendly\u{1b}]0;owned\u{7}\r\n\u{9b}2Jscanner");
        world.fs.emit(&attempt, Outcome::WrongPassword);
    }
}

/// Neither control characters but the line end, nor anything that turns text around.
pub(crate) fn assert_harmless(text: &str) {
    let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(harmful), "{text:?}");
}

fn what_the_daemon_knows_is_shown_and_moves_no_cursor() {
    let world = World::new();
    let setup = world.setup("allow = [\"192.0.2.77\"]\n");
    let daemon = world.watch(&setup);
    hostile(&world);
    daemon.expect("ban");
    let peer = world.fs.address().to_string();
    for (words, parts) in [
        (&["status"] as &[&str], vec![peer.as_str(), "1 now", "5 failures within 10m ban for 1h"]),
        (&["status"], vec!["no alarms", "1 source within 10m, 5 failures"]),
        (&["bans", "--search", "SCANNER"], vec!["198.51.100.7/32"]),
        (&["bans", "--search", "phone"], vec!["no bans"]),
        (&["whois", "198.51.100.7"], vec!["Address   198.51.100.7", "not in any registry"]),
        (&["bans"], vec!["NETWORK", "198.51.100.7/32", "enforced", "friendly"]),
        (&["why", "198.51.100.7"], vec!["is BANNED", "blackholed", "\\u{1b}[2J"]),
        (&["history"], vec!["198.51.100.7/32", "ban", "until"]),
        (&["allow", "list"], vec!["192.0.2.77/32", "file"]),
        (&["policy", "show"], vec!["max_failures", "rules.users.threshold", "default"]),
    ] {
        let out = sipward(&setup, words).expect(0);
        for part in parts {
            assert!(out.contains(part), "{words:?}: {part:?} in {out}");
        }
        assert_harmless(&out);
    }
    let out = sipward(&setup, &["why", "203.0.113.5"]).expect(0);
    assert!(out.contains("is not banned"), "{out}");
}

fn every_answer_is_there_as_json() {
    let world = World::new();
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    hostile(&world);
    daemon.expect("ban");
    let why = sipward(&setup, &["why", "198.51.100.7", "--json"]).json(0);
    assert_eq!(why["net"], "198.51.100.7/32");
    // Escaped for the terminal, and still what the attacker sent.
    let agent = why["bans"][0]["cause"]["evidence"]["user_agent"].as_str().unwrap_or_default();
    assert!(agent.contains("\u{1b}]0;owned\u{7}"), "{why:#}");
    for words in ASKING {
        let words = [words, &["--json"]].concat();
        let said = sipward(&setup, &words);
        assert_harmless(&said.out);
        assert!(said.json(0).is_object(), "{words:?}");
    }
}

fn a_ban_by_hand_holds_until_it_is_lifted() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let words = ["ban", "198.51.100.0/24", "--for", "2h", "--reason", "rang at night"];
    let out = sipward(&setup, &words).expect(0);
    assert!(out.starts_with("198.51.100.0/24 is banned until "), "{out}");
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    assert!(sipward(&setup, &["bans", "198.51.100.7"]).expect(0).contains("rang at night"));

    let out = sipward(&setup, &["unban", "198.51.100.7"]).expect(0);
    assert!(out.contains("the rest of wider bans remains as 8 bans"), "{out}");
    world.attacker_is_let_in(Family::V4);
    let out = sipward(&setup, &["unban", "198.51.100.7"]).expect(0);
    assert_eq!(out, "198.51.100.7/32 was not banned\n");
    assert!(sipward(&setup, &["unban", "--all", "--yes"]).expect(0).starts_with("8 bans lifted"));
    assert_eq!(sipward(&setup, &["bans"]).expect(0), "no bans\n");

    let out = sipward(&setup, &["ban", "198.51.100.7", "--permanent"]).expect(0);
    assert_eq!(out, "198.51.100.7/32 is banned permanently\n");
    assert!(sipward(&setup, &["bans"]).expect(0).contains("permanent"));
}

fn the_names_of_fail2ban_work() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    sipward(&setup, &["banip", "198.51.100.7"]).expect(0);
    assert!(sipward(&setup, &["banned"]).expect(0).contains("198.51.100.7/32"));
    sipward(&setup, &["unbanip", "198.51.100.7"]).expect(0);
    let words = ["policy", "set", "--maxretry", "3", "--findtime", "600", "--bantime", "1d"];
    let out = sipward(&setup, &words).expect(0);
    assert!(out.contains("ban_time      1d"), "{out}");
}

fn a_refused_ban_ends_with_4_and_the_reason() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    for (net, why) in [(GATEWAYS[0], "gateway"), ("127.0.0.1", "this host"), ("10.0.0.0/8", "/16")]
    {
        let said = sipward(&setup, &["ban", net]);
        assert_eq!((said.status, said.out.as_str()), (Some(4), ""), "{net}: {}", said.err);
        assert!(said.err.contains(why), "{net}: {}", said.err);
    }
    let problem = sipward(&setup, &["ban", GATEWAYS[0], "--json"]).json(4);
    assert_eq!(problem["refusal"]["force_overrides"], true);
    sipward(&setup, &["ban", "10.0.0.0/8", "--force"]).expect(0);
    assert_eq!(sipward(&setup, &["ban", "127.0.0.1", "--force"]).status, Some(4));
}

fn the_ssh_client_is_not_banned_by_a_slip() {
    let world = World::new();
    let setup = world.setup("").env("SSH_CONNECTION", "203.0.113.5 50022 192.0.2.1 22");
    let _daemon = world.watch(&setup);
    let said = sipward(&setup, &["ban", "203.0.113.0/24"]);
    assert_eq!(said.status, Some(4), "{}{}", said.out, said.err);
    assert!(said.err.contains("203.0.113.5"), "{}", said.err);
    assert!(blackholes(&world.pbx).is_empty());
    sipward(&setup, &["ban", "203.0.113.0/24", "--force"]).expect(0);
    assert_eq!(world.phone_arrives(Family::V4), NONE);
}

fn values_that_cannot_be_end_with_2() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    for words in [
        &["ban"] as &[&str],
        &["ban", "office.example.org"],
        &["ban", "192.0.2.7/33"],
        &["ban", "198.51.100.7", "--for", "soon"],
        &["ban", "198.51.100.7", "--for", "0"],
        &["ban", "198.51.100.7", "--for", "1h", "--permanent"],
        &["ban", "198.51.100.7", "--for", "20y"],
        &["unban"],
        &["policy", "set"],
        &["policy", "set", "--max-failures", "1001"],
        &["policy", "reset", "window_minutes"],
        &["bans", "--limit", "1001"],
        &["why", "198.51.100.0/24"],
        &["history", "--since", "soon"],
        &["history", "--since", "2999-01-01"],
        &["stats", "--since", "400d"],
        &["tail", "--event", "bans"],
        &["unban", "--yes", "203.0.113.7"],
        &["status", "--color", "red"],
    ] {
        let said = sipward(&setup, words);
        assert_eq!(said.status, Some(2), "{words:?}: {}{}", said.out, said.err);
        assert!(!said.err.is_empty(), "{words:?}");
    }
    assert!(blackholes(&world.pbx).is_empty());
}

fn allowing_a_host_lets_it_in_and_the_file_is_left_alone() {
    let world = World::new();
    let setup = world.setup("allow = [\"192.0.2.77\"]\n");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    let words = ["allow", "add", "198.51.100.7", "--comment", "our test phone"];
    let out = sipward(&setup, &words).expect(0);
    assert_eq!(out, "198.51.100.7/32 is never banned by a rule; 1 ban lifted\n");
    daemon.expect("unban");
    world.attacker_is_let_in(Family::V4);
    let out = sipward(&setup, &["allow", "list"]).expect(0);
    assert!(out.contains("our test phone") && out.contains("run time"), "{out}");
    sipward(&setup, &["allow", "remove", "198.51.100.7"]).expect(0);
    let said = sipward(&setup, &["allow", "remove", "192.0.2.77"]);
    assert_eq!(said.status, Some(4), "{}", said.err);
}

fn a_ban_by_hand_on_whom_is_allowed_is_told_with_what_lifts_it() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    sipward(&setup, &["ban", "198.51.100.0/25"]).expect(0);
    let out = sipward(&setup, &["allow", "add", "198.51.100.0/26"]).expect(0);
    let told = "but 1 ban made manually remains: 198.51.100.0/25; \
                `sipward unban 198.51.100.0/26` lifts it\n";
    assert_eq!(out, format!("198.51.100.0/26 is never banned by a rule\n{told}"));
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    // It is said as long as it is so.
    let again = sipward(&setup, &["allow", "add", "198.51.100.0/26"]).expect(0);
    assert!(again.ends_with(told), "{again}");
    sipward(&setup, &["unban", "198.51.100.0/26"]).expect(0);
    world.attacker_is_let_in(Family::V4);
    let after = sipward(&setup, &["allow", "add", "198.51.100.0/26", "--json"]).json(0);
    assert_eq!(after["staying_total"], 0);
    // However many there are, the answer is short.
    for n in 1..=10 {
        sipward(&setup, &["ban", &format!("203.0.113.{n}")]).expect(0);
    }
    let many = sipward(&setup, &["allow", "add", "203.0.113.0/24"]).expect(0);
    assert!(many.contains("but 10 bans made manually remain"), "{many}");
    assert!(many.contains("203.0.113.8/32 and 2 more; `sipward unban 203.0.113.0/24`"), "{many}");
}

fn the_policy_is_changed_and_given_back() {
    let world = World::new();
    let setup = world.setup("[policy]\nmax_failures = 4\n");
    let daemon = world.watch(&setup);
    let out = sipward(&setup, &["policy", "set", "--max-failures", "2"]).expect(0);
    assert!(out.contains("run time, stored (else 4)"), "{out}");
    world.fail("198.51.100.7", 2);
    daemon.expect_that("ban", of("198.51.100.7/32"));
    let words = ["policy", "set", "--window", "5m", "--until-restart"];
    let out = sipward(&setup, &words).expect(0);
    assert!(out.contains("window        5m") && out.contains("until a restart"), "{out}");
    let out = sipward(&setup, &["policy", "show", "--changed"]).expect(0);
    let keys: Vec<_> = out.lines().filter_map(|line| line.split(' ').next()).collect();
    // The last comes from the file.
    assert_eq!(keys, ["KEY", "max_failures", "window", "rules.network.mode"], "{out}");
    let max_failures = out.lines().find(|line| line.starts_with("max_failures        2 ")).unwrap();
    assert!(max_failures.ends_with(" 5"), "its default: {out}");
    for key in ["max_failures", "window"] {
        let out = sipward(&setup, &["policy", "reset", key]).expect(0);
        assert!(!out.contains(if key == "window" { "until" } else { "stored" }), "{out}");
    }
    let shown = sipward(&setup, &["policy", "show", "--changed", "--json"]).json(0);
    assert_eq!(shown["values"].as_array().map(Vec::len), Some(2), "those of the file: {shown:#}");
    assert_eq!(
        (&shown["values"][0]["value"], &shown["values"][0]["default"]),
        (&json!(4), &json!(5))
    );
}

fn reload_tells_what_waits_for_a_restart() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    assert_eq!(sipward(&setup, &["reload"]).expect(0), "the configuration was applied\n");
    setup.configure("on_exit = \"flush\"\n");
    let out = sipward(&setup, &["reload"]).expect(0);
    assert!(out.contains("except for on_exit"), "{out}");
    // The socket is named by a file that is broken now, so it is named by hand.
    setup.configure("[policy]\nmax_failure = 3\n");
    let socket = setup.socket();
    let said = sipward(&setup, &["reload", "--socket", socket.to_str().unwrap()]);
    assert_eq!(said.status, Some(4), "{}", said.err);
    assert!(said.err.contains("did you mean `max_failures`?"), "{}", said.err);
}

fn all_bans_are_listed_beyond_a_page() {
    let world = World::new();
    let setup = world.setup("mode = \"observe\"\n");
    let daemon = world.watch(&setup);
    for n in 0..1_100_u32 {
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + n).into();
        let attempt = Attempt::new(address, 5060, "1000").user_agent("friendly-scanner");
        world.fs.emit(&attempt, Outcome::WrongPassword);
    }
    daemon.expect_many("ban", 1_100, |_| true);
    let page = sipward(&setup, &["bans", "--limit", "10"]).expect(0);
    assert!(page.contains("10 of 1100; --cursor "), "{page}");
    let all = sipward(&setup, &["bans", "--all", "--json"]).json(0);
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1_100));
    assert_eq!(sipward(&setup, &["bans", "--all"]).expect(0).lines().count(), 1_101);
}

fn a_ban_in_observe_mode_names_the_mode() {
    let world = World::new();
    let setup = world.setup("mode = \"observe\"\n");
    let _daemon = world.watch(&setup);
    let said = sipward(&setup, &["ban", "198.18.0.0/24"]).expect(0);
    assert!(said.contains("198.18.0.0/24 is banned until"), "{said}");
    assert!(said.contains("in observe mode") && said.contains("only recorded"), "{said}");
    assert!(!said.contains("doctor"), "nothing is wrong: {said}");
    let said = sipward(&setup, &["why", "198.18.0.7"]).expect(0);
    assert!(said.contains("not blackholed: observe mode"), "{said}");
    let json = sipward(&setup, &["ban", "198.18.1.0/24", "--json"]).json(0);
    assert_eq!(json["ban"]["net"], "198.18.1.0/24");
}

/// A fail2ban with one jail and three bans; returns its directory and its database.
fn fail2ban(setup: &Setup) -> [String; 2] {
    let bans = [("198.51.100.7", 3600), ("203.0.113.5", 3600), ("192.0.2.254", -1)];
    fail2ban_with(setup, "127.0.0.1/8 203.0.113.5", &bans)
}

/// A fail2ban with one jail that ignores these hosts, and bans with their seconds (-1 for ever).
fn fail2ban_with(setup: &Setup, ignored: &str, bans: &[(&str, i64)]) -> [String; 2] {
    let directory = setup.directory().join("fail2ban");
    fs::create_dir(&directory).unwrap();
    fs::write(
        directory.join("jail.local"),
        format!(
            "[freeswitch]\nenabled = true\nmaxretry = 3\nfindtime = 1h\nbantime = 1d\nignoreip = {ignored}\n"
        ),
    )
    .unwrap();
    let file = directory.join("fail2ban.sqlite3");
    let database = Connection::open(&file).unwrap();
    database
        .execute_batch("CREATE TABLE bips(ip TEXT, jail TEXT, timeofban INTEGER, bantime INTEGER);")
        .unwrap();
    for (host, seconds) in bans {
        database
            .execute("INSERT INTO bips VALUES(?1, 'freeswitch', unixepoch(), ?2)", (host, seconds))
            .unwrap();
    }
    [directory, file].map(|path| path.to_str().unwrap().to_owned())
}

fn what_fail2ban_had_is_printed_and_nothing_changed() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let [directory, database] = fail2ban(&setup);
    let words = ["import", "fail2ban", "--dir", &directory, "--database", &database];
    let out = sipward(&setup, &words).expect(0);
    for part in ["max_failures = 3", "\"203.0.113.5/32\"", "# Active bans: 3."] {
        assert!(out.contains(part), "{part} in {out}");
    }
    assert_eq!(sipward(&setup, &["bans"]).expect(0), "no bans\n");
    assert_eq!(sipward(&setup, &["allow", "list"]).expect(0), "the allow list is empty\n");
    // What is printed is a configuration.
    setup.configure(&out);
    sipward(&setup, &["check"]).expect(0);
}

fn what_fail2ban_had_is_taken_over() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let [directory, database] = fail2ban(&setup);
    sipward(&setup, &["ban", "203.0.113.5"]).expect(0);
    let words =
        ["import", "fail2ban", "--dir", &directory, "--database", &database, "--apply", "--json"];
    // The gateway is refused: fail2ban would have cut this host off.
    let done = sipward(&setup, &words).json(4);
    let applied = &done["applied"];
    assert_eq!(applied["allow"], 1, "{done:#}");
    assert_eq!(applied["policy"], true);
    assert_eq!(applied["bans"], 1);
    assert_eq!(applied["bans_of_allowed"], 1);
    assert_eq!(applied["bans_staying"], json!(["203.0.113.5/32"]), "a ban by hand");
    sipward(&setup, &["unban", "203.0.113.5"]).expect(0);
    assert!(applied["refused"][0].as_str().unwrap().starts_with("192.0.2.254/32: "), "{done:#}");
    assert_eq!(world.attacker_arrives(Family::V4), NONE);
    assert_eq!(world.phone_arrives(Family::V4), ALL);
    let status = sipward(&setup, &["status"]).expect(0);
    assert!(status.contains("3 failures within 1h ban for 1d"), "{status}");
    assert!(sipward(&setup, &["bans"]).expect(0).contains("fail2ban: freeswitch"));
}

fn an_import_names_who_is_healthy_and_bans_no_registered_host() {
    let [registered, known, exempt, stranger] =
        ["203.0.113.5", "203.0.113.6", "203.0.113.9", "198.51.100.7"];
    let world = World::new();
    let setup = world.setup(&format!("allow = [\"{exempt}\"]\n"));
    let daemon = world.watch(&setup);
    daemon.expect("registrations");
    let reasons = |host: &str| {
        let healthy = setup.client().get(&format!("/healthy/{host}")).expect(200);
        healthy["hosts"].to_string()
    };
    world.fs.success(ip(registered), 5060, "1000");
    let phone = Attempt::new(ip(known), 5060, "1001");
    world.fs.emit(&phone, Outcome::Registered);
    until("both are registered", || {
        [registered, known].iter().all(|host| reasons(host).contains("registered"))
    });
    world.fs.emit(&phone, Outcome::Unregistered);
    until("one has gone", || !reasons(known).contains("registered"));

    let [directory, database] = fail2ban_with(
        &setup,
        "127.0.0.1/8",
        &[(registered, 3600), (known, 3600), (exempt, 3600), (stranger, 3600)],
    );
    let words =
        ["import", "fail2ban", "--dir", &directory, "--database", &database, "--apply", "--json"];
    let said = sipward(&setup, &words);
    let told = said.err.clone();
    for line in [
        format!("sipward: {registered}/32: 1 user is registered there now\n"),
        format!("sipward: {known}/32: a user logged in from there lately\n"),
        format!(
            "sipward: {exempt}/32: no rule bans it, or a part of it: it is on the allow list\n"
        ),
    ] {
        assert!(told.contains(&line), "{line} in {told}");
    }
    assert!(!told.contains(stranger), "a stranger needs no word: {told}");
    let done = said.json(0);
    let applied = &done["applied"];
    assert_eq!(applied["bans"], 2, "the known host and the stranger: {applied:#}");
    assert_eq!(applied["bans_of_healthy_total"], 2);
    let spared = applied["bans_of_healthy"].to_string();
    assert!(spared.contains(registered) && spared.contains(exempt), "{spared}");
}
