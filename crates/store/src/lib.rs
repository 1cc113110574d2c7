//! The persistent state: bans, their history, counts over time, offenders, healthy phones, what an operator
//! changed while the daemon ran.
//!
//! The kernel is the truth about what is blocked, this about what was decided. One writer, on a
//! thread of its own, owns the connection to a SQLite file; the rest of the daemon hands it
//! [`Entry`]s and never waits for it. It commits what has come every few hundredths of a second.
//!
//! | module | holds |
//! |---|---|
//! | `entry` | what is written, what is read back |
//! | `inbox` | what waits to be written: bounded, never waited for |
//! | `health` | how the store stands, and when that changes |
//! | `history` | what happened: questions and answers |
//! | `writer` | the thread: gathers, commits, looks after the file, tries again |
//! | `checkpointer` | another thread: the write-ahead log, soundness of the whole file |
//! | `database` | the file: opened, checked, put aside |
//! | `schema` | its tables |
//! | `write`, `step`, `load`, `prune` | rows: in, back, out again |
//! | `column`, `key`, `kind`, `tally` | values as columns; networks as keys; kinds of events; counts over time |
//!
//! Nothing that goes wrong with the file stops a ban. A full disk, a locked file, a missing directory
//! make the store *degraded*: entries wait in memory, what does not fit is counted, and when the file
//! can be written again the bans that stand replace those that are stored. A corrupt file gets another
//! name and is kept.
//!
//! It knows no task of the daemon, no kernel and no HTTP.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

mod checkpointer;
mod column;
mod database;
mod entry;
mod health;
mod history;
mod inbox;
mod key;
mod kind;
mod load;
mod prune;
mod schema;
mod step;
mod tally;
mod write;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sipward_engine::Timestamp;
use tokio::sync::mpsc;

use checkpointer::Checkpointer;
use database::{Database, Place, Trouble};
pub use entry::{
    AllowEntry, COUNTS_KEPT, Counts, Entry, Override, QUARTER, RetiredToken, Saved,
    SavedAcknowledgement, SavedAlarm, SavedBan, SavedFlow, SavedToken, Stepped,
};
use health::Status;
pub use health::{Health, Notice, State};
pub use history::{Cursor, HistoryEvent, HistoryPage, HistoryQuery, NoCursor, What};
use inbox::Inbox;
pub use kind::HistoryKind;
use sipward_config::{StoreLocation, StoreSettings};
use sipward_model::rights;
pub use tally::{Tally, TallyQuery};
use writer::Writer;

/// Notices that wait for the daemon at most; they come seconds apart.
const NOTICES: usize = 16;

/// Revoked tokens that are remembered: the newest.
pub const MOST_RETIRED: usize = 256;

/// Alarms without an end that are remembered: the newest.
pub const MOST_ALARMS: usize = 256;

/// Acknowledged alarms that are remembered: the newest.
pub const MOST_ACKNOWLEDGED: usize = 256;

/// Longest time that a question to the history may take.
const SLOW: Duration = Duration::from_secs(5);

/// Longest wait at the end until all is written and the file is closed: half of what systemd gives a daemon
/// to stop (`TimeoutStopSec=10s`). It takes a fraction of it, unless a backlog meets a slow disk.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// How a store was left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Closed {
    /// All is written, and the file is complete by itself.
    Whole,
    /// All is written, a part of it in the write-ahead log beside the file. The next start reads both.
    WithLog,
    /// Entries that were put in are not written: the time was over, or the store is degraded.
    Lost {
        /// How many.
        entries: u64,
    },
}

/// Why the daemon must not start, or a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file was written by a newer sipward. It was not touched.
    #[error(
        "{} has schema version {found}, this version of sipward supports up to {known}; run the \
            newer version, or \
         set `store.path` to another file",
        .file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is a database of another program. It was not touched.
    #[error(
        "{} is a SQLite database of another program; set `store.path` to a file of its own",
        .file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// There is nothing to ask at the moment.
    #[error("the store is degraded: {error}")]
    Degraded {
        /// Why.
        error: String,
    },
    /// The question took too long.
    #[error("the query took longer than {} s; request less", .limit.as_secs())]
    Slow {
        /// The limit.
        limit: Duration,
    },
    /// The database refused.
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The thread could not be started, or ended.
    #[error("the store's thread: {0}")]
    Thread(String),
}

/// The handle to the store. Cheap to clone; the writer ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    notices: Arc<Mutex<Option<mpsc::Receiver<Notice>>>>,
    _end: Arc<End>,
}

