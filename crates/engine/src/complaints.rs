//! Joining log lines with the events of the same failures.
//!
//! FreeSWITCH reports one failed authentication up to three times: an event, the line `Can't find
//! user` and right behind it the line `SIP auth failure`. Events and lines reach us by different
//! queues, in either order. A line waits [`JOIN_LINE`] for the event; what is left is what no event
//! tells of.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::key::Key;
use crate::lru::LruTable;
use crate::{ComplaintKind, Timestamp};

/// How far apart the event and the lines of one failure may come. FreeSWITCH polls its listeners
/// every 20 ms; a busy one was seen to be late by a second.
pub(crate) const JOIN_LINE: Duration = Duration::from_secs(2);

/// Sources and users with lines that wait, at once: 2,500 failures/s, the most a SIP profile lets
/// through, of two lines each for [`JOIN_LINE`] are 10,000. Beyond it the oldest no longer waits.
const MAX_WAITING: usize = 16_384;

/// Failures remembered for their lines, oldest out first: 2,500/s for [`JOIN_LINE`] are 5,000.
const MAX_FAILURES: usize = 8_192;

/// Lines and failures of the last moments.
#[derive(Debug)]
pub(crate) struct Complaints {
    /// By source and user; in order of arrival and so of deadline.
    waiting: LruTable<u64, Lines>,
    /// Source and user of failures seen as events, in order of arrival. Most hosts never look at it,
    /// so it costs a failure no look-up.
    failures: VecDeque<(u64, Timestamp)>,
    /// The last `Can't find user` of each source: where it waits, and since when.
    unknown: LruTable<Key, (u64, Timestamp)>,
}

/// Lines of one source and user that wait for an event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    /// `None` only in a table's spare place.
    pub(crate) source: Option<IpAddr>,
    /// Lines about different failures.
    pub(crate) count: u32,
    /// What the last of them complains of.
    pub(crate) kind: Option<ComplaintKind>,
    since: Timestamp,
}

/// What became of a line.
#[derive(Debug)]
pub(crate) enum Line {
    /// An event already reported the failure.
    Joined,
    /// It waits. Lines that had to stop waiting for it come with it.
    Waits(Option<Lines>),
    /// It waits in place of the line before it, which was about the same failure.
    Replaces(Option<Lines>),
}

impl Complaints {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            waiting: LruTable::new(MAX_WAITING, seed),
            failures: VecDeque::new(),
            unknown: LruTable::new(MAX_WAITING, seed),
        }
    }

    /// A failure was seen as an event: the lines that wait for it are explained. Gives how many.
    pub(crate) fn failure(&mut self, key: u64, now: Timestamp) -> u32 {
        self.forget(now);
        if self.failures.len() >= MAX_FAILURES {
            self.failures.pop_front();
        }
        self.failures.push_back((key, now));
        if self.waiting.len() == 0 {
            return 0;
        }
        self.waiting.remove(&key).map_or(0, |lines| lines.count)
    }

    /// A line about a failed authentication, of a source (`host`) and user (`key`).
    pub(crate) fn line(
        &mut self,
        key: u64,
        (source, host): (IpAddr, Key),
        kind: ComplaintKind,
        now: Timestamp,
    ) -> Line {
        self.forget(now);
        // Its own `Can't find user` came just before, maybe with another name.
        let replaces = kind == ComplaintKind::AuthFailure && self.take_unknown(&host, now);
        let told = |(other, _): &(u64, Timestamp)| *other == key;
        if self.failures.iter().rev().any(told) {
            return Line::Joined;
        }
        if kind == ComplaintKind::UnknownUser {
            *self.unknown.entry(host) = (key, now);
        }
        if let Some(slot) = self.waiting.find(&key) {
            if let Some(lines) = self.waiting.value_mut(slot) {
                lines.count = lines.count.saturating_add(1);
                lines.kind = Some(kind);
            }
            return if replaces { Line::Replaces(None) } else { Line::Waits(None) };
        }
        let (slot, evicted) = self.waiting.find_or_insert(key);
        if let Some(lines) = self.waiting.value_mut(slot) {
            *lines = Lines { source: Some(source), count: 1, kind: Some(kind), since: now };
        }
        let evicted = evicted.map(|(_, lines)| lines);
        if replaces { Line::Replaces(evicted) } else { Line::Waits(evicted) }
    }

    /// When the next line has waited long enough.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let oldest = self.waiting.oldest()?;
        Some(oldest.since + JOIN_LINE)
    }

    /// The next lines that have waited long enough.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Lines> {
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        self.waiting.evict().map(|(_, lines)| lines)
    }

    /// The line before this one was about the same failure. True when it still waited: it no longer does.
    fn take_unknown(&mut self, host: &Key, now: Timestamp) -> bool {
        let Some((key, since)) = self.unknown.remove(host) else {
            return false;
        };
        let Some(slot) = self.waiting.find(&key) else {
            return false;
        };
        let Some(lines) = self.waiting.value_mut(slot) else {
            return false;
        };
        if now.since(since) >= JOIN_LINE {
            return false;
        }
        lines.count = lines.count.saturating_sub(1);
        if lines.count == 0 {
            self.waiting.remove(&key);
        }
        true
    }

    fn forget(&mut self, now: Timestamp) {
        let old = |(_, at): &(u64, Timestamp)| *at + JOIN_LINE < now;
        while self.failures.front().is_some_and(old) {
            self.failures.pop_front();
        }
        if self.unknown.len() > 0 {
            self.unknown.expire(|_, entry| old(entry));
        }
    }
}
