//! Log lines: JSON for journald, text for a terminal.
//!
//! Writing never blocks the daemon: a bounded queue separates it from standard output, and lines that do not fit are
//! dropped and counted ([`LogControl::lost`]).

mod format;

use std::io::IsTerminal as _;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

use sipward_config::file::LogLevel;
use sipward_model::rights;

/// Lines that wait for a slow reader at most: about 4 MB of bans, or one second of the largest
/// flood that FreeSWITCH reports.
const QUEUE_LINES: usize = 8_192;

/// Longest wait at the end for the reader of the log.
const LAST_LINES: Duration = Duration::from_millis(500);

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// One line of text.
    Text,
}

/// The running log. Dropping it writes out what is queued, for at most half a second.
#[derive(Debug)]
pub struct Logs {
    control: LogControl,
    writer: Option<WorkerGuard>,
}

impl Drop for Logs {
    fn drop(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        let (told, done) = std::sync::mpsc::channel();
        // The guard waits for anyone who reads standard output, and then complains on standard output. Both may
        // take for ever, and the process must end: the thread ends with it.
        let waits = std::thread::Builder::new().name("log-end".to_owned()).spawn(move || {
            drop(writer);
            let _ = told.send(());
        });
        if waits.is_ok() {
            let _ = done.recv_timeout(LAST_LINES);
        }
    }
}

/// Does `work` on a thread without rights, so that what it starts has none.
fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let thread = std::thread::Builder::new().name("log-start".to_owned()).spawn(move || {
        rights::keep_none();
        work()
    })?;
    thread.join().map_err(|_| anyhow::anyhow!("cannot start the log's thread"))
}

/// What can be changed and asked of a running log.
#[derive(Clone, Debug)]
pub struct LogControl {
    level: reload::Handle<Targets, Registry>,
    lost: ErrorCounter,
}

impl Logs {
    /// Starts logging to standard output.
    ///
    /// # Errors
    /// When the process logs already.
    pub fn start(format: Format, level: LogLevel) -> anyhow::Result<Self> {
        let stdout = std::io::stdout();
        let terminal = stdout.is_terminal();
        let (writer, guard) = apart(move || {
            NonBlockingBuilder::default()
                .buffered_lines_limit(QUEUE_LINES)
                .lossy(true)
                .thread_name("log")
                .finish(stdout)
        })?;
        let lost = writer.error_counter();
        let (filter, handle) = reload::Layer::new(filter(level));
        let json = match format {
            Format::Auto => !terminal,
            Format::Json => true,
            Format::Text => false,
        };
        let registry = tracing_subscriber::registry().with(filter);
        let layer = fmt::layer().with_writer(writer).with_ansi(terminal);
        if json {
            let format = format::Json { priorities: format::journald_reads_stdout() };
            registry.with(layer.event_format(format)).try_init()?;
        } else {
            registry.with(layer.event_format(format::Text)).try_init()?;
        }
        Ok(Self { control: LogControl { level: handle, lost }, writer: Some(guard) })
    }

    /// A handle for the parts that change the log or watch over it.
    #[must_use]
    pub fn control(&self) -> LogControl {
        self.control.clone()
    }
}

impl LogControl {
    /// Changes the lowest level that is written.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only when the log is gone, and then there is nowhere to say so.
        let _ = self.level.reload(filter(level));
    }

    /// Lines dropped since the start.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost.dropped_lines()
    }
}

/// Our own crates at `level`; the libraries below at most at `info`: at trace level they would
/// print what goes over the socket, the password included.
fn filter(level: LogLevel) -> Targets {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let others = ours.min(LevelFilter::INFO);
    // Each connection and each server would be a line, beside sipward's own.
    let nats = ours.min(LevelFilter::ERROR);
    Targets::new().with_default(others).with_target("async_nats", nats).with_target("sipward", ours)
}
