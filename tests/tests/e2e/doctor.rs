//! `sipward doctor` on hosts that are well and that are not, and `sipward watch` on a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sipward_tests::daemon::Setup;
use sipward_tests::fake_freeswitch::{Builder, FakeFreeSwitch, Greeting};
use sipward_tests::wait::{PATIENCE, until};

use super::world::{World, setup_without_credentials};

super::cases![
    a_host_where_all_is_well_is_told_so,
    bans_of_both_scopes_are_held_against_what_the_kernel_has,
    the_daemon_finds_of_itself_what_the_command_finds,
    what_is_not_as_it_should_be_is_a_failure_with_advice_in_the_daemon_too,
    without_a_daemon_the_doctor_looks_all_the_same,
    a_freeswitch_that_is_down_or_refuses_is_a_failure_with_advice,
    a_gate_that_was_taken_away_is_seen,
    credentials_are_found_beside_the_configuration,
    watch_shows_a_ban_and_gives_the_terminal_back,
    watch_gives_the_terminal_back_when_it_is_ended,
];

const SOFIA: &str = "<configuration name=\"sofia.conf\"><profiles><profile name=\"internal\"><settings>\
    <param name=\"log-auth-failures\" value=\"true\"></param></settings></profile></profiles></configuration>";

/// A FreeSWITCH whose answers the doctor understands, and whose heart beats often.
fn freeswitch() -> Builder {
    FakeFreeSwitch::builder()
        .heartbeat_every(Duration::from_millis(200))
        .answer("module_exists mod_sofia", "true")
        .answer("xml_locate configuration configuration name sofia.conf", SOFIA)
}

/// Examines the PBX and gives each check by name.
fn examine(world: &World, setup: &Setup) -> (Option<i32>, Value) {
    let output = world.pbx.run(|| setup.shell(&["doctor", "--json"]));
    let examination: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), examination)
}

fn state(examination: &Value, name: &str) -> (String, String) {
    let checks = examination["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["check"] == name).expect("the check");
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("state"), format!("{} {}", text("found"), text("advice")))
}

/// Everything except what depends on this machine: its disk, and other banning programs.
const OURS: [&str; 13] = [
    "configuration",
    "credentials",
    "daemon",
    "event socket",
    "events",
    "heartbeat",
    "clock",
    "log-auth-failures",
    "capability",
    "gate",
    "clashes",
    "database",
    "page",
];

fn a_host_where_all_is_well_is_told_so() {
    let world = World::with(freeswitch());
    let setup = world.setup("");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    let (_, examination) = examine(&world, &setup);
    for name in OURS {
        let (state, told) = state(&examination, name);
        assert_eq!(state, "ok", "{name}: {told}");
    }
    let (_, gate) = state(&examination, "gate");
    assert!(gate.contains("1 of 1 bans looked up, a blackhole wins for each"), "{gate}");
    assert!(state(&examination, "log-auth-failures").1.contains("on in profile internal"));
    assert!(world.fs.violations().is_empty(), "{:?}", world.fs.violations());
    // For people: a line for each check.
    let output = world.pbx.run(|| setup.shell(&["doctor"]));
    let text = String::from_utf8(output.stdout).unwrap();
    for name in OURS {
        assert!(text.contains(&format!("OK    {name}")), "{name} in {text}");
    }
}

fn bans_of_both_scopes_are_held_against_what_the_kernel_has() {
    let world = World::with(freeswitch());
    let setup = world.setup("[route]\nsip_ports = [5060]\n");
    let _daemon = world.watch(&setup);
    let banned = |words: &[&str]| {
        let output = world.pbx.run(|| setup.shell(words));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    banned(&["ban", "198.51.100.7"]);
    banned(&["ban", "198.51.100.8", "--scope", "sip"]);
    banned(&["ban", "198.51.100.9", "--scope", "sip"]);
    let (_, examination) = examine(&world, &setup);
    for (name, words) in [
        ("bans", "1 ban in the kernel, as in the daemon"),
        ("sip bans", "2 bans in the gate's sets, as in the daemon"),
        ("flows", "0 denied flows in the gate's sets, as in the daemon"),
        ("banned hosts", "the gate's sets hold the 1 banned hosts that have routes"),
    ] {
        let (state, told) = state(&examination, name);
        assert_eq!(state, "ok", "{name}: {told}");
        assert!(told.contains(words), "{name}: {told}");
    }
    let status = world.pbx.run(|| setup.shell(&["status"]));
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("3 now, 2 of them with scope sip"), "{status}");
}