/// What the handles and the writer share.
#[derive(Debug)]
struct Shared {
    settings: StoreSettings,
    place: Place,
    inbox: Inbox,
    status: Status,
    /// None before the file is read, after the end, and where there is no file.
    checkpointer: Mutex<Option<Checkpointer>>,
}

/// Tells the writer that no handle is left.
#[derive(Debug)]
struct End {
    shared: Arc<Shared>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.inbox.close();
    }
}

impl Store {
    /// Opens the store and reads what it holds. Blocks: a hundred thousand bans take about a third of
    /// a second, a file that another process has locked one second.
    ///
    /// A corrupt file is renamed and a new one created. If a file cannot be opened or written, the store is degraded
    /// and retries. [`Store::take_notices`] tells of either.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Foreign`], which must not be written to;
    /// [`StoreError::Thread`].
    pub fn open(settings: &StoreSettings) -> Result<(Self, Saved), StoreError> {
        let (notices, notices_in) = mpsc::channel(NOTICES);
        let shared = Arc::new(Shared {
            place: Place::of(&settings.location),
            settings: settings.clone(),
            inbox: Inbox::default(),
            status: Status::new(notices),
            checkpointer: Mutex::new(None),
        });
        let (first_out, first) = std::sync::mpsc::sync_channel(1);
        let writer = Writer::new(Arc::clone(&shared));
        spawn("store", move || writer.run(&first_out))?;
        let end = Arc::new(End { shared: Arc::clone(&shared) });
        let saved = first.recv().map_err(|error| StoreError::Thread(error.to_string()))??;
        if shared.place.file().is_some() {
            let checkpointer = Checkpointer::start(&shared)?;
            *shared.checkpointer.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(checkpointer);
        }
        Ok((Self { shared, notices: Arc::new(Mutex::new(Some(notices_in))), _end: end }, saved))
    }

    /// Ends every stored ban that was enforced, and says how many there were. For a store that no daemon
    /// uses: one that runs would write its bans again. Where there is no file, none is made.
    ///
    /// # Errors
    /// When the file cannot be used. Nothing is put aside.
    pub fn end_bans(settings: &StoreSettings) -> Result<usize, StoreError> {
        match &settings.location {
            StoreLocation::File(path) if path.exists() => {}
            StoreLocation::File(_) | StoreLocation::Memory => return Ok(0),
        }
        let now = sipward_model::clock::stamp(std::time::SystemTime::now());
        let place = Place::of(&settings.location);
        Database::open(&place)
            .and_then(|mut database| {
                write::end_bans(&mut database.connection, now)
                    .map_err(|error| place.trouble(&error))
            })
            .map_err(|trouble| match trouble {
                Trouble::Refused(error) => error,
                Trouble::Corrupt(error)
                | Trouble::Unavailable(error)
                | Trouble::InvalidData(error) => StoreError::Degraded { error },
            })
    }

    /// The override of one setting in a store that is not open yet; `None` also where it cannot be read: then
    /// [`Store::open`] says why.
    #[must_use]
    pub fn stored_override(location: &StoreLocation, key: &str) -> Option<serde_json::Value> {
        let StoreLocation::File(path) = location else { return None };
        let connection = Place::File(path.clone()).reader_before_open().ok()?;
        load::one_override(&connection, key).ok().flatten()
    }

    /// The notices of the store. Only the first caller gets them.
    #[must_use]
    pub fn take_notices(&self) -> Option<mpsc::Receiver<Notice>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps an entry. Never waits: it is written within 100 ms, or as soon as that can be done again.
    /// When too much waits it is counted as dropped; see [`Store::wants_bans`].
    pub fn put(&self, entry: Entry) {
        self.shared.inbox.put(entry);
    }

    /// Whether the stored bans differ from the active ones, because entries were dropped or the file was lost, and
    /// can be written again.
    #[must_use]
    pub fn wants_bans(&self) -> bool {
        let ready = {
            let word = self.shared.status.word();
            word.state == State::Ok && !word.is_unread
        };
        ready && self.shared.inbox.is_incomplete()
    }

    /// Stores these bans and flows, all that are active, in place of the stored ones.
    pub fn put_bans(&self, bans: Vec<SavedBan>, flows: Vec<SavedFlow>) {
        self.shared.inbox.put_bans(bans, flows);
    }

    /// The data of [`Notice::Late`] was applied: from now on the active bans include it.
    pub fn took_over(&self) {
        self.shared.status.word().is_unread = false;
    }

