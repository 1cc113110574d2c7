//! The state that the engine's task keeps from its own records: the daemon's state, the latest failures.

use std::collections::VecDeque;

use sipward_engine::Timestamp;

use crate::kept_judgement::{KeptJudgement, SharedTexts};
use sipward_model::clock::moved;
use sipward_model::record::Record;

/// Failures remembered: some 0.3 MB, and four seconds of FreeSWITCH's best.
pub const FAILURES: usize = 4_096;

/// The state of the daemon.
#[derive(Debug)]
pub struct DaemonState {
    /// Since when the connection is as it is.
    pub since: Timestamp,
    /// Why there is no connection.
    pub error: Option<String>,
    /// Events dropped since the start.
    pub dropped: u64,
    /// What the gate covers; `None` when nothing touches the kernel.
    pub gate: Option<Gate>,
    failures: VecDeque<Failure>,
    texts: SharedTexts,
    next_id: u64,
}

/// What the gate covers.
#[derive(Clone, Debug)]
pub struct Gate {
    pub ipv4_inbound: bool,
    pub ipv6_inbound: bool,
    /// The table that holds the bans.
    pub table: u32,
    pub gaps: Vec<String>,
}

/// One of the latest failures.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Counts up from 1.
    pub id: u64,
    pub at: Timestamp,
    pub judgement: KeptJudgement,
}

impl DaemonState {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            error: None,
            dropped: 0,
            gate: None,
            failures: VecDeque::new(),
            texts: SharedTexts::default(),
            next_id: 1,
        }
    }

    /// Moves all times by so many µs.
    pub(super) fn shift(&mut self, by: i64) {
        self.since = moved(self.since, by);
        for failure in &mut self.failures {
            failure.at = moved(failure.at, by);
        }
    }

    /// Adds a record before it is reported.
    pub(super) fn note(&mut self, record: &Record, now: Timestamp) {
        match record {
            Record::EslConnected { .. } => {
                self.since = now;
                self.error = None;
            }
            Record::EslDisconnected { error, .. } => {
                // The next attempts that fail are the same state.
                let first = self.error.replace(error.clone()).is_none();
                self.since = if first { now } else { self.since };
            }
            Record::EslOverflow { dropped } => self.dropped = self.dropped.saturating_add(*dropped),
            Record::Gate { ipv4_inbound, ipv6_inbound, table, gaps } => {
                let (ipv4_inbound, ipv6_inbound, table) = (*ipv4_inbound, *ipv6_inbound, *table);
                self.gate = Some(Gate { ipv4_inbound, ipv6_inbound, table, gaps: gaps.clone() });
            }
            Record::AuthFailure(judgement) => {
                if self.failures.len() >= FAILURES {
                    self.failures.pop_front();
                }
                let id = self.next_id;
                let judgement = self.texts.keep(judgement);
                self.failures.push_back(Failure { id, at: now, judgement });
                self.next_id += 1;
            }
            _ => {}
        }
    }

    /// The latest failures, newest first.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.failures.iter().rev()
    }
}
