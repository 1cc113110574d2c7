//! The latest failures, and the tables made of them.
//!
//! The tables are made on request, from a copy of the ring, and away from the tasks that ban: in the
//! worst case it is 16,384 failures of as many users and sources, which takes some milliseconds.

mod tables;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sipward_engine::{Judgement, Text, Timestamp};

pub use tables::{Attacked, Column, Patient, Row, patients, rows, users, within};

use crate::kept_judgement::{KeptJudgement, SharedTexts};
use sipward_model::clock::moved;
use sipward_model::record::Record;

/// Failures remembered at most: 15 seconds of FreeSWITCH's best. 1.1 MB; 5 MB where no text comes twice.
pub const MOST_FAILURES: usize = 16_384;

/// Phones in need of attention remembered at most. Each is reported once a day.
const MOST_PHONES: usize = 1_024;

/// How long either is remembered.
const DAY: Duration = Duration::from_secs(86_400);

/// The latest failures, and the phones that need attention.
#[derive(Debug)]
pub struct Attacks {
    failures: VecDeque<(Timestamp, KeptJudgement)>,
    texts: SharedTexts,
    phones: VecDeque<(Timestamp, Arc<Record>)>,
    since: Timestamp,
}

/// A copy to look at.
#[derive(Debug)]
pub struct Remembered {
    /// The oldest first.
    failures: Vec<(Timestamp, KeptJudgement)>,
    phones: Vec<(Timestamp, Arc<Record>)>,
    /// From then on nothing is missing.
    pub since: Timestamp,
}

/// A phone that needs attention, as it was reported.
struct Phone<'a> {
    told: Timestamp,
    source: std::net::IpAddr,
    user: &'a Text,
    user_agent: &'a Text,
    last_success: Option<Timestamp>,
}

impl Attacks {
    /// Remembers what comes from `start` on.
    pub fn new(start: Timestamp) -> Self {
        let (failures, phones) = (VecDeque::new(), VecDeque::new());
        Self { failures, texts: SharedTexts::default(), phones, since: start }
    }

    pub fn failure(&mut self, judgement: &Judgement, now: Timestamp) {
        // Before it is one more: a full ring does not grow.
        if let Some(gone) = forget(&mut self.failures, MOST_FAILURES - 1, now) {
            self.since = self.since.max(gone);
        }
        self.failures.push_back((now, self.texts.keep(judgement)));
    }

    pub fn attention(&mut self, record: &Arc<Record>, now: Timestamp) {
        self.phones.push_back((now, Arc::clone(record)));
        forget(&mut self.phones, MOST_PHONES, now);
    }

    /// Moves all times by so many µs.
    pub(super) fn shift(&mut self, by: i64) {
        let failures = self.failures.iter_mut().map(|(at, _)| at);
        for at in failures.chain(self.phones.iter_mut().map(|(at, _)| at)) {
            *at = moved(*at, by);
        }
        self.since = moved(self.since, by);
    }

    /// What is remembered at `now`.
    pub fn remembered(&mut self, now: Timestamp) -> Remembered {
        if let Some(gone) = forget(&mut self.failures, MOST_FAILURES, now) {
            self.since = self.since.max(gone);
        }
        forget(&mut self.phones, MOST_PHONES, now);
        Remembered {
            failures: self.failures.iter().cloned().collect(),
            phones: self.phones.iter().cloned().collect(),
            since: self.since.max(now.earlier(DAY)),
        }
    }
}

impl Remembered {
    /// How many failures.
    pub fn count(&self) -> usize {
        self.failures.len()
    }

    /// The failures, the newest first.
    pub fn failures(&self) -> impl Iterator<Item = (Timestamp, &KeptJudgement)> {
        self.failures.iter().rev().map(|(at, kept)| (*at, kept))
    }

    /// The phones, the latest reports first.
    fn phones(&self) -> impl Iterator<Item = Phone<'_>> {
        self.phones.iter().rev().filter_map(|(told, record)| match &**record {
            Record::NeedsAttention { address, user, user_agent, last_success } => Some(Phone {
                told: *told,
                source: *address,
                user,
                user_agent,
                last_success: last_success.map(|at| at.0),
            }),
            _ => None,
        })
    }
}

/// Drops what is too old or too much; gives the time of the latest that went.
fn forget<T>(
    ring: &mut VecDeque<(Timestamp, T)>,
    most: usize,
    now: Timestamp,
) -> Option<Timestamp> {
    let mut gone = None;
    while let Some((at, _)) = ring.front() {
        if ring.len() <= most && now.since(*at) < DAY {
            break;
        }
        gone = Some(*at);
        ring.pop_front();
    }
    gone
}

#[cfg(test)]
mod tests;
