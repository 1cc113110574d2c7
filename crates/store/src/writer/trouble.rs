//! What goes wrong with the file, and what is done about it.

use std::time::{Duration, Instant, SystemTime};

use super::super::database::{self, Trouble};
use super::super::health::{Notice, State};
use super::super::inbox::Item;
use super::Writer;
use crate::Entry;
use sipward_model::backoff::Backoff;
use sipward_model::clock::stamp;
use sipward_model::text::Time;

/// Before the file is tried again.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(15) };

/// Corrupt files put aside in one run at most: a disk that breaks each new file must not be filled
/// with them.
const MOST_PUT_ASIDE: u32 = 3;

impl Writer {
    /// A corrupt file gets another name; a new one will begin with what is known here.
    pub(super) fn put_aside(&mut self, error: String) -> Result<(), Trouble> {
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
        self.batch.items.splice(0..0, self.kept.items());
        self.is_read = true;
        {
            let mut word = self.shared.status.word();
            word.set_aside = Some(kept.clone());
            word.is_unread = false;
        }
        self.shared.inbox.set_incomplete();
        self.shared.status.tell(Notice::SetAside { kept, error });
        Ok(())
    }

    /// Something is wrong: says so once, and when to try again.
    pub(super) fn degrade(&mut self, trouble: Trouble) {
        let error = match trouble {
            Trouble::Corrupt(error) => {
                self.database = None;
                match self.put_aside(error) {
                    // At once, with a new file.
                    Ok(()) => {
                        self.try_at = Instant::now();
                        return;
                    }
                    Err(Trouble::Unavailable(error) | Trouble::InvalidData(error)) => error,
                    Err(Trouble::Corrupt(error)) => error,
                    Err(Trouble::Refused(error)) => error.to_string(),
                }
            }
            Trouble::InvalidData(error) => {
                self.database = None;
                // The same entries again would block everything behind them. The active bans are written again.
                if !self.batch.items.is_empty() {
                    for item in &self.batch.items {
                        if let Item::Entry(Entry::Mode(mode)) = item {
                            self.mode = *mode;
                        }
                    }
                    self.shared.inbox.give_up(&self.batch);
                    self.finish_batch();
                }
                error
            }
            Trouble::Unavailable(error) => {
                self.database = None;
                error
            }
            Trouble::Refused(error) => {
                self.database = None;
                error.to_string()
            }
        };
        self.failures = self.failures.saturating_add(1);
        self.try_at = Instant::now() + BACKOFF.pause(self.failures);
        self.tell_degraded(error);
        self.shared.status.progress().send_modify(|progress| progress.degraded = true);
    }

    fn tell_degraded(&self, error: String) {
        let now = Time(stamp(SystemTime::now()));
        let mut word = self.shared.status.word();
        let before = match word.state {
            State::Ok => None,
            State::Degraded { since, .. } => Some(since),
        };
        word.state = State::Degraded { error: error.clone(), since: before.unwrap_or(now) };
        drop(word);
        if before.is_none() {
            self.shared.status.tell(Notice::Degraded { error });
        }
    }

    /// It works again.
    pub(super) fn recover(&mut self) {
        self.failures = 0;
        let was = std::mem::replace(&mut self.shared.status.word().state, State::Ok);
        if was != State::Ok {
            self.shared.status.progress().send_modify(|progress| progress.degraded = false);
            let (_, _, dropped) = self.shared.inbox.figures();
            self.shared.status.tell(Notice::Recovered { dropped });
            self.note_size();
        }
    }
}