/// What only the daemon knows.
const OWN: [&str; 8] = [
    "mode",
    "registrations",
    "allow list",
    "shield",
    "storage",
    "countries",
    "notifications",
    "restart",
];

fn the_daemon_finds_of_itself_what_the_command_finds() {
    let world = World::with(freeswitch());
    let setup = world.setup("allow = [\"192.0.2.0/24\"]\n[route]\nsip_ports = [5060]\n");
    let daemon = world.watch(&setup);
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    let (_, command) = examine(&world, &setup);
    let page = setup.client().get("/doctor").expect(200);
    let names = |examination: &Value| {
        let checks = examination["checks"].as_array().unwrap().iter();
        checks.map(|check| check["check"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&page), names(&command));
    let expected = OURS.into_iter().chain(["bans", "sip bans", "flows", "banned hosts"]).chain(OWN);
    for name in expected.filter(|name| *name != "registrations") {
        for (examination, who) in [(&command, "command"), (&page, "daemon")] {
            let (state, told) = state(examination, name);
            assert_eq!(state, "ok", "{who}, {name}: {told}");
        }
    }
    let (_, bans) = state(&page, "bans");
    assert!(bans.contains("1 ban in the kernel, as in the daemon"), "{bans}");
    let own = setup.client().get("/doctor?own=true").expect(200);
    assert_eq!(names(&own), OWN);
}

fn what_is_not_as_it_should_be_is_a_failure_with_advice_in_the_daemon_too() {
    let world = World::with(freeswitch());
    let setup = world.setup("mode = \"observe\"\n[geo]\nfiles = [\"/nowhere.mmdb\"]\n");
    let daemon = world.watch(&setup);
    daemon.expect("esl_connected");
    setup.configure("mode = \"bann\"\n");
    world.fs.expect_password("another");
    let page = setup.client().get("/doctor").expect(200);
    assert_eq!(page["worst"], "fail");
    for (name, expected, words) in [
        ("configuration", "fail", "correct the file"),
        ("event socket", "fail", "refused the password"),
        ("mode", "warn", "sipward mode ban"),
        ("allow list", "warn", "sipward allow add"),
        ("countries", "warn", "/nowhere.mmdb"),
    ] {
        let (state, told) = state(&page, name);
        assert_eq!(state, expected, "{name}: {told}");
        assert!(told.contains(words), "{name}: {told}");
    }
}

fn without_a_daemon_the_doctor_looks_all_the_same() {
    // Another daemon on this machine, which a container shows, does not matter.
    let elsewhere = World::new();
    let other = elsewhere.setup("");
    let _daemon = elsewhere.watch(&other);
    let world = World::with(freeswitch());
    let setup = world.setup("");
    let (status, examination) = examine(&world, &setup);
    assert_eq!(state(&examination, "heartbeat").0, "ok");
    // No gate is set in the namespace yet.
    for (name, part) in [("daemon", "systemctl"), ("gate", "the daemon sets it when it starts")] {
        let (state, told) = state(&examination, name);
        assert_eq!(state, "warn", "{name}: {told}");
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(state(&examination, "database").0, "ok");
    assert!(matches!(status, Some(1 | 2)), "{status:?}");
}

fn a_freeswitch_that_is_down_or_refuses_is_a_failure_with_advice() {
    let world = World::with(freeswitch());
    let setup = world.setup("");
    let fails = |part: &str| {
        let (status, examination) = examine(&world, &setup);
        assert_eq!(status, Some(2));
        let (state, told) = state(&examination, "event socket");
        assert_eq!(state, "fail", "{told}");
        assert!(told.contains(part), "{part} in {told}");
    };
    world.fs.greet_with(Greeting::RudeRejection);
    fails("access list");
    world.fs.greet_with(Greeting::Handshake);
    world.fs.expect_password("another");
    fails("refused the password");
    world.fs.kill().unwrap();
    fails("is FreeSWITCH running");
}

fn a_gate_that_was_taken_away_is_seen() {
    let world = World::with(freeswitch());
    let setup = world.setup("");
    world.watch(&setup).kill();
    // Nobody is left to put it back.
    let (_, before) = examine(&world, &setup);
    assert!(state(&before, "gate").1.contains("active"), "{before:#}");
    assert!(world.pbx.run(|| setup.run("flush")).status.success());
    let (_, after) = examine(&world, &setup);
    let (state, told) = state(&after, "gate");
    assert_eq!(state, "warn", "{told}");
    assert!(told.contains("IPv6 has no rp_filter"), "{told}");
}

fn credentials_are_found_beside_the_configuration() {
    let world = World::with(freeswitch());
    let setup = setup_without_credentials("");
    let (status, examination) = examine(&world, &setup);
    assert_eq!(status, Some(2));
    assert_eq!(state(&examination, "credentials").0, "fail");
    let address = world.fs.address();
    let environment = format!("ESL_HOST={}\nESL_PORT={}\n", address.ip(), address.port());
    std::fs::write(setup.directory().join("environment"), environment).unwrap();
    std::fs::write(setup.directory().join("esl-password"), "ClueCon\n").unwrap();
    let (_, examination) = examine(&world, &setup);
    for name in ["credentials", "event socket", "events"] {
        let (state, told) = state(&examination, name);
        assert_eq!(state, "ok", "{name}: {told}");
        assert!(!told.contains("ClueCon"), "{told}");
    }
}

/// A program on a terminal of 80 columns and 24 lines.
pub(crate) struct Screen {
    child: Child,
    pub(crate) keys: File,
    shown: mpsc::Receiver<Vec<u8>>,
    /// All that it wrote.
    text: String,
    /// Where what it wrote since the last keys begins.
    since: usize,
}

/// What a terminal shows after this output: only what changes is written, so a sentence may come in pieces.
fn on_screen(output: &str) -> String {
    let mut rows = vec![[' '; 80]; 24];
    let (mut row, mut column) = (0, 0);
    let mut rest = output.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.clone().next() == Some('[') => {
                let (mut numbers, mut end) = (String::new(), ' ');
                for c in rest.by_ref().skip(1) {
                    if c.is_ascii_alphabetic() {
                        end = c;
                        break;
                    }
                    numbers.push(c);
                }
                if end == 'H' {
                    let (down, right) = numbers.split_once(';').unwrap_or(("1", "1"));
                    row = down.parse::<usize>().unwrap_or(1) - 1;
                    column = right.parse::<usize>().unwrap_or(1) - 1;
                } else if end == 'J' {
                    rows.fill([' '; 80]);
                }
            }
            '\r' => column = 0,
            '\n' => row += 1,
            c => {
                if let Some(place) = rows.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *place = c;
                }
                column += 1;
            }
        }
    }
    rows.iter().map(|row| row.iter().collect::<String>() + "\n").collect()
}

