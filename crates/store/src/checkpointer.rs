//! What must not hold up the writer: working its log into the file, and looking whether the file is
//! sound. A thread of its own, with connections of its own; in WAL mode neither waits for the other.

use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};

use super::database::Trouble;
use super::health::State;
use super::{Shared, StoreError, spawn};

/// How often it looks. A flood fills some twenty megabytes of the log meanwhile.
const EVERY: Duration = Duration::from_millis(100);

/// Bytes of the write-ahead log below which it is not checkpointed. Such a log is cheap to read.
const LARGE_LOG: u64 = 16 * 1024 * 1024;

/// Pages in the log, and not in the file yet, above which they are worked in: as many as [`LARGE_LOG`].
const MANY_PAGES: i64 = 4_096;

/// Pages that the writer works in itself, between two commits: some ten milliseconds of work, and what a
/// commit or two of a flood write.
const FEW_PAGES: i64 = 3_000;

/// Times that it is tried to get down to a few.
const ROUNDS: u32 = 3;

/// When the file is looked through, once in each run: all bans are back by then.
const CHECK_AFTER: Duration = Duration::from_secs(5);

/// Pause between two attempts to interrupt what it does: SQLite forgets one that comes before the statement.
const INSIST: Duration = Duration::from_millis(5);

/// The thread, as the writer holds it.
pub(super) struct Checkpointer {
    end: Sender<()>,
    at_work: AtWork,
    thread: JoinHandle<()>,
}

/// How to interrupt what it does, while it does something.
type AtWork = Arc<Mutex<Option<InterruptHandle>>>;

impl Checkpointer {
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let (end, end_in) = mpsc::channel();
        let at_work = AtWork::default();
        let work = Work { shared: Arc::clone(shared), at_work: Arc::clone(&at_work) };
        let thread = spawn("store-care", move || work.run(&end_in))?;
        Ok(Self { end, at_work, thread })
    }

    /// Ends it, and waits until it has closed the file: the last connection to close checkpoints the log.
    pub(super) fn stop(self) {
        drop(self.end);
        while !self.thread.is_finished() {
            if let Some(handle) = &*self.at_work.lock().unwrap_or_else(PoisonError::into_inner) {
                handle.interrupt();
            }
            std::thread::sleep(INSIST);
        }
    }
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointer").field("thread", &self.thread).finish_non_exhaustive()
    }
}

/// Works the log into the file. Gives how many of its pages are not in the file yet.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        let (pages, done) = (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?);
        Ok(pages.saturating_sub(done))
    })
}

struct Work {
    shared: Arc<Shared>,
    at_work: AtWork,
}

impl Work {
    /// Works until the other end of `end` is dropped.
    fn run(&self, end: &Receiver<()>) {
        let check_at = Instant::now() + CHECK_AFTER;
        let mut is_checked = false;
        let mut is_marked = false;
        while end.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            if self.shared.status.word().state != State::Ok {
                continue;
            }
            // Once in any case: the file itself must say that it is in use, not only its log.
            if !is_marked || self.shared.place.log_size() > LARGE_LOG {
                match self.work_in(!is_marked) {
                    Ok(()) => is_marked = true,
                    Err(error) => {
                        tracing::debug!(%error, "the store's write-ahead log is not checkpointed \
                            yet");
                    }
                }
            }
            if !is_checked && Instant::now() >= check_at {
                is_checked = true;
                if let Err(Trouble::Corrupt(error)) = self.check() {
                    // The writer owns the file, and puts it aside.
                    self.shared.status.word().damage = Some(error);
                }
            }
        }
    }

    /// Works the log into the file where it is worth it, or `anyway`. The writer goes on meanwhile, so a rest
    /// remains; it works that in itself, between two commits, and then its log begins anew.
    fn work_in(&self, anyway: bool) -> rusqlite::Result<()> {
        if self.shared.status.word().log_rest {
            return Ok(());
        }
        let connection = self.shared.place.connect()?;
        let mut waiting = checkpoint(&connection, "NOOP")?;
        if !anyway && waiting < MANY_PAGES {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            self.interruptible(&connection, || checkpoint(&connection, "PASSIVE"))?;
            waiting = checkpoint(&connection, "NOOP")?;
            if waiting <= FEW_PAGES {
                self.shared.status.word().log_rest = true;
                break;
            }
        }
        Ok(())
    }

    /// Looks through all tables, the history too, which nothing else reads as a whole.
    fn check(&self) -> Result<(), Trouble> {
        let ask = |connection: &Connection| {
            self.interruptible(connection, || {
                connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
            })
        };
        let place = &self.shared.place;
        let answer = place.reader().and_then(|connection| ask(&connection));
        match answer.map_err(|error| place.trouble(&error))?.as_str() {
            "ok" => Ok(()),
            wrong => Err(Trouble::Corrupt(wrong.to_owned())),
        }
    }

    fn interruptible<T>(&self, connection: &Connection, work: impl FnOnce() -> T) -> T {
        let handle = |handle| *self.at_work.lock().unwrap_or_else(PoisonError::into_inner) = handle;
        handle(Some(connection.get_interrupt_handle()));
        let done = work();
        handle(None);
        done
    }
}
