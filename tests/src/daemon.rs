//! The real daemon as a child process: started with a configuration, read by its log, stopped by
//! signals.
//!
//! A child belongs to the network namespace of the thread that starts it, so inside
//! [`Host::run`](crate::netns::Host::run) it is the daemon of that host.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "what a test harness cannot do is a failed test, and many a wait is the test itself"
)]

mod log;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub use self::log::{Line, Log};
use crate::http::Client;
use crate::wait::{PATIENCE, until_within};

/// Time that a daemon may take from SIGTERM to its end.
pub const STOP_LIMIT: Duration = Duration::from_secs(2);

/// Set for a child that is to be `sipward`.
const WANTED: &str = "SIPWARD_TESTS_RUN_SIPWARD";

/// Whether this process was started by a [`Setup`], to be `sipward` and no test. A test program that starts daemons
/// looks at this first: so the daemon is linked where it is tested, and always as it is now.
#[must_use]
pub fn is_wanted() -> bool {
    std::env::var_os(WANTED).is_some()
}

/// The program that runs, for [`Setup::new`].
#[must_use]
pub fn this_program() -> String {
    let program = std::env::current_exe().expect("the path of this program");
    program.into_os_string().into_string().expect("a path of UTF-8")
}

/// A configuration, credentials and a program: what is needed to run `sipward`.
///
/// It can start daemon after daemon, as systemd would.
#[derive(Debug)]
pub struct Setup {
    program: PathBuf,
    directory: TempDir,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Setup {
    /// For the program at `program`, with `config` as its configuration file.
    #[must_use]
    pub fn new(program: &str, config: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let setup = Self {
            program: PathBuf::from(program),
            directory,
            environment: Vec::new(),
            arguments: Vec::new(),
        };
        setup.configure(config);
        setup
    }

    /// The Event Socket to connect to and its password.
    #[must_use]
    pub fn event_socket(self, address: SocketAddr, password: &str) -> Self {
        self.env("ESL_HOST", &address.ip().to_string())
            .env("ESL_PORT", &address.port().to_string())
            .env("ESL_PASSWORD", password)
    }

    /// One more variable of the child's environment, which else is empty.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more argument of `sipward run`.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Writes the configuration file anew; a running daemon reads it at SIGHUP. Without a `[store]` of
    /// its own it names [`Setup::store_file`], and without an `[api]` [`Setup::socket`], so that no test
    /// reads or writes this machine's state.
    pub fn configure(&self, config: &str) {
        let mut config = config.to_owned();
        if !config.contains("[store]") {
            let store = self.store_file();
            config = format!("{config}\n[store]\npath = \"{}\"\n", store.display());
        }
        if !config.contains("[api]") {
            let socket = self.socket();
            config = format!("{config}\n[api]\nsocket = \"{}\"\n", socket.display());
        }
        fs::write(self.config_file(), config).expect("the configuration file");
    }

    /// Where its daemons keep what outlives them.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.directory.path().join("sipward.db")
    }

