//! The one thread that writes.

mod kept;
mod trouble;

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::checkpointer::Checkpointer;
use super::database::{Database, Trouble};
use super::health::Notice;
use super::inbox::{Batch, Item, Wake};
use super::prune::{self, Pruned};
use super::{Saved, Shared, StoreError, checkpointer, load, write};
use sipward_engine::Timestamp;

use kept::Kept;
use sipward_model::clock::{BOOT, stamp};
use sipward_model::wire::Mode;

/// How long entries gather, so that many share a commit. With the commit itself they are at most
/// 100 ms behind.
const GATHER: Duration = Duration::from_millis(20);

/// How often the thread looks after the file: its size, its place, what is too old.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// Pause between two looks while there is more to delete.
const NEXT_SLICE: Duration = Duration::from_millis(50);

/// What the thread says once it has tried to open the file.
pub(super) type First = Result<Saved, StoreError>;

/// The writer's own.
pub(super) struct Writer {
    shared: Arc<Shared>,
    database: Option<Database>,
    /// As of the last batch that was written.
    mode: Mode,
    /// What was taken in and is not written yet.
    batch: Batch,
    /// What a new file must hold from the beginning.
    kept: Kept,
    /// Whether the file's content is known to the daemon.
    is_read: bool,
    /// Whether this run has written into the file: what it was before is reported.
    is_marked: bool,
    /// Attempts in a row that failed.
    failures: u32,
    /// When it tries again.
    try_at: Instant,
    /// When it looks after the file.
    look_at: Instant,
    /// When the file was last read or written, while what that took of memory is kept for the next time.
    used: Option<Instant>,
    /// Corrupt files put aside so far.
    put_aside: u32,
    /// What is stored is to be read again.
    wants_reading: bool,
    /// When the thread began.
    began: Instant,
    /// When an earlier run has written last.
    written_before: Option<Timestamp>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            mode: if shared.settings.observe { Mode::Observe } else { Mode::Ban },
            shared,
            database: None,
            batch: Batch::default(),
            kept: Kept::default(),
            is_read: false,
            is_marked: false,
            failures: 0,
            try_at: now,
            look_at: now + LOOK_AFTER,
            used: None,
            put_aside: 0,
            wants_reading: false,
            began: now,
            written_before: None,
        }
    }

    /// Opens and reads the file, says so, and writes until no handle is left.
    pub(super) fn run(mut self, first: &SyncSender<First>) {
        let answer = match self.open() {
            Ok(()) => self.read(),
            Err(trouble) => Err(trouble),
        };
        let answer = match answer {
            Ok(saved) => {
                self.probe();
                Ok(saved)
            }
            Err(Trouble::Refused(error)) => {
                let _ = first.send(Err(error));
                return;
            }
            Err(trouble) => {
                // Until it is read, this list is not complete.
                self.shared.status.word().is_unread = true;
                self.degrade(trouble);
                Ok(Saved::default())
            }
        };
        if first.send(answer).is_err() {
            return;
        }
        while self.turn() == Wake::News {}
        self.end();
    }

    /// One round. [`Wake::Closed`] at the end.
    fn turn(&mut self) -> Wake {
        let inbox = &self.shared.inbox;
        if self.database.is_none() || !self.batch.items.is_empty() {
            if inbox.rest(self.try_at) == Wake::Closed {
                return Wake::Closed;
            }
            self.try_again();
            return Wake::News;
        }
        match inbox.wait(GATHER, self.look_at) {
            Wake::Closed => return Wake::Closed,
            Wake::News => {
                self.take();
                self.write();
                self.read_again();
                self.finish_log();
            }
            Wake::Time => {}
        }
        if Instant::now() >= self.look_at {
            self.look_after();
        }
        Wake::News
    }

    /// Writes what is left, once, and closes the file.
    fn end(&mut self) {
        if self.database.is_none() {
            // A last attempt: perhaps there is room by now.
            let _ = self
                .open()
                .map_err(|trouble| tracing::debug!(?trouble, "the store is still unavailable"));
        }
        if !self.batch.items.is_empty() {
            self.write();
        }
        if self.batch.items.is_empty() {
            self.take();
            self.write();
        }
        if self.batch.items.is_empty()
            && let Some(database) = &self.database
            && let Err(error) = write::closed(&database.connection, stamp(SystemTime::now()))
        {
            tracing::debug!(%error, "the file is not marked as closed");
        }
        let checkpointer =
            self.shared.checkpointer.lock().unwrap_or_else(PoisonError::into_inner).take();
        checkpointer.into_iter().for_each(Checkpointer::stop);
        // Works the log into the file.
        self.database = None;
        self.shared.status.progress().send_modify(|progress| progress.ended = true);
    }

    fn take(&mut self) {
        self.batch = self.shared.inbox.take();
        for item in &self.batch.items {
            self.kept.note(item);
        }
        self.shared.status.word().at_work = (self.batch.items.len(), self.batch.oldest);
    }

    /// Writes the batch; keeps it when that fails for now.
    fn write(&mut self) {
        let Some(database) = &mut self.database else { return };
        let now = stamp(SystemTime::now());
        match write::batch(&mut database.connection, &self.batch.items, self.mode, now) {
            Ok(mode) => {
                self.mode = mode;
                self.written();
            }
            Err(error) => {
                let trouble = self.shared.place.trouble(&error);
                self.degrade(trouble);
            }
        }
    }

    /// Reads everything once more where that was asked for and all is written.
    fn read_again(&mut self) {
        let all_written = self.database.is_some() && self.batch.items.is_empty();
        // What was never read is read soon anyway.
        if !all_written || !self.is_read || !std::mem::take(&mut self.wants_reading) {
            return;
        }
        match self.read() {
            Ok(saved) => self.shared.status.tell(Notice::Late(Box::new(saved))),
            Err(trouble) => self.degrade(trouble),
        }
    }

    /// Works in what the checkpointer has left of the log. Until the next commit is due there is time for that.
    fn finish_log(&mut self) {
        let Some(database) = &self.database else { return };
        if !std::mem::take(&mut self.shared.status.word().log_rest) {
            return;
        }
        if let Err(error) = checkpointer::checkpoint(&database.connection, "PASSIVE") {
            let trouble = self.shared.place.trouble(&error);
            self.degrade(trouble);
        }
    }

    fn written(&mut self) {
        self.used = Some(Instant::now());
        self.shared.inbox.done(&self.batch);
        self.wants_reading |= self.batch.items.iter().any(|item| matches!(item, Item::Read));
        self.finish_batch();
        self.recover();
    }

    fn finish_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.shared.status.word().at_work = (0, None);
        self.shared.status.progress().send_modify(|progress| {
            progress.written = progress.written.max(batch.upto);
        });
    }

    /// After a pause: the file, then what waits.
    fn try_again(&mut self) {
        if self.database.is_none()
            && let Err(trouble) = self.open()
        {
            self.degrade(trouble);
            return;
        }
        if !self.probe() {
            return;
        }
        if self.batch.items.is_empty() {
            self.take();
        }
        // Before the file is read: what was undone meanwhile must not come back.
        self.write();
        self.read_again();
        if self.database.is_some() && self.batch.items.is_empty() && !self.is_read {
            match self.read() {
                Ok(saved) => self.shared.status.tell(Notice::Late(Box::new(saved))),
                Err(trouble) => self.degrade(trouble),
            }
        }
    }

    /// Whether something can be written; to be able to read is not enough.
    fn probe(&mut self) -> bool {
        let Some(database) = &self.database else { return false };
        if let Err(error) = write::opened(&database.connection, stamp(SystemTime::now())) {
            let trouble = self.shared.place.trouble(&error);
            self.degrade(trouble);
            return false;
        }
        if !std::mem::replace(&mut self.is_marked, true) {
            if database.is_new
                && let Err(error) = write::work_in(&database.connection)
            {
                let trouble = self.shared.place.trouble(&error);
                self.degrade(trouble);
                return false;
            }
            self.tell_found();
        }
        true
    }

    /// Says what explains that less comes back than was stored.
    fn tell_found(&self) {
        let (Some(database), Some(file)) = (&self.database, self.shared.place.file()) else {
            return;
        };
        let status = &self.shared.status;
        if database.lacks_log {
            let shown = file.display();
            status.tell(Notice::Incomplete {
                error: format!(
                    "{shown} was not closed, and its write-ahead log {shown}-wal is missing; if it \
                     was copied without the log, the latest entries are lost: copy both, or use \
                     `sqlite3 FILE .backup`"
                ),
            });
        }
        // What was put aside has explained it.
        if database.is_new && self.put_aside == 0 {
            status.tell(Notice::Begun { file: file.to_owned() });
        }
    }

    fn open(&mut self) -> Result<(), Trouble> {
        let opened = match Database::open(&self.shared.place) {
            Err(Trouble::Corrupt(error)) => {
                self.put_aside(error)?;
                Database::open(&self.shared.place)
            }
            other => other,
        };
        self.database = Some(opened?);
        self.note_size();
        Ok(())
    }

    fn read(&mut self) -> Result<Saved, Trouble> {
        let Some(database) = &self.database else { return Ok(Saved::default()) };
        let saved = load::all(&database.connection, self.mode == Mode::Observe)
            .map_err(|error| self.shared.place.trouble(&error));
        let saved = match saved {
            Err(Trouble::Corrupt(error)) => {
                let salvaged = load::operators_words(&database.connection);
                self.database = None;
                self.kept.note_saved(&salvaged);
                self.put_aside(error)?;
                self.open()?;
                salvaged
            }
            other => other?,
        };
        self.kept.note_saved(&saved);
        self.used = Some(Instant::now());
        if !std::mem::replace(&mut self.is_read, true) {
            self.written_before = saved.written;
        }
        Ok(saved)
    }

    /// Is the file still there? Is it too large?
    fn look_after(&mut self) {
        self.look_at = Instant::now() + LOOK_AFTER;
        self.note_size();
        let damage = self.shared.status.word().damage.take();
        if let Some(error) = damage {
            self.degrade(Trouble::Corrupt(error));
            return;
        }
        let Some(database) = &self.database else { return };
        if !database.is_in_place(&self.shared.place) {
            let file = self.shared.place.file().unwrap_or("".as_ref()).display();
            let error = format!(
                "{file} was removed or replaced; all current data is written to a new file"
            );
            self.batch.items.splice(0..0, self.kept.items());
            self.degrade(Trouble::Unavailable(error));
            // At once, with a new file.
            self.try_at = Instant::now();
            self.shared.inbox.set_incomplete();
            return;
        }
        let now = self.past(stamp(SystemTime::now()));
        match prune::slice(&database.connection, &self.shared.settings, now) {
            Ok(Pruned::All) => {}
            Ok(Pruned::Part) => self.look_at = Instant::now() + NEXT_SLICE,
            Err(error) => {
                let trouble = self.shared.place.trouble(&error);
                self.degrade(trouble);
            }
        }
        self.rest();
    }

    /// Gives back the memory for pages of the file when nothing was written for a while. A storm needs them, a quiet
    /// host does not.
    fn rest(&mut self) {
        if self.used.is_none_or(|used| used.elapsed() < LOOK_AFTER) {
            return;
        }
        self.used = None;
        if let Some(database) = &self.database
            && let Err(error) = database.connection.execute_batch("PRAGMA shrink_memory")
        {
            tracing::debug!(%error, "the memory for pages is kept");
        }
    }

    /// The time that has passed for certain: soon after the start the system's clock may be ahead, and nothing must
    /// be too old only for that.
    fn past(&self, now: Timestamp) -> Timestamp {
        let ran = self.began.elapsed();
        match self.written_before {
            Some(written) if ran < BOOT => now.min(written + ran),
            Some(_) | None => now,
        }
    }

    fn note_size(&self) {
        let size = self.shared.place.size();
        self.shared.status.word().size_bytes = size;
    }
}
