//! What needed an operator within the last day, and which of it is over.

mod acknowledged;
mod change;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sipward_engine::Timestamp;

use acknowledged::Acknowledgements;
use change::{AlarmChange, change};
use sipward_model::wire::{AlarmKind, AlarmState};

use sipward_model::clock::moved;
use sipward_model::record::Record;
use sipward_model::record::line;
use sipward_store::{SavedAcknowledgement, SavedAlarm};

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
    acknowledged: Acknowledgements,
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
    report: Report,
    ended: Option<Timestamp>,
}

/// What was reported.
#[derive(Clone, Debug)]
pub enum Report {
    /// In this run.
    Record(Arc<Record>),
    /// In an earlier run: the log line for people, and its fields.
    Saved { text: String, fields: serde_json::Map<String, serde_json::Value> },
}

impl Report {
    fn text(&self) -> String {
        match self {
            Self::Record(record) => record.to_string(),
            Self::Saved { text, .. } => text.clone(),
        }
    }
}

/// What the store is to keep of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// An alarm that nothing reports again after a restart.
    Raised(SavedAlarm),
    /// An acknowledged alarm is over.
    Ended(AlarmKind, Option<String>),
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
    /// Which of several.
    pub about: Option<String>,
    pub first: Timestamp,
    pub last: Timestamp,
    pub times: u32,
    /// `None` if there is only the state itself.
    pub report: Option<Report>,
    pub text: String,
    /// `None` for what has no end.
    pub standing: Option<bool>,
    pub ended: Option<Timestamp>,
    /// Who has acknowledged it, and when.
    pub acknowledged: Option<(String, Timestamp)>,
}

impl Seen {
    /// How much it weighs at `now`; `None` when it is over, or acknowledged.
    pub fn weighs(&self, now: Timestamp) -> Option<AlarmState> {
        let fresh = || now.since(self.last) < self.concern.counts_for();
        let counts = self.standing.unwrap_or_else(fresh);
        (counts && self.acknowledged.is_none()).then(|| self.concern.severity())
    }
}

impl Alarms {
    /// Adds a record of the time `now`. Gives what the store is to keep of it.
    pub fn note(&mut self, record: &Arc<Record>, now: Timestamp) -> Option<Kept> {
        match change(record)? {
            AlarmChange::Raised(concern, about) => {
                let (first, times) = self.raise(concern, about.clone(), record, now);
                // Of one that comes again and again, ever fewer are written. A node's shadow is restored from it.
                let is_kept = times.is_power_of_two() || concern == AlarmKind::PeerShadowed;
                (!concern.has_end() && is_kept).then(|| {
                    let data = serde_json::to_string(&line(record, now).fields);
                    Kept::Raised(SavedAlarm {
                        kind: concern,
                        about,
                        text: record.to_string(),
                        data: data.unwrap_or_default(),
                        since: first,
                        last: now,
                        times,
                    })
                })
            }
            AlarmChange::Over(concern, about) => {
                self.end(concern, about.as_deref(), now);
                let known = self.acknowledged.end(concern, about.as_deref());
                known.then_some(Kept::Ended(concern, about))
            }
        }
    }

    /// Takes over the alarms of an earlier run, and which were acknowledged. Where the store opens late, what was
    /// reported meanwhile stays.
    pub fn restore(
        &mut self,
        acknowledged: Vec<SavedAcknowledgement>,
        alarms: Vec<SavedAlarm>,
        now: Timestamp,
    ) {
        self.acknowledged.restore(acknowledged);
        for saved in alarms.into_iter().rev() {
            let SavedAlarm { kind, about, text, data, since, last, times } = saved;
            let known =
                self.entries.iter().any(|entry| entry.concern == kind && entry.about == about);
            if known || self.entries.len() >= MOST {
                continue;
            }
            let fields = serde_json::from_str(&data).unwrap_or_default();
            let report = Report::Saved { text, fields };
            let entry =
                Entry { concern: kind, about, first: since, last, times, report, ended: None };
            if !is_old(&entry, now) {
                self.entries.push_front(entry);
            }
        }
    }

