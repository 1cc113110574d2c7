//! The one thread that writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime};

use super::database::{self, Database, Trouble};
use super::entry::{AllowEntry, Override};
use super::health::{Notice, State};
use super::inbox::{Batch, Item, Wake};
use super::prune::{self, Pruned};
use super::{Entry, Saved, Shared, StoreError, load, write};
use crate::clock::stamp;
use crate::text::Time;

/// How long entries gather, so that many share a commit. With the commit itself they are at most
/// 100 ms behind.
const GATHER: Duration = Duration::from_millis(25);

/// How often the thread looks after the file: its size, its place, what is too old.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// Pause between two looks while there is more to delete.
const NEXT_SLICE: Duration = Duration::from_millis(50);

/// Pause before it is tried again, after the first failure and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Corrupt files put aside in one run at most: a disk that breaks each new file must not be filled
/// with them.
const MOST_PUT_ASIDE: u32 = 3;

/// What the thread says once it has tried to open the file.
pub(super) type First = Result<Saved, StoreError>;

/// The writer's own.
pub(super) struct Writer {
    shared: Arc<Shared>,
    database: Option<Database>,
    /// What was taken in and is not written yet.
    batch: Batch,
    /// What a new file must hold from the beginning.
    kept: Kept,
    /// Whether the file's content is known to the daemon.
    is_read: bool,
    /// What a file was when it was lost, for the pause before the next attempt.
    pause: Duration,
    try_at: Instant,
    look_at: Instant,
    put_aside: u32,
}