    /// Reads everything again, once what was put in before is written; it comes as [`Notice::Late`]. When the
    /// store is degraded that is later, or after the next start.
    pub fn read_again(&self) {
        self.shared.inbox.ask_to_read();
    }

    /// Waits until everything put in before is written, or cannot be.
    pub async fn settled(&self) -> Health {
        let put = self.shared.inbox.hurry();
        let mut progress = self.shared.status.progress().subscribe();
        // Fails only when the writer is gone, and then nothing more will come.
        let _ = progress.wait_for(|now| now.written >= put || now.degraded || now.ended).await;
        self.health()
    }

    /// The state of the store.
    #[must_use]
    pub fn health(&self) -> Health {
        let (waiting, oldest_waiting, dropped) = self.shared.inbox.figures();
        let word = self.shared.status.word().clone();
        let (at_work, oldest) = word.at_work;
        let behind = oldest.or(oldest_waiting).map(|oldest: Instant| oldest.elapsed());
        Health {
            state: word.state,
            file: self.shared.place.file().map(Into::into),
            size_bytes: word.size_bytes,
            behind_entries: waiting + at_work,
            behind_ms: u64::try_from(behind.unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
            dropped,
            set_aside: word.set_aside,
        }
    }

    /// A part of the history, newest first.
    ///
    /// # Errors
    /// When the store is degraded, the database refuses, or it takes longer than five seconds.
    pub async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.ask(move |connection| history::page(connection, &query)).await
    }

    /// The same, of the networks that are `wanted`. A page may have fewer events than it could, and none, though there
    /// are more: for each 50,000 are looked at.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub async fn history_of(
        &self,
        query: HistoryQuery,
        wanted: impl Fn(ipnet::IpNet) -> bool + Send + 'static,
    ) -> Result<HistoryPage, StoreError> {
        self.ask(move |connection| history::page_of(connection, &query, wanted)).await
    }

    /// Bans and unbans by the minute, from `from` on and before `to`: the number of each minute since the
    /// epoch, bans, unbans. Minutes in which there was neither are left out.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub async fn decisions_by_minute(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(u64, u32, u32)>, StoreError> {
        self.ask(move |connection| history::by_minute(connection, from, to)).await
    }

    /// What happened in each quarter of an hour as far as it is stored, by the number of the quarter since the epoch.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub async fn counts(&self) -> Result<Vec<(u64, Counts)>, StoreError> {
        self.ask(load::counts).await
    }

    /// The decisions of a span, counted; by country too, if `country` is there to say where a network is.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub async fn tally<F>(&self, query: TallyQuery, country: Option<F>) -> Result<Tally, StoreError>
    where
        F: Fn(ipnet::IpNet) -> Option<String> + Send + 'static,
    {
        self.ask(move |connection| tally::tally(connection, &query, country)).await
    }

    /// Puts a question to a connection of its own, within the time limit.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        if let State::Degraded { error, .. } = self.health().state {
            return Err(StoreError::Degraded { error });
        }
        let place = self.shared.place.clone();
        let (handle_out, handle) = tokio::sync::oneshot::channel();
        let mut answer = tokio::task::spawn_blocking(move || {
            let connection = place.reader()?;
            let _ = handle_out.send(connection.get_interrupt_handle());
            Ok(question(&connection)?)
        });
        if let Ok(joined) = tokio::time::timeout(SLOW, &mut answer).await {
            return joined.map_err(|error| StoreError::Thread(error.to_string()))?;
        }
        if let Ok(handle) = handle.await {
            handle.interrupt();
        }
        Err(StoreError::Slow { limit: SLOW })
    }

    /// Writes what waits and closes the file, for at most five seconds. What other handles put in afterwards
    /// is lost.
    pub async fn close(self) -> Closed {
        let mut progress = self.shared.status.progress().subscribe();
        self.shared.inbox.close();
        let ended = progress.wait_for(|now| now.ended);
        let in_time = tokio::time::timeout(LAST_COMMIT, ended).await.is_ok();
        let written = self.shared.status.progress().borrow().written;
        match self.shared.inbox.put_so_far().saturating_sub(written) {
            0 if in_time && self.shared.place.log_size() == 0 => Closed::Whole,
            0 => Closed::WithLog,
            entries => Closed::Lost { entries },
        }
    }
}

fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            rights::keep_none();
            work();
        })
        .map_err(|error| StoreError::Thread(error.to_string()))
}

#[cfg(test)]
mod tests;
