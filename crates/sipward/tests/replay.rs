//! `sipward record` and `sipward replay` as they are started by hand.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails so")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipward"));
    command.args(arguments).env_clear().env("TZ", "UTC");
    command
}

fn sipward(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn fixture(name: &str) -> String {
    format!("{FIXTURES}/{name}")
}

/// A configuration file in `dir`.
fn config(dir: &tempfile::TempDir, name: &str, settings: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, settings).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_log_file_shows_what_the_log_rule_would_ban() {
    let dir = tempfile::tempdir().unwrap();
    let policy = "[policy.rules.log]\nmode = \"ban\"\nthreshold = 1\n";
    let policy = config(&dir, "policy.toml", policy);
    let log = fixture("logs/forged-uuid.log");
    let output = sipward(&["replay", &log, "--config", &policy, "--utc-offset", "-02:00"]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(printed.contains("local time taken as UTC-02"), "{printed}");
    assert!(
        printed.contains("11-22 10:27:10 192.0.2.7/32       log         1 in 10m"),
        "{printed}"
    );
    assert!(printed.contains("2 networks, 2 bans"), "{printed}");
    assert!(!printed.contains("10.9.9.9"), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
}

#[test]
fn a_packed_storm_is_compared_as_json() {
    let dir = tempfile::tempdir().unwrap();
    // The 2,000 addresses lie in a few networks.
    let hosts = "[policy.rules.network]\nmode = \"off\"\n";
    let first = config(&dir, "first.toml", hosts);
    let off =
        format!("{hosts}[policy.rules.user_agents]\nmode = \"off\"\n[policy]\nmax_failures = 20\n");
    let off = off.as_str();
    let second = config(&dir, "second.toml", off);
    let storm = fixture("freeswitch/storm/storm-20k-register_failure.plain.raw.gz");
    let output = sipward(&["replay", &storm, "--config", &first, "--compare", &second, "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["files"][0]["events"], 19_999);
    assert_eq!(told["policies"][0]["bans"]["total"], 2_000);
    assert_eq!(told["policies"][1]["bans"]["total"], 0);
    assert_eq!(told["comparison"]["only_first"].as_array().unwrap().len(), 2_000);
    let ban = &told["policies"][0]["bans"]["entries"][0];
    assert_eq!(ban["rule"], "user_agents");
    // No attempt stands beside a failure of this recording: each is waited for, 200 ms.
    assert_eq!(ban["since"], "2026-11-22T08:51:07.445Z");
}

#[test]
fn what_cannot_be_replayed_fails_and_wrong_usage_is_another_matter() {
    let output = sipward(&["replay", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("neither a recording"), "{}", text(&output.stderr));
    let output = sipward(&["replay", "/nonexistent/file"]);
    assert_eq!(output.status.code(), Some(1));
    let log = fixture("logs/debug.log");
    for wrong in [
        &["replay"][..],
        &["replay", &log, "--utc-offset", "Berlin"],
        &["record"],
        &["record", "x", "--max-size", "1KiB"],
        &["record", "x", "--keep", "1000"],
        &["record", "x", "--for", "soon"],
    ] {
        assert_eq!(sipward(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// Longest wait for anything; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Logs a recorder in and gives it what it came for.
fn serve(listener: &TcpListener, recording: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"Content-Type: auth/request\n\n").unwrap();
    for _ in ["auth", "event", "log"] {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\n\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            asked.extend_from_slice(&byte);
        }
        stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK\n\n").unwrap();
    }
    stream.write_all(recording).unwrap();
    stream
}

#[test]
fn what_is_recorded_until_ctrl_c_is_replayed_to_the_same_ban() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("esl.raw");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let running = command(&["record", file.to_str().unwrap()])
        .env("ESL_PASSWORD", "s3cret-ClueCon")
        .env("ESL_PORT", port)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let recorded = fixture("freeswitch/scenarios/ns-udp4-wrongpw.plain.raw");
    let recorded = std::fs::read(recorded).unwrap();
    // Behind the login.
    let start = recorded.windows(15).position(|bytes| bytes == b"Content-Length:").unwrap();
    let (_, events) = recorded.split_at(start);
    let _stream = serve(&listener, events);
    let whole = (b"Content-Type: auth/request\n\n".len() + events.len()) as u64;
    let begun = std::time::Instant::now();
    while std::fs::metadata(&file).unwrap().len() < whole {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for the recording");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(i32::try_from(running.id()).unwrap()), Signal::SIGINT).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.starts_with("recorded 3 frames"), "{told}");
    assert!(std::fs::read(&file).unwrap().ends_with(events));

    let policy = config(&dir, "policy.toml", "[policy]\nmax_failures = 1\n");
    let output = sipward(&["replay", file.to_str().unwrap(), "--config", &policy]);
    let printed = text(&output.stdout);
    assert!(printed.contains("10.66.3.77/32"), "{printed}{}", text(&output.stderr));
}

#[test]
fn a_recording_needs_a_password_and_a_free_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = config(&dir, "esl.raw", "precious");
    let output = sipward(&["record", &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("set ESL_PASSWORD"), "{}", text(&output.stderr));
    let output = command(&["record", &file]).env("ESL_PASSWORD", "x").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("already exists"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn a_recording_that_cannot_begin_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("esl.raw");
    // Nobody listens there: the port was free a moment ago.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let output = command(&["record", file.to_str().unwrap()])
        .env("ESL_PASSWORD", "x")
        .env("ESL_PORT", port.to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("cannot connect to 127.0.0.1"),
        "{}",
        text(&output.stderr)
    );
    assert!(!file.exists());
}
