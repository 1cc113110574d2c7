//! The state of the store, and its changes.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::Saved;
use sipward_model::text::Time;

/// The state of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether it works.
    #[serde(flatten)]
    pub state: State,
    /// The file; `None` when nothing outlives the process (`:memory:`).
    pub file: Option<PathBuf>,
    /// Bytes of the file, its write-ahead log included.
    pub size_bytes: u64,
    /// Entries that wait to be written.
    pub behind_entries: usize,
    /// How long the oldest of them has waited, ms.
    pub behind_ms: u64,
    /// Entries that found no room since the start. Bans are not lost by that: all active ones are written again as
    /// soon as there is room.
    pub dropped: u64,
    /// Where the latest corrupt file was put since the start.
    pub set_aside: Option<PathBuf>,
}

/// Whether the store works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// What is handed in is written.
    Ok,
    /// Nothing can be written; bans go on without, and it is tried again and again.
    Degraded {
        /// Why, and what to do.
        error: String,
        /// Since when.
        since: Time,
    },
}

/// A notice that the daemon should report or act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Nothing can be written from now on.
    Degraded {
        /// Why, and what to do.
        error: String,
    },
    /// It works again, and what waited is written.
    Recovered {
        /// Entries lost meanwhile.
        dropped: u64,
    },
    /// There was no file, or an empty one.
    Begun {
        /// Where.
        file: PathBuf,
    },
    /// Something that was stored is not there any more.
    Incomplete {
        /// What, why, and what to do.
        error: String,
    },
    /// A corrupt file was put aside and a new one begun.
    SetAside {
        /// Where it is now.
        kept: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// The file could be read only now, after the start: what it holds.
    Late(Box<Saved>),
}

/// What the writer says of itself.
#[derive(Debug)]
pub(super) struct Status {
    word: Mutex<Word>,
    /// Items written so far, and whether more can be.
    progress: watch::Sender<Progress>,
    notices: mpsc::Sender<Notice>,
}

/// How far the writer is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Items written, or given up.
    pub(super) written: u64,
    pub(super) degraded: bool,
    pub(super) ended: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) state: State,
    pub(super) size_bytes: u64,
    pub(super) set_aside: Option<PathBuf>,
    /// What the writer works on: how many, and since when the first has waited.
    pub(super) at_work: (usize, Option<std::time::Instant>),
    /// What the file held at the start is not in force yet.
    pub(super) is_unread: bool,
    /// The checkpointer has worked the log in but for a small rest, which is the writer's.
    pub(super) log_rest: bool,
    /// What was found wrong with the file, until the writer has put it aside.
    pub(super) damage: Option<String>,
}

impl Status {
    pub(super) fn new(notices: mpsc::Sender<Notice>) -> Self {
        let word = Word {
            state: State::Ok,
            size_bytes: 0,
            set_aside: None,
            at_work: (0, None),
            is_unread: false,
            log_rest: false,
            damage: None,
        };
        Self { word: Mutex::new(word), progress: watch::Sender::default(), notices }
    }

    pub(super) fn word(&self) -> MutexGuard<'_, Word> {
        self.word.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn progress(&self) -> &watch::Sender<Progress> {
        &self.progress
    }

    /// Sends a notice to the daemon. If a dozen are queued, it is not listening.
    pub(super) fn tell(&self, notice: Notice) {
        let _ = self.notices.try_send(notice);
    }
}
