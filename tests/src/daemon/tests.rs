//! The harness itself, with shell scripts in the daemon's place.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tempfile::TempDir;

use super::{Daemon, Setup};

/// A program that does what `script` says, and the directory that holds it.
fn program(script: &str) -> (TempDir, Setup) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("program");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let setup = Setup::new(file.to_str().unwrap(), "a = 1\n");
    (directory, setup)
}

fn runs(daemon: u32) -> bool {
    Path::new(&format!("/proc/{daemon}/root")).exists()
}

#[test]
fn the_program_gets_its_configuration_its_environment_and_nothing_else() {
    let (_directory, setup) = program(
        r#"printf '{"event":"started","args":"%s","esl":"%s","home":"%s"}\n' "$*" "$ESL_HOST:$ESL_PORT:$ESL_PASSWORD" "$HOME"
           cat "$3" >&2"#,
    );
    let setup = setup.event_socket("127.0.0.1:8021".parse().unwrap(), "pw").arg("--dry-run");

    let daemon = setup.start();
    let line = daemon.expect("started");
    let ended = daemon.wait_for_end();

    let config = setup.directory().join("sipward.toml");
    let arguments = format!("run --config {} --log-format json --dry-run", config.display());
    assert_eq!(line.text("args"), arguments);
    assert_eq!(line.text("esl"), "127.0.0.1:8021:pw");
    assert_eq!(line.text("home"), "");
    let directory = setup.directory().display();
    assert_eq!(
        ended.log.stderr(),
        format!(
            "a = 1\n\n[store]\npath = \"{directory}/sipward.db\"\n\n[api]\nsocket = \
             \"{directory}/sipward.sock\"\n"
        )
    );
}

#[test]
fn lines_are_found_by_event_and_by_what_they_say() {
    let (_directory, setup) = program(
        r#"echo '{"event":"ban","net":"192.0.2.1/32","failures":5}'
           echo '{"event":"unban","net":"192.0.2.1/32"}'
           sleep 0.2
           echo '{"event":"ban","net":"192.0.2.2/32","failures":6}'"#,
    );
    let daemon = setup.start();

    let second = daemon.expect_that("ban", |line| line.text("net") == "192.0.2.2/32");
    let all = daemon.expect_many("ban", 2, |_| true);

    assert_eq!(second.number("failures"), Some(6));
    assert_eq!(all[0].number("failures"), Some(5));
    assert!(all[0].field("until").is_null());
    assert_eq!(daemon.log().lines().len(), 3);
}

#[test]
fn a_daemon_that_obeys_is_stopped() {
    let (_directory, setup) =
        program("trap 'exit 0' TERM; echo '{\"event\":\"started\"}'; while :; do sleep 0.05; done");
    let daemon = setup.start();
    daemon.expect("started");

    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn a_daemon_that_fails_at_its_end_is_noticed() {
    let (_directory, setup) = program(
        "trap 'echo oops >&2; exit 3' TERM; echo '{\"event\":\"started\"}'
         while :; do sleep 0.05; done",
    );
    let daemon = setup.start();
    daemon.expect("started");

    let complaint = catch_unwind(AssertUnwindSafe(|| drop(daemon.stop()))).unwrap_err();

    assert!(complaint.downcast_ref::<String>().unwrap().contains("oops"));
}

#[test]
fn a_dropped_daemon_is_killed() {
    let (_directory, setup) = program("trap '' TERM; while :; do sleep 0.05; done");
    let mut daemon: Daemon = setup.start();
    let id = daemon.id();
    assert!(daemon.is_running() && runs(id));
    assert!(daemon.resident_bytes() > 0);

    drop(daemon);

    assert!(!runs(id));
}

#[test]
fn a_line_that_is_no_json_fails_the_test() {
    let (_directory, setup) = program("echo hello");
    let daemon = setup.start();

    assert!(catch_unwind(AssertUnwindSafe(|| drop(daemon.wait_for_end()))).is_err());
}
