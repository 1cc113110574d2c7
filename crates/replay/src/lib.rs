//! Recordings and log files played through a policy in simulated time: what would have been banned,
//! when, why, and what that would have cost the phones.
//!
//! It uses the daemon's own code: [`bridge::translate`](sipward_ingest::bridge::translate) and the
//! [`LogReader`](sipward_ingest::log_parser::LogReader) read, the engine decides, and nothing is carried out. So a
//! replay says what `mode = "observe"` would have logged: a source that would have been banned goes on
//! in the recording, and its further failures count for nothing until the ban has ended.
//!
//! | module | holds |
//! |---|---|
//! | [`source`] | a file, plain or gzip, opened by its content |
//! | `stream` | recordings of the Event Socket, broken ones too |
//! | `logfile` | FreeSWITCH's log files: rows put together to messages |
//! | `trace` | rows between the messages, and rows that are of no use |
//! | `prefix` | what docker, the journal or grep put before each row |
//! | `local` | their local times |
//! | [`simulation`] | one policy at work |
//! | `logins` | addresses with log-ins, and the bans that would have hit them |
//! | [`report`] | the outcome as data; the JSON form is what serde makes of it |
//! | [`compare`] | what two policies do differently |
//! | [`table`] | the outcome for people |
//! | `recorder` | recordings: `sipward record` and the daemon's own |
//! | `tally` | counts of what was read |
//!
//! Everything up to [`simulation`] is pure: bytes in, decisions out, no clock. Memory is bounded: files are
//! read through constant buffers, lists are cut at a named length and counted to their end. It knows no kernel, no
//! store and no running daemon.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

pub mod compare;
mod local;
mod logfile;
mod logins;
mod prefix;
pub mod recorder;
pub mod report;
pub mod simulation;
pub mod source;
mod stream;
pub mod table;
mod tally;
mod trace;

use std::time::Duration;

use sipward_engine::Timestamp;
use sipward_esl::{Event, LogLine};

pub use self::compare::Comparison;
pub use self::local::Local;
pub use self::report::Report;
pub use self::simulation::Simulation;
pub use self::source::{Source, SourceError};
pub use self::tally::{Kind, Tally, Unread, UnreadKind};

/// The next input of a source, and when it happened.
#[derive(Debug)]
pub struct Timed {
    /// Never before that of the item before it in the same source.
    pub at: Timestamp,
    /// What happened just before it may be missing: the connection began here, or bytes were damaged.
    pub after_gap: bool,
    /// The input.
    pub item: Item,
}

/// An input of a source.
#[derive(Debug)]
pub enum Item {
    /// An event of a recording.
    Event(Event),
    /// A log line of a recording.
    Line(LogLine),
    /// A whole message of a log file.
    Message(Vec<u8>),
}

/// Plays the sources, whatever comes first first, before each of the simulations. `progress` is called after
/// each item.
pub fn play(sources: &mut [Source], simulations: &mut [Simulation], mut progress: impl FnMut()) {
    let mut heads: Vec<Option<Timed>> = sources.iter_mut().map(Source::next).collect();
    while let Some((index, timed)) = earliest(&mut heads) {
        for simulation in &mut *simulations {
            simulation.hear(&timed);
        }
        progress();
        if let (Some(head), Some(source)) = (heads.get_mut(index), sources.get_mut(index)) {
            *head = source.next();
        }
    }
}

/// Takes the earliest head; of several, that of the first source.
fn earliest(heads: &mut [Option<Timed>]) -> Option<(usize, Timed)> {
    let times = heads.iter().enumerate();
    let times = times.filter_map(|(index, head)| head.as_ref().map(|head| (head.at, index)));
    let (_, index) = times.min()?;
    let head = heads.get_mut(index)?.take()?;
    Some((index, head))
}

/// The time of an input: it never goes back, because the engine's time does not.
#[derive(Debug, Default)]
struct StreamClock {
    first: Option<Timestamp>,
    now: Option<Timestamp>,
    /// What is added to the source's times since its clock was set back.
    ahead: Duration,
    /// The source's time of what came more than [`STEP`](Self::STEP) too late, just now.
    stepped_to: Option<Timestamp>,
    /// How often it was late by more than [`SLACK`](Self::SLACK).
    set_back: u64,
    /// How often the source's clock was set back, and followed.
    steps: u64,
}

impl StreamClock {
    /// Events carry the time of a tick of 20 ms, log lines the exact one; threads of FreeSWITCH overtake
    /// each other by less than a second.
    const SLACK: Duration = Duration::from_secs(1);

    /// Two items in a row that are later than this show that the source's clock was set back, or that an hour came
    /// twice. Less is what files that were put together from several streams show all the time.
    const STEP: Duration = Duration::from_secs(60);

    /// Earliest and latest time that is believed: the years 2000 and 2200. Anything else is damage.
    const PLAUSIBLE: std::ops::Range<u64> = 946_684_800_000_000..7_258_118_400_000_000;

    /// The clock at an item dated `at`.
    fn set(&mut self, at: Timestamp) -> Option<Timestamp> {
        if !Self::PLAUSIBLE.contains(&at.as_micros()) {
            return None;
        }
        self.first.get_or_insert(at);
        let before = *self.now.get_or_insert(at);
        let behind = before.since(at + self.ahead);
        match self.stepped_to.take() {
            Some(first) if behind > Self::STEP => {
                // The first one was judged at `before`, so from there on time goes on.
                self.ahead = before.since(first);
                self.set_back -= 1;
                self.steps += 1;
            }
            _ => {
                self.set_back += u64::from(behind > Self::SLACK);
                self.stepped_to = (behind > Self::STEP).then_some(at);
            }
        }
        let now = before.max(at + self.ahead);
        self.now = Some(now);
        Some(now)
    }
}

#[cfg(test)]
mod tests;
