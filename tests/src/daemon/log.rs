//! What a daemon writes, collected while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

/// Lines kept of one daemon; a test that logs more is at fault itself.
const MAX_LINES: usize = 1_000_000;

/// The collected output of one daemon. Clones share it.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    output: Mutex<Collected>,
    grown: Condvar,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Collected {
    lines: Vec<Line>,
    stderr: String,
}

/// One line of JSON.
#[derive(Clone, Debug)]
pub struct Line {
    /// As it was written.
    pub raw: String,
    /// When it was read.
    pub read: Instant,
    fields: Value,
}

impl Line {
    /// `event`: the kind of line.
    #[must_use]
    pub fn event(&self) -> &str {
        self.text("event")
    }

    /// A field that is text; empty when it is missing or something else.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field that is a time.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name).parse().ok()
    }

    /// A field that is a whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name).and_then(Value::as_u64)
    }

    /// A field of any kind; null when it is missing.
    #[must_use]
    pub fn field(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }
}

impl Log {
    /// Starts reading both streams; every line of `stdout` must be a JSON object.
    pub(super) fn of(
        stdout: impl Read + Send + 'static,
        stderr: impl Read + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let readers = [
            reader(&shared, stdout, |collected, raw| {
                let fields = serde_json::from_str(&raw)
                    .unwrap_or_else(|error| panic!("{error} in a line of the log: {raw}"));
                if collected.lines.len() < MAX_LINES {
                    collected.lines.push(Line { raw, read: Instant::now(), fields });
                }
            }),
            reader(&shared, stderr, |collected, line| {
                collected.stderr.push_str(&line);
                collected.stderr.push('\n');
            }),
        ];
        lock(&shared.readers).extend(readers);
        Self { shared }
    }

    /// The lines so far whose `event` is `event`.
    #[must_use]
    pub fn all(&self, event: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.event() == event).collect()
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        lock(&self.shared.output).lines.clone()
    }

    /// What it wrote on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        lock(&self.shared.output).stderr.clone()
    }

    /// Both streams as text, for messages and for searching.
    #[must_use]
    pub fn text(&self) -> String {
        let collected = lock(&self.shared.output);
        let lines: Vec<&str> = collected.lines.iter().map(|line| line.raw.as_str()).collect();
        format!("{}\n{}", lines.join("\n"), collected.stderr)
    }

    /// Waits for `count` lines of `event` that `fit` and gives all such lines.
    pub(super) fn wait(
        &self,
        event: &str,
        count: usize,
        limit: Duration,
        fits: impl Fn(&Line) -> bool,
    ) -> Vec<Line> {
        let deadline = Instant::now() + limit;
        let mut found = Vec::new();
        let mut seen = 0;
        let mut collected = lock(&self.shared.output);
        loop {
            let fresh = collected.lines.iter().skip(seen);
            found.extend(fresh.filter(|line| line.event() == event && fits(line)).cloned());
            seen = collected.lines.len();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(collected);
                panic!(
                    "{} of {count} fitting lines `{event}` within {limit:?} in:\n{}",
                    found.len(),
                    self.text()
                );
            }
            let woken = self.shared.grown.wait_timeout(collected, left);
            (collected, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until both streams have ended.
    pub(super) fn finish(&self) {
        let readers = std::mem::take(&mut *lock(&self.shared.readers));
        for reader in readers {
            reader.join().expect("every line of the log is JSON");
        }
    }
}

fn reader(
    shared: &Arc<Shared>,
    stream: impl Read + Send + 'static,
    keep: impl Fn(&mut Collected, String) + Send + 'static,
) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        // An unreadable pipe has no more lines than a closed one.
        while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            keep(&mut lock(&shared.output), text);
            shared.grown.notify_all();
            line.clear();
        }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A reader that met broken JSON has failed the test already; the rest stays readable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