impl Screen {
    pub(crate) fn start(setup: &Setup, words: &[&str]) -> Self {
        Self::of(setup.command(words))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let slave = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
        drop((command, pty.slave));
        let keys = File::from(pty.master.try_clone().unwrap());
        Self { child, keys, shown: read(pty.master), text: String::new(), since: 0 }
    }

    /// Waits until `part` was written, or is on the screen.
    pub(crate) fn wait_for(&mut self, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text[self.since..].contains(part) && !on_screen(&self.text).contains(part) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.shown.recv_timeout(left) else {
                let screen = on_screen(&self.text);
                panic!("{part:?} is not in {:?}:\n{screen}", &self.text[self.since..]);
            };
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Waits until `part` is written after `keys`.
    pub(crate) fn press(&mut self, keys: &str, part: &str) {
        self.since = self.text.len();
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.wait_for(part);
    }

    /// All that it wrote, when it has ended.
    pub(crate) fn whole(mut self) -> String {
        self.end();
        for bytes in &self.shown {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        std::mem::take(&mut self.text)
    }

    /// Waits for its end, and holds it against what a terminal needs.
    pub(crate) fn ends_well(mut self) {
        // Leaves the second screen and shows the cursor again.
        self.wait_for("\u{1b}[?1049l");
        self.wait_for("\u{1b}[?25h");
        let status = self.end();
        assert!(status.success(), "{status}");
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        until("its end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Ended already, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(master: OwnedFd) -> mpsc::Receiver<Vec<u8>> {
    let (out, shown) = mpsc::channel();
    thread::spawn(move || {
        let mut master = File::from(master);
        let mut buffer = [0; 4096];
        // A terminal without an open end reads as an error.
        while let Ok(count) = master.read(&mut buffer) {
            if count == 0 || out.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    shown
}

fn watch_shows_a_ban_and_gives_the_terminal_back() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let mut screen = Screen::start(&setup, &["watch"]);
    screen.wait_for("connected");
    screen.wait_for("q quit");
    world.fail("198.51.100.7", 5);
    screen.wait_for("198.51.100.7/32");
    screen.keys.write_all(b"q").unwrap();
    screen.ends_well();
}

fn watch_gives_the_terminal_back_when_it_is_ended() {
    let world = World::new();
    let setup = world.setup("");
    let _daemon = world.watch(&setup);
    let mut screen = Screen::start(&setup, &["watch"]);
    screen.wait_for("q quit");
    kill(Pid::from_raw(screen.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    screen.ends_well();
}
