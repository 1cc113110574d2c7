//! The latest decisions and failures, for a short list.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use sipward_engine::Timestamp;

use sipward_model::clock::moved;
use sipward_model::record::Record;

/// Decisions remembered.
const DECISIONS: usize = 10;

/// Addresses whose failures are remembered: fewer, so that an attack leaves room for what was decided.
const FAILING: usize = 5;

/// The latest decisions, and the addresses that failed last.
#[derive(Debug, Default)]
pub struct Ticker {
    decisions: VecDeque<Tick>,
    failing: VecDeque<Tick>,
}

/// What happened, how often in a row.
#[derive(Clone, Debug)]
pub struct Tick {
    pub at: Timestamp,
    pub record: Arc<Record>,
    pub times: u64,
}

impl Ticker {
    pub(super) fn note(&mut self, record: &Arc<Record>, now: Timestamp) {
        let new = Tick { at: now, record: Arc::clone(record), times: 1 };
        match &**record {
            Record::Ban(_)
            | Record::Unban { .. }
            | Record::Refused { .. }
            | Record::FlowDenied(_)
            | Record::FlowAllowed { .. } => push(&mut self.decisions, new, DECISIONS),
            Record::AuthFailure(judgement) => {
                // One line for each address, at the place of its latest failure.
                let earlier =
                    self.failing.iter().position(|tick| failed(tick) == Some(judgement.address));
                let earlier = earlier.and_then(|place| self.failing.remove(place));
                let times = earlier.map_or(1, |tick| tick.times.saturating_add(1));
                push(&mut self.failing, Tick { times, ..new }, FAILING);
            }
            _ => {}
        }
    }

    /// The latest, the newest first.
    pub fn latest(&self) -> Vec<Tick> {
        let mut all: Vec<Tick> = self.decisions.iter().chain(&self.failing).cloned().collect();
        all.sort_by_key(|tick| std::cmp::Reverse(tick.at));
        all.truncate(DECISIONS);
        all
    }

    pub(super) fn shift(&mut self, by: i64) {
        for tick in self.decisions.iter_mut().chain(&mut self.failing) {
            tick.at = moved(tick.at, by);
        }
    }
}

fn failed(tick: &Tick) -> Option<IpAddr> {
    match &*tick.record {
        Record::AuthFailure(judgement) => Some(judgement.address),
        _ => None,
    }
}

fn push(ring: &mut VecDeque<Tick>, tick: Tick, most: usize) {
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back(tick);
}
