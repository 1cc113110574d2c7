//! The program as it is started by hand: what it prints and how it ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]

use std::io::Write as _;
use std::process::{Command, Output};

fn sipward(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sipward"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn config(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const PASSWORD: (&str, &str) = ("ESL_PASSWORD", "s3cret-ClueCon");

#[test]
fn check_says_what_a_good_configuration_means_and_never_the_password() {
    let file = config("mode = \"observe\"\nallow = [\"192.0.2.0/24\"]\n");
    let path = file.path().to_str().unwrap();
    let output = sipward(&["check", "--config", path], &[PASSWORD, ("ESL_HOST", "pbx.test")]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(printed.contains("5 failures within 10m ban for 1h"), "{printed}");
    assert!(printed.contains("1 on the allow list"), "{printed}");
    assert!(printed.contains("Event Socket at pbx.test:8021, password set"), "{printed}");
    assert!(!printed.contains("s3cret"), "{printed}");
    assert!(
        printed.contains("access lists not checked, because FreeSWITCH is unavailable (domains"),
        "{printed}"
    );
}

#[test]
fn check_names_line_column_and_the_nearest_key_and_fails() {
    let file = config("[policy]\nmax_failure = 3\n");
    let path = file.path().to_str().unwrap();
    let output = sipward(&["check", "--config", path], &[PASSWORD]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains(":2:1: unknown key `max_failure`; did you mean `max_failures`?"),
        "{told}"
    );
}

#[test]
fn without_a_password_check_and_run_say_where_it_comes_from() {
    let file = config("");
    let path = file.path().to_str().unwrap();
    for command in ["check", "run"] {
        let output = sipward(&[command, "--config", path], &[]);
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        assert!(told.contains("set ESL_PASSWORD, or ESL_PASSWORD_FILE"), "{command}: {told}");
    }
}

#[test]
fn wrong_usage_ends_with_status_2() {
    assert_eq!(sipward(&["--no-such-option"], &[]).status.code(), Some(2));
    assert_eq!(sipward(&["run", "--on-exit", "perhaps"], &[PASSWORD]).status.code(), Some(2));
}

#[test]
fn the_demo_bans_attackers_harms_no_phone_and_ends_by_itself() {
    let output = sipward(&["demo"], &[]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let count = |label: &str| -> u64 {
        let line = printed.lines().find(|line| line.trim_start().starts_with(label));
        let line = line.unwrap_or_else(|| panic!("no {label:?} in {printed}"));
        line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
    };
    // 14 attackers, none of which stops by itself.
    assert!(count("bans") >= 14, "{printed}");
    assert!(count("healthy registrations") > 50, "{printed}");
    assert!(printed.contains("   0 harmed"), "{printed}");
    assert!(printed.contains("forged: the nonce was never checked"), "{printed}");
    assert!(printed.contains("on the allow list"), "{printed}");
    // Paths and links are not broken.
    let wide = |line: &&str| {
        line.chars().count() > 80 && !line.contains("sipward.sock") && !line.contains("?code=")
    };
    assert_eq!(printed.lines().find(wide), None);
    let socket = printed.lines().find_map(|line| line.split_once("watch --socket ")).unwrap().1;
    assert!(!std::path::Path::new(socket).parent().unwrap().exists(), "{socket} is left behind");
}