    /// Where its daemons serve the control API.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("sipward.sock")
    }

    /// A client of the control API.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.socket())
    }

    /// A place for files of the test; it goes away with the setup.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts `sipward run` in the network namespace of the calling thread.
    #[must_use]
    pub fn start(&self) -> Daemon {
        self.start_by(self.command(&["run"]))
    }

    /// As [`Setup::start`], after what `shell` has done to the process, such as `ulimit -n 400`.
    #[must_use]
    pub fn start_after(&self, shell: &str) -> Daemon {
        let run = self.command(&["run"]);
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{shell}; exec \"$0\" \"$@\""));
        command.arg(run.get_program()).args(run.get_args());
        command.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null());
        self.start_by(command)
    }

    fn start_by(&self, mut command: Command) -> Daemon {
        command.args(["--log-format", "json"]).args(&self.arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the daemon's program");
        let log = Log::of(
            child.stdout.take().expect("its standard output"),
            child.stderr.take().expect("its standard error"),
        );
        Daemon { child, log }
    }

    /// Runs another command of the program (`check`, `flush`, …) to its end, in the network
    /// namespace of the calling thread.
    #[must_use]
    pub fn run(&self, command: &str) -> Output {
        self.shell(&[command])
    }

    /// As [`Setup::run`], with arguments of its own.
    #[must_use]
    pub fn shell(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the program")
    }

    /// A command of the program before its start, without standard input.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut child = self.command_without_config(words);
        child.arg("--config").arg(self.config_file());
        child
    }

    /// As [`Setup::command`], for commands that take no configuration file.
    #[must_use]
    pub fn command_without_config(&self, words: &[&str]) -> Command {
        let mut child = Command::new(&self.program);
        child.args(words);
        child.env_clear().env(WANTED, "1");
        child.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Lets a coverage run collect what the child did.
        child.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
        child.stdin(Stdio::null());
        child
    }

    fn config_file(&self) -> PathBuf {
        self.directory.path().join("sipward.toml")
    }
}

/// A running daemon. It is killed when it is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: Log,
}

impl Daemon {
    /// What it wrote so far, and what is still to come.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Waits up to [`PATIENCE`] for a line whose `event` is `event`, and gives the first.
    pub fn expect(&self, event: &str) -> Line {
        self.expect_that(event, |_| true)
    }

    /// As [`Daemon::expect`], for a line that `fits` besides.
    pub fn expect_that(&self, event: &str, fits: impl Fn(&Line) -> bool) -> Line {
        self.log.wait(event, 1, PATIENCE, fits).pop().expect("one line was waited for")
    }

    /// As [`Daemon::expect_that`], for what takes long in an unoptimised build beside other tests.
    pub fn expect_within(
        &self,
        limit: Duration,
        event: &str,
        fits: impl Fn(&Line) -> bool,
    ) -> Line {
        self.log.wait(event, 1, limit, fits).pop().expect("one line was waited for")
    }

    /// As [`Daemon::expect_that`], for `count` such lines; gives them all.
    pub fn expect_many(
        &self,
        event: &str,
        count: usize,
        fits: impl Fn(&Line) -> bool,
    ) -> Vec<Line> {
        self.log.wait(event, count, PATIENCE, fits)
    }

    /// Process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory in use now (`VmRSS`), in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS")
    }

    /// Its own part of that (`RssAnon`): heap and stacks, without the pages of the program's file.
    #[must_use]
    pub fn own_bytes(&self) -> u64 {
        self.memory("RssAnon")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib: Option<u64> = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse().ok());
        kib.unwrap_or_else(|| panic!("no {name} of a running process")) * 1024
    }

    /// SIGHUP: read the configuration again.
    pub fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// SIGTERM, then its end, which must come within [`STOP_LIMIT`] and be a success. Gives its
    /// whole log.
    pub fn stop(mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        let ended = self.wait(STOP_LIMIT);
        assert!(ended.status.success(), "{}\n{}", ended.status, ended.log.text());
        ended
    }

    /// SIGKILL: the end without a word.
    pub fn kill(mut self) -> Ended {
        self.signal(Signal::SIGKILL);
        self.wait(PATIENCE)
    }

    /// Waits for an end that it finds by itself.
    pub fn wait_for_end(mut self) -> Ended {
        self.wait(PATIENCE)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn wait(&mut self, limit: Duration) -> Ended {
        let status = until_within(limit, "the end of the daemon", || {
            let status = self.child.try_wait().expect("our child");
            status.ok_or_else(|| format!("it runs, and logged:\n{}", self.log.text()))
        });
        self.log.finish();
        Ended { status, log: self.log.clone() }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        // The child is not waited for yet, so the id is its own.
        kill(Pid::from_raw(id), signal).expect("our process");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// All it ever wrote.
    pub log: Log,
}

#[cfg(test)]
mod tests;
