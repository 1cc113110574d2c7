//! What commands show while they wait: on a terminal, and nowhere else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use serde_json::{Value, json};

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than a command stays silent, which is a second.
const LONGER: Duration = Duration::from_millis(1_500);

/// A daemon that answers on request of the test.
struct Slow {
    _dir: tempfile::TempDir,
    socket: PathBuf,
    listener: UnixListener,
}

impl Slow {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("sipward.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        Self { _dir: dir, socket, listener }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = sipward(words);
        command.arg("--socket").arg(&self.socket);
        command
    }

    fn accept(&self) -> UnixStream {
        let stream = self.listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

fn sipward(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipward"));
    command.args(words).env_clear().env("TERM", "xterm").env("TZ", "UTC");
    command
}

/// Reads a request without a body, and gives its first line.
fn request(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
}

fn answer(stream: &mut UnixStream, body: &Value) {
    let (body, head) = (body.to_string(), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
}

fn lifted() -> Value {
    let store = json!({
        "state": "ok", "problem": null, "since": null, "file": null, "size_bytes": 0,
        "behind_entries": 0, "behind_seconds": 0.0, "dropped_entries": 0, "set_aside": null,
    });
    json!({
        "count": 3, "ended": [], "left": [], "flows": 0, "unfinished": 0, "still_stopped": [], "store": store,
    })
}

/// A program on a terminal of 80 columns, all it writes.
struct Terminal {
    child: Child,
    shown: mpsc::Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let slave = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
        // Who keeps it open keeps the terminal from ending.
        drop((command, pty.slave));
        let (out, shown) = mpsc::channel();
        let mut master = File::from(pty.master);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal that nobody has open any more reads as an error.
            while let Ok(count @ 1..) = master.read(&mut buffer) {
                let _ = out.send(buffer.iter().take(count).copied().collect());
            }
        });
        Self { child, shown, text: String::new() }
    }

    /// Waits until the line of progress has been written with all `parts`.
    fn wait_for(&mut self, parts: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        let has_all = |text: &str| parts.iter().all(|part| text.contains(part));
        while !self.text.split('\r').any(has_all) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.shown.recv_timeout(left) else {
                panic!("{parts:?} is not in {:?}", self.text);
            };
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// All that was written, when it has ended well.
    fn end(mut self) -> String {
        for bytes in &self.shown {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(self.child.wait().unwrap().success(), "{:?}", self.text);
        self.text
    }
}

/// Whether the line of progress was cleared before the last line was written.
fn is_cleared(text: &str, last: &str) -> bool {
    text.strip_suffix(last).is_some_and(|before| before.ends_with("\u{1b}[2K"))
}

#[test]
fn who_waits_at_a_terminal_is_told_for_what() {
    let slow = Slow::new();
    let mut terminal = Terminal::start(slow.command(&["unban", "--all", "--yes"]));
    let mut stream = slow.accept();
    assert_eq!(request(&mut stream), "DELETE /api/v1/bans HTTP/1.1");
    terminal.wait_for(&["lifting bans"]);
    answer(&mut stream, &lifted());
    let text = terminal.end();
    assert!(is_cleared(&text, "3 bans lifted\r\n"), "{text:?}");
}

#[test]
fn a_bar_shows_how_far_it_is_where_that_is_known() {
    let slow = Slow::new();
    let mut terminal = Terminal::start(slow.command(&["bans", "--all"]));
    let mut stream = slow.accept();
    let first = request(&mut stream);
    assert!(first.starts_with("GET /api/v1/bans?"), "{first}");
    answer(&mut stream, &json!({ "items": [], "total": 41, "next": "page-2" }));
    let second = request(&mut stream);
    assert!(second.contains("cursor=page%2D2"), "{second}");
    terminal.wait_for(&["reading the bans", "0/41"]);
    answer(&mut stream, &json!({ "items": [], "total": 41, "next": null }));
    let text = terminal.end();
    assert!(is_cleared(&text, "no bans\r\n"), "{text:?}");
}

#[test]
fn nothing_is_shown_where_there_is_no_terminal() {
    let slow = Slow::new();
    let mut command = slow.command(&["unban", "--all", "--yes"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stream = slow.accept();
    request(&mut stream);
    thread::sleep(LONGER);
    answer(&mut stream, &lifted());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3 bans lifted\n");
}

#[test]
fn nothing_is_shown_beside_json() {
    let slow = Slow::new();
    let terminal = Terminal::start(slow.command(&["unban", "--all", "--yes", "--json"]));
    let mut stream = slow.accept();
    request(&mut stream);
    thread::sleep(LONGER);
    answer(&mut stream, &lifted());
    let text = terminal.end();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["count"], 3, "{text:?}");
}

/// The log is a pipe that is held open, so that it takes as long as the test wants.
#[test]
fn a_replay_shows_how_far_it_is_and_nothing_beside_json() {
    let log = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/logs/forged-uuid.log");
    // More than is read to see what it is.
    let log = std::fs::read(log).unwrap().repeat(1_000);
    for (more, is_shown) in [(&[] as &[&str], true), (&["--json"], false)] {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("freeswitch.log");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut command = sipward(&["replay", "--utc-offset", "+00:00"]);
        command.args(more).arg(&pipe);
        let mut terminal = Terminal::start(command);
        let mut writer = File::options().write(true).open(&pipe).unwrap();
        writer.write_all(&log).unwrap();
        if is_shown {
            terminal.wait_for(&["left"]);
        } else {
            thread::sleep(LONGER);
        }
        drop(writer);
        let text = terminal.end();
        assert_eq!(text.contains('\u{1b}'), is_shown, "{text:?}");
    }
}
