//! How the transport is, for metrics and status.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::message::Kind;
use crate::name::Peer;
use crate::refusal::Refusal;
use crate::text::Text;

/// Upper bounds of [`Delays`], in milliseconds.
pub const DELAY_BOUNDS: [u64; 10] = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000];

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// Not tried yet.
    #[default]
    Starting,
    /// Connected to this server.
    Connected {
        /// Name of the server.
        server: String,
    },
    /// Not connected; it is tried again.
    Down {
        /// Why.
        why: String,
    },
}

/// Another process with this node's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// What it calls itself.
    pub instance: Text<32>,
    /// When it started, in milliseconds since 1970 by its clock.
    pub started: u64,
    /// This one started later, so it says nothing until the other is gone.
    pub we_yield: bool,
}

/// How long messages took from the stream to this node, since the start; those that it caught up with do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// Messages by [`DELAY_BOUNDS`], not cumulative; the last is for those beyond all bounds.
    pub buckets: [u64; DELAY_BOUNDS.len() + 1],
    /// Their sum, in milliseconds.
    pub sum_ms: u64,
}

/// How the transport is. All counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The connection.
    pub state: State,
    /// What went wrong last with the stream, if it has not gone well since.
    pub trouble: Option<String>,
    /// Whether all that the stream had at the connection has been handed over.
    pub caught_up: bool,
    /// Greatest `n` given out. The owner stores it now and then, for [`Start::n`](crate::Start::n).
    pub n: u64,
    /// Revision of the stream that has been handed over.
    pub applied: u64,
    /// Revisions of the stream beyond that, when it was last compared.
    pub behind: u64,
    /// What this node says and no stream has acknowledged.
    pub unacknowledged: usize,
    /// What stands of this node.
    pub standing: usize,
    /// Keys that others said and that are remembered.
    pub remembered: usize,
    /// Messages received and read, by kind, on both paths.
    pub received: BTreeMap<Kind, u64>,
    /// Messages refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Messages that were there already: most come on both paths.
    pub repeated: u64,
    /// Messages of the core path that found no room, at least; the stream brought them.
    pub dropped: u64,
    /// Messages acknowledged by a stream.
    pub said: u64,
    /// Connections made.
    pub connects: u64,
    /// Consumers made anew because the stream fell silent.
    pub stalls: u64,
    /// Delay from the stream to here.
    pub delays: Delays,
    /// By how many milliseconds the server's clock is ahead of this node's; `None` if not known.
    pub clock_offset_ms: Option<i64>,
    /// Peers whose clock is off by more than [`MAX_SKEW`](crate::MAX_SKEW), with the milliseconds by which it is ahead.
    pub clocks: BTreeMap<Peer, i64>,
    /// Another process with this node's name.
    pub twin: Option<Twin>,
}

/// Counters that are read without a lock.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    received: [AtomicU64; Kind::ALL.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
    pub(crate) repeated: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) said: AtomicU64,
    pub(crate) connects: AtomicU64,
    pub(crate) stalls: AtomicU64,
    buckets: [AtomicU64; DELAY_BOUNDS.len() + 1],
    sum_ms: AtomicU64,
}

pub(crate) fn add_one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

impl Counts {
    pub(crate) fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }

    pub(crate) fn received(&self, kind: Kind) {
        let at = Kind::ALL.iter().position(|other| *other == kind);
        at.and_then(|at| self.received.get(at)).into_iter().for_each(add_one);
    }

    pub(crate) fn refused(&self, reason: Refusal) {
        let at = Refusal::ALL.iter().position(|other| *other == reason);
        at.and_then(|at| self.refused.get(at)).into_iter().for_each(add_one);
    }

    pub(crate) fn delay(&self, delay: Duration) {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let at = DELAY_BOUNDS.iter().position(|bound| ms <= *bound).unwrap_or(DELAY_BOUNDS.len());
        self.buckets.get(at).into_iter().for_each(add_one);
        self.sum_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Everything but what others hold.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Snapshot {
            received: Kind::ALL.into_iter().zip(self.received.iter().map(read)).collect(),
            refused: Refusal::ALL.into_iter().zip(self.refused.iter().map(read)).collect(),
            repeated: read(&self.repeated),
            dropped: read(&self.dropped),
            said: read(&self.said),
            connects: read(&self.connects),
            stalls: read(&self.stalls),
            delays: Delays {
                buckets: self.buckets.each_ref().map(read),
                sum_ms: read(&self.sum_ms),
            },
            ..Snapshot::default()
        }
    }
}
