//! What the daemon reports to systemd while the daemon starts, runs, reloads and stops.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed unwrap is a failed test"
)]

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The daemon under a systemd of our own: its notification socket, and a watchdog of 2 s.
struct Service {
    socket: UnixDatagram,
    daemon: Child,
    _dir: tempfile::TempDir,
}

/// Longest wait for a message, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

impl Service {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let config = dir.path().join("sipward.toml");
        let words = b"mode = \"observe\"\n[store]\npath = \":memory:\"\n";
        std::fs::File::create(&config).unwrap().write_all(words).unwrap();
        // Nobody listens at the discard port: the daemon must be ready without FreeSWITCH.
        let daemon = Command::new(env!("CARGO_BIN_EXE_sipward"))
            .args(["run", "--config"])
            .arg(&config)
            .env_clear()
            .envs([("ESL_PASSWORD", "s3cret"), ("ESL_PORT", "9"), ("WATCHDOG_USEC", "2000000")])
            .env("NOTIFY_SOCKET", &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { socket, daemon, _dir: dir }
    }

    /// Waits for a message with a line that starts with `wanted`.
    fn expect(&self, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while Instant::now() < deadline {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if let Some(line) = message.lines().find(|line| line.starts_with(wanted)) {
                return line.to_owned();
            }
            seen.push(message);
        }
        panic!("waited {PATIENCE:?} for {wanted}; last seen: {seen:?}");
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.daemon.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn systemd_hears_of_the_start_the_state_the_heartbeat_a_reload_and_the_stop() {
    let mut service = Service::start();
    service.expect("READY=1");
    assert_eq!(
        service.expect("STATUS="),
        "STATUS=NOT connected to FreeSWITCH; 0 banned, 0 failures since the start"
    );
    // The heart goes on beating.
    service.expect("WATCHDOG=1");
    service.expect("WATCHDOG=1");
    service.signal(Signal::SIGHUP);
    service.expect("RELOADING=1");
    service.expect("READY=1");
    service.signal(Signal::SIGTERM);
    service.expect("STOPPING=1");
    assert!(service.daemon.wait().unwrap().success());
}