/// What an operator changed: the only rows that nobody else could say again.
#[derive(Debug, Default)]
struct Kept {
    allow: BTreeMap<String, AllowEntry>,
    overrides: BTreeMap<String, Override>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            database: None,
            batch: Batch::default(),
            kept: Kept::default(),
            is_read: false,
            pause: FIRST_PAUSE,
            try_at: now,
            look_at: now + LOOK_AFTER,
            put_aside: 0,
        }
    }

    /// Opens and reads the file, says so, and writes until no handle is left.
    pub(super) fn run(mut self, first: &SyncSender<First>) {
        let answer = match self.open() {
            Ok(()) => self.read(),
            Err(trouble) => Err(trouble),
        };
        let answer = match answer {
            Ok(saved) => Ok(saved),
            Err(Trouble::Refused(error)) => {
                let _ = first.send(Err(error));
                return;
            }
            Err(trouble) => {
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
            let _ = self.open().map_err(|trouble| tracing::debug!(?trouble, "still no store"));
        }
        if !self.batch.items.is_empty() {
            self.write();
        }
        if self.batch.items.is_empty() {
            self.take();
            self.write();
        }
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
        let observed = self.shared.settings.observe;
        match write::batch(&mut database.connection, &self.batch.items, observed) {
            Ok(()) => self.written(),
            Err(error) => {
                let trouble = self.shared.place.trouble(&error);
                self.degrade(trouble);
            }
        }
    }

    fn written(&mut self) {
        self.shared.inbox.done(&self.batch);
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
        if self.batch.items.is_empty() {
            self.take();
        }
        // Before the file is read: what was undone meanwhile must not come back.
        self.write();
        if self.database.is_some() && self.batch.items.is_empty() && !self.is_read {
            match self.read() {
                Ok(saved) => {
                    self.shared.status.word().is_unread = true;
                    self.shared.status.tell(Notice::Late(Box::new(saved)));
                }
                Err(trouble) => self.degrade(trouble),
            }
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
        let saved = load::all(&database.connection, self.shared.settings.observe)
            .map_err(|error| self.shared.place.trouble(&error));
        let saved = match saved {
            Err(Trouble::Corrupt(error)) => {
                self.database = None;
                self.put_aside(error)?;
                self.open()?;
                Saved::default()
            }
            other => other?,
        };
        self.kept.note_saved(&saved);
        self.is_read = true;
        Ok(saved)
    }

    /// A corrupt file gets another name; a new one will begin with what is known here.
    fn put_aside(&mut self, error: String) -> Result<(), Trouble> {
        let Some(file) = self.shared.place.file() else {
            return Err(Trouble::Unavailable(error));
        };
        let shown = file.display();
        if self.put_aside >= MOST_PUT_ASIDE {
            return Err(Trouble::Unavailable(format!(
                "{shown} is corrupt again ({error}), after {MOST_PUT_ASIDE} others in this run; \
                 replace the disk, or set `store.path` to a file elsewhere, and restart"
            )));
        }
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let kept = database::put_aside(file, &now).map_err(|failed| {
            Trouble::Unavailable(format!(
                "{shown} is corrupt ({error}) and cannot be renamed: {failed}; move it away"
            ))
        })?;
        self.put_aside += 1;
        self.shared.status.word().set_aside = Some(kept.clone());
        self.shared.inbox.set_incomplete();
        self.batch.items.splice(0..0, self.kept.items());
        self.is_read = true;
        self.shared.status.tell(Notice::SetAside { kept, error });
        Ok(())
    }

    /// Something is wrong: says so once, and when to try again.
    fn degrade(&mut self, trouble: Trouble) {
        let error = match trouble {
            Trouble::Corrupt(error) => {
                self.database = None;
                match self.put_aside(error) {
                    // At once, with a new file.
                    Ok(()) => {
                        self.try_at = Instant::now();
                        return;
                    }
                    Err(Trouble::Unavailable(error) | Trouble::Indigestible(error)) => error,
                    Err(Trouble::Corrupt(error)) => error,
                    Err(Trouble::Refused(error)) => error.to_string(),
                }
            }
            Trouble::Indigestible(error) if !self.batch.items.is_empty() => {
                // Trying again would stop everything behind it. What stands is written anew.
                tracing::error!(%error, entries = self.batch.items.len(), "the store refused entries");
                self.shared.inbox.give_up(&self.batch);
                self.finish_batch();
                return;
            }
            Trouble::Unavailable(error) | Trouble::Indigestible(error) => {
                self.database = None;
                error
            }
            Trouble::Refused(error) => {
                self.database = None;
                error.to_string()
            }
        };
        self.try_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        {
            let mut word = self.shared.status.word();
            let since = match &word.state {
                State::Ok => Time(stamp(SystemTime::now())),
                State::Degraded { since, .. } => *since,
            };
            let was_ok = word.state == State::Ok;
            word.state = State::Degraded { error: error.clone(), since };
            drop(word);
            if was_ok {
                self.shared.status.tell(Notice::Degraded { error });
            }
        }
        self.shared.status.progress().send_modify(|progress| progress.degraded = true);
    }

    fn recover(&mut self) {
        self.pause = FIRST_PAUSE;
        let was = std::mem::replace(&mut self.shared.status.word().state, State::Ok);
        if was != State::Ok {
            self.shared.status.progress().send_modify(|progress| progress.degraded = false);
            let (_, _, dropped) = self.shared.inbox.figures();
            self.shared.status.tell(Notice::Recovered { dropped });
            self.note_size();
        }
    }

    /// Is the file still there? Is it too large?
    fn look_after(&mut self) {
        self.look_at = Instant::now() + LOOK_AFTER;
        self.note_size();
        let Some(database) = &self.database else { return };
        if !database.is_in_place(&self.shared.place) {
            let file = self.shared.place.file().unwrap_or("".as_ref()).display();
            let error = format!("{file} was removed or replaced; what is known is written anew");
            self.batch.items.splice(0..0, self.kept.items());
            self.degrade(Trouble::Unavailable(error));
            // At once, with a new file.
            self.try_at = Instant::now();
            self.shared.inbox.set_incomplete();
            return;
        }
        let now = stamp(SystemTime::now());
        match prune::slice(&database.connection, &self.shared.settings, now) {
            Ok(Pruned::All) => {}
            Ok(Pruned::Part) => self.look_at = Instant::now() + NEXT_SLICE,
            Err(error) => {
                let trouble = self.shared.place.trouble(&error);
                self.degrade(trouble);
            }
        }
    }

    fn note_size(&self) {
        let size = self.shared.place.size();
        self.shared.status.word().size_bytes = size;
    }
}

impl Kept {
    fn note_saved(&mut self, saved: &Saved) {
        let allow = saved.allow.iter().map(|entry| (entry.host.to_string(), entry.clone()));
        self.allow.extend(allow);
        self.overrides.extend(saved.overrides.iter().map(|set| (set.key.clone(), set.clone())));
    }

    fn note(&mut self, item: &Item) {
        let Item::Entry(entry) = item else { return };
        match entry {
            Entry::Allow(allowed) => {
                self.allow.insert(allowed.host.to_string(), allowed.clone());
            }
            Entry::Disallow { host } => {
                self.allow.remove(&host.to_string());
            }
            Entry::Override(set) => {
                self.overrides.insert(set.key.clone(), set.clone());
            }
            Entry::Reset { key } => {
                self.overrides.remove(key);
            }
            Entry::Ban { .. }
            | Entry::Unban { .. }
            | Entry::Refused { .. }
            | Entry::Remember(_) => {}
        }
    }

    fn items(&self) -> Vec<Item> {
        let allow = self.allow.values().cloned().map(Entry::Allow);
        let overrides = self.overrides.values().cloned().map(Entry::Override);
        allow.chain(overrides).map(Item::Entry).collect()
    }
}
