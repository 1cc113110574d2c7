//! The examples as child processes, connected to a fake FreeSWITCH.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use common::{decode, recording};

/// Longest wait for a line of an example, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// The answer to `show registrations as json`.
const REGISTERED: &str = r#"{"row_count":1,"rows":[{"reg_user":"1000","realm":"pbx.test","network_ip":"192.0.2.5","network_port":"5070"}]}"#;

#[test]
fn failures_are_told_as_lines_of_json() {
    let mut example = run("failures", &[], "");
    let line: serde_json::Value = serde_json::from_str(&example.line("{")).unwrap();
    for (field, value) in [
        ("address", "127.0.0.1"),
        ("user", "1000"),
        ("method", "REGISTER"),
        ("origin", "from mod_sofia"),
    ] {
        assert_eq!(line.get(field).unwrap(), value, "{line}");
    }
}

#[test]
fn events_are_printed_as_they_come() {
    let mut example = run("tail_events", &["plain", "sofia::register_failure"], "");
    example.line("Event-Subclass: sofia::register_failure");
    example.line("network-ip: 127.0.0.1");
}

#[test]
fn registered_phones_make_a_table() {
    let mut example = run("registrations", &[], REGISTERED);
    example.line("1 registered");
    assert!(example.line("1000@pbx.test").ends_with("192.0.2.5 port 5070"));
}

#[test]
fn a_call_is_placed_and_its_answer_is_the_exit_status() {
    for (answer, code) in [("+OK 278611fb-ee7f-48b8-8219-6ceb3350750a", 0), ("-ERR USER_BUSY", 1)] {
        let mut example = run("originate", &["user/1000", "&echo"], answer);
        assert_eq!(example.line(""), answer);
        assert_eq!(example.child.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn a_wrong_password_is_said() {
    let mut example = run("originate", &["user/1000", "&echo"], "wrong password");
    assert_eq!(example.child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    example.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("password"), "{said}");
}

struct Example {
    child: Child,
    lines: Receiver<String>,
}

impl Example {
    /// The next line of the example that holds `part`.
    fn line(&mut self, part: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {part:?}: {error}"),
            }
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs an example; `answer` is the answer to each of its `bgapi` commands.
fn run(name: &str, args: &[&str], answer: &'static str) -> Example {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || play(listener.accept().unwrap().0, answer));
    let program = program(name);
    let mut child = Command::new(&program)
        .args(args)
        .env("ESL_HOST", "127.0.0.1")
        .env("ESL_PORT", port.to_string())
        .env("ESL_PASSWORD", "ClueCon")
        .env_remove("ESL_USER")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo test` builds it", program.display()));
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|l| sender.send(l)));
    Example { child, lines }
}

/// Cargo builds examples beside the tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples").join(name)
}

/// A FreeSWITCH with one failed registration.
fn play(mut stream: TcpStream, answer: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut send = |text: &[u8]| drop(stream.write_all(text));
    let mut has_told = false;
    send(b"Content-Type: auth/request\n\n");
    while let Some(command) = next(&mut reader) {
        let word = command.split(' ').next().unwrap();
        let job = command.split_once("Job-UUID: ").map(|(_, job)| job);
        let reply = match (word, job) {
            ("auth", _) if answer == "wrong password" => "-ERR invalid".to_owned(),
            (_, Some(job)) => format!("+OK Job-UUID: {job}"),
            _ => "+OK".to_owned(),
        };
        send(format!("Content-Type: command/reply\nReply-Text: {reply}\n\n").as_bytes());
        if let Some(job) = job {
            let length = answer.len();
            let event = format!(
                "Event-Name: BACKGROUND_JOB\nJob-UUID: {job}\nContent-Length: {length}\n\n{answer}"
            );
            let length = event.len();
            let head = format!("Content-Length: {length}\nContent-Type: text/event-plain\n\n");
            send(&[head.as_bytes(), event.as_bytes()].concat());
        } else if word == "event" && !std::mem::replace(&mut has_told, true) {
            let recorded = recording("scenarios/01a-register-wrongpw-udp4.plain.raw").bytes;
            for frame in decode(&recorded).frames {
                if frame.content_type() == sipward_esl::ContentType::EventPlain {
                    send(frame.as_bytes());
                }
            }
        }
    }
}

/// A command, up to its blank line.
fn next(reader: &mut impl std::io::BufRead) -> Option<String> {
    let mut command = String::new();
    while !command.ends_with("\n\n") {
        if reader.read_line(&mut command).ok()? == 0 {
            return None;
        }
    }
    Some(command.trim_end().to_owned())
}