    /// Acknowledges the alarms of a kind, or the one about this, in the name of `name`. Gives those that were not
    /// before.
    pub fn acknowledge(
        &mut self,
        (concern, about): (AlarmKind, Option<&str>),
        name: &str,
        standing: &[ActiveState],
        now: Timestamp,
    ) -> Vec<SavedAcknowledgement> {
        let wanted = |seen: &Seen| {
            let named = about.is_none_or(|about| seen.about.as_deref() == Some(about));
            seen.concern == concern && named && seen.acknowledged.is_none()
        };
        let mut done: Vec<SavedAcknowledgement> = Vec::new();
        for seen in self.read(standing, now).into_iter().filter(wanted) {
            // Of several alarms about the same the newest is kept; it covers the earlier ones.
            if done.iter().any(|alarm| alarm.about == seen.about) {
                continue;
            }
            let alarm = SavedAcknowledgement {
                kind: concern,
                about: seen.about,
                text: seen.text,
                since: seen.first,
                last: seen.last,
                name: name.to_owned(),
                at: now,
            };
            self.acknowledged.add(alarm.clone());
            done.push(alarm);
        }
        done
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
                about: entry.about.clone(),
                first: entry.first,
                last: entry.last,
                times: entry.times,
                text: entry.report.text(),
                report: Some(entry.report.clone()),
                standing: entry.concern.has_end().then_some(stands),
                ended: if stands { None } else { entry.ended },
                acknowledged: None,
            });
        }
        seen.extend(unmatched.into_iter().map(|state| Seen {
            concern: state.concern,
            about: None,
            first: state.since,
            last: state.since,
            times: 1,
            report: None,
            text: state.text.clone(),
            standing: Some(true),
            ended: None,
            acknowledged: None,
        }));
        for alarm in &mut seen {
            let by = self.acknowledged.of(alarm.concern, alarm.about.as_deref(), alarm.first);
            alarm.acknowledged = by.map(|by| (by.name.clone(), by.at));
        }
        let forgotten = self.acknowledged.of_earlier_runs().filter(|alarm| {
            let listed = |it: &Seen| it.concern == alarm.kind && it.about == alarm.about;
            now.since(alarm.at) < DAY && !seen.iter().any(listed)
        });
        let forgotten: Vec<Seen> = forgotten.map(of_earlier_run).collect();
        seen.extend(forgotten);
        seen.sort_by_key(|alarm| std::cmp::Reverse(alarm.last));
        seen
    }

    /// Gives when it was first reported, and how often.
    fn raise(
        &mut self,
        concern: AlarmKind,
        about: Option<String>,
        record: &Arc<Record>,
        now: Timestamp,
    ) -> (Timestamp, u32) {
        let open = self.entries.iter_mut().rev().find(|entry| {
            let same = entry.concern == concern && entry.about == about && entry.ended.is_none();
            same && (concern.has_end() || now.since(entry.last) < SAME)
        });
        if let Some(entry) = open {
            entry.last = now;
            entry.times = entry.times.saturating_add(1);
            entry.report = Report::Record(Arc::clone(record));
            return (entry.first, entry.times);
        }
        if self.entries.len() >= MOST {
            // Ended alarms are dropped before active ones.
            let over = self
                .entries
                .iter()
                .position(|entry| entry.ended.is_some() || !entry.concern.has_end());
            self.entries.remove(over.unwrap_or_default());
        }
        let report = Report::Record(Arc::clone(record));
        let (first, last) = (now, now);
        self.entries.push_back(Entry {
            concern,
            about,
            first,
            last,
            times: 1,
            report,
            ended: None,
        });
        self.entries.retain(|entry| !is_old(entry, now));
        (now, 1)
    }

    /// Moves all times by so many µs.
    pub(super) fn shift(&mut self, by: i64) {
        self.acknowledged.shift(by);
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

/// An acknowledged alarm of which nothing else is known any more.
fn of_earlier_run(alarm: &SavedAcknowledgement) -> Seen {
    Seen {
        concern: alarm.kind,
        about: alarm.about.clone(),
        first: alarm.since,
        last: alarm.last,
        times: 1,
        report: None,
        text: alarm.text.clone(),
        standing: None,
        ended: None,
        acknowledged: Some((alarm.name.clone(), alarm.at)),
    }
}

fn is_old(entry: &Entry, now: Timestamp) -> bool {
    let stands = entry.concern.has_end() && entry.ended.is_none();
    let last = entry.ended.map_or(entry.last, |ended| ended.max(entry.last));
    !stands && now.since(last) >= DAY
}

#[cfg(test)]
mod tests;
