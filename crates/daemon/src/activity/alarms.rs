//! What needed an operator within the last day, and which of it is over.

mod change;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sipward_engine::Timestamp;

use change::{AlarmChange, change};
use sipward_model::wire::{AlarmKind, AlarmState};

use sipward_model::clock::moved;
use sipward_model::record::Record;

/// Alarms remembered at most. Each holds the record of its latest time, about 1 kB.
const MOST: usize = 256;

/// How long an alarm is remembered after its latest report, unless it is active.
const DAY: Duration = Duration::from_secs(86_400);

/// What comes again within this time is the same alarm, once more.
const SAME: Duration = Duration::from_secs(600);

/// The alarms of a day.
#[derive(Debug, Default)]
pub struct Alarms {
    /// The newest last.
    entries: VecDeque<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    concern: AlarmKind,
    /// Which of several: a receiver of mail, an address, a user.
    about: Option<String>,
    first: Timestamp,
    last: Timestamp,
    times: u32,
    /// The latest report.
    record: Arc<Record>,
    ended: Option<Timestamp>,
}

/// A state that its owner reports as active now, whatever the records say.
#[derive(Clone, Debug)]
pub struct ActiveState {
    pub concern: AlarmKind,
    /// For a state without a record within a day.
    pub since: Timestamp,
    pub text: String,
}

/// An alarm as it is now.
#[derive(Clone, Debug)]
pub struct Seen {
    pub concern: AlarmKind,
    pub first: Timestamp,
    pub last: Timestamp,
    pub times: u32,
    /// `None` if there is only the state itself.
    pub record: Option<Arc<Record>>,
    pub text: String,
    /// `None` for what has no end.
    pub standing: Option<bool>,
    pub ended: Option<Timestamp>,
}

impl Seen {
    /// How much it weighs at `now`; `None` when it is over.
    pub fn weighs(&self, now: Timestamp) -> Option<AlarmState> {
        let fresh = || now.since(self.last) < self.concern.counts_for();
        let counts = self.standing.unwrap_or_else(fresh);
        counts.then(|| self.concern.severity())
    }
}

impl Alarms {
    /// Adds a record of the time `now`.
    pub fn note(&mut self, record: &Arc<Record>, now: Timestamp) {
        match change(record) {
            Some(AlarmChange::Raised(concern, about)) => self.raise(concern, about, record, now),
            Some(AlarmChange::Over(concern, about)) => self.end(concern, about.as_deref(), now),
            None => {}
        }
    }

    /// All of them, the newest first. `standing` is what the owners report of the states they watch
    /// ([`AlarmKind::is_watched`]); the others are active until their end is recorded.
    pub fn read(&self, standing: &[ActiveState], now: Timestamp) -> Vec<Seen> {
        let remembered = self.entries.iter().rev();
        let young = remembered.filter(|entry| !is_old(entry, now));
        let mut unmatched: Vec<&ActiveState> = standing.iter().collect();
        let mut seen: Vec<Seen> = Vec::new();
        for entry in young {
            let found = unmatched.iter().position(|state| state.concern == entry.concern);
            let stands = if entry.concern.is_watched() {
                // The newest of its kind is the current state.
                found.map(|place| unmatched.swap_remove(place)).is_some()
            } else {
                entry.ended.is_none()
            };
            seen.push(Seen {
                concern: entry.concern,
                first: entry.first,
                last: entry.last,
                times: entry.times,
                record: Some(Arc::clone(&entry.record)),
                text: entry.record.to_string(),
                standing: entry.concern.has_end().then_some(stands),
                ended: if stands { None } else { entry.ended },
            });
        }
        seen.extend(unmatched.into_iter().map(|state| Seen {
            concern: state.concern,
            first: state.since,
            last: state.since,
            times: 1,
            record: None,
            text: state.text.clone(),
            standing: Some(true),
            ended: None,
        }));
        seen.sort_by_key(|alarm| std::cmp::Reverse(alarm.last));
        seen
    }

    fn raise(
        &mut self,
        concern: AlarmKind,
        about: Option<String>,
        record: &Arc<Record>,
        now: Timestamp,
    ) {
        let open = self.entries.iter_mut().rev().find(|entry| {
            let same = entry.concern == concern && entry.about == about && entry.ended.is_none();
            same && (concern.has_end() || now.since(entry.last) < SAME)
        });
        if let Some(entry) = open {
            entry.last = now;
            entry.times = entry.times.saturating_add(1);
            entry.record = Arc::clone(record);
            return;
        }
        if self.entries.len() >= MOST {
            // Ended alarms are dropped before active ones.
            let over = self
                .entries
                .iter()
                .position(|entry| entry.ended.is_some() || !entry.concern.has_end());
            self.entries.remove(over.unwrap_or_default());
        }
        let record = Arc::clone(record);
        let (first, last) = (now, now);
        self.entries.push_back(Entry {
            concern,
            about,
            first,
            last,
            times: 1,
            record,
            ended: None,
        });
        self.entries.retain(|entry| !is_old(entry, now));
    }

    /// Moves all times by so many µs.
    pub(super) fn shift(&mut self, by: i64) {
        for entry in &mut self.entries {
            entry.first = moved(entry.first, by);
            entry.last = moved(entry.last, by);
            entry.ended = entry.ended.map(|ended| moved(ended, by));
        }
    }

    fn end(&mut self, concern: AlarmKind, about: Option<&str>, now: Timestamp) {
        for entry in &mut self.entries {
            if entry.concern == concern && entry.about.as_deref() == about {
                entry.ended.get_or_insert(now);
            }
        }
    }
}

fn is_old(entry: &Entry, now: Timestamp) -> bool {
    let stands = entry.concern.has_end() && entry.ended.is_none();
    let last = entry.ended.map_or(entry.last, |ended| ended.max(entry.last));
    !stands && now.since(last) >= DAY
}

#[cfg(test)]
mod tests;
