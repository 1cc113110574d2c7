//! What is not as it should be: changes that the kernel refused, bans that stop nothing. All of it is tried
//! and looked at again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

use super::step::Wish;
use crate::Report;

/// Between two attempts without any sign that an obstacle went.
const RETRY: Duration = Duration::from_secs(5);
/// From a sign to the first look: signs come in swarms.
const SETTLE: Duration = Duration::from_millis(50);
/// A round may take this share of the time: one part in it, then that many parts of rest.
const REST: u32 = 3;

/// Why a network is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The kernel refused this change.
    Refused(Wish),
    /// Its route stands, and does not do what it should.
    Weak,
}

/// The networks that are not as they should be.
#[derive(Debug, Default)]
pub(super) struct Unsettled(HashMap<IpNet, Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    why: Why,
    /// What was reported last, in short.
    told: u64,
}

impl Unsettled {
    pub(super) fn get(&self, net: IpNet) -> Option<Why> {
        self.0.get(&net).map(|entry| entry.why)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn nets(&self) -> impl Iterator<Item = IpNet> {
        self.0.keys().copied()
    }

    /// Notes what is about to be reported of a network. Returns whether it is news.
    pub(super) fn note(&mut self, net: IpNet, why: Why, report: &Report) -> bool {
        let mut hasher = DefaultHasher::new();
        format!("{report:?}").hash(&mut hasher);
        let told = hasher.finish();
        self.0.insert(net, Entry { why, told }).is_none_or(|before| before.told != told)
    }

    /// A change that is to be made and of which nothing was reported yet.
    pub(super) fn await_change(&mut self, net: IpNet, wish: Wish) {
        self.0.insert(net, Entry { why: Why::Refused(wish), told: 0 });
    }

    /// It is as it should be. Returns whether that is news.
    pub(super) fn settle(&mut self, net: IpNet) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let was_there = self.0.remove(&net).is_some();
        if self.0.is_empty() {
            // What a bad hour has needed is not needed for good.
            self.0.shrink_to_fit();
        }
        was_there
    }
}

/// Whom a round is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    Unsettled,
    All,
}

/// Looks at bans again, some at a time, with rests in between.
#[derive(Debug)]
pub(super) struct Round {
    queue: Vec<IpNet>,
    /// To begin when this one is over.
    next: Option<Extent>,
    due: Option<Instant>,
    retry: Instant,
}

impl Round {
    pub(super) fn new(now: Instant) -> Self {
        Self { queue: Vec::new(), next: None, due: None, retry: now + RETRY }
    }

    /// Asks for a round.
    pub(super) fn note(&mut self, scope: Extent, now: Instant) {
        self.next = self.next.max(Some(scope));
        self.due.get_or_insert(now + SETTLE);
    }

    /// Asks for a look at some networks.
    pub(super) fn add(&mut self, nets: impl IntoIterator<Item = IpNet>, now: Instant) {
        let before = self.queue.len();
        self.queue.extend(nets);
        if self.queue.len() > before {
            self.due.get_or_insert(now + SETTLE);
        }
    }

    /// When to go on. `has_unsettled`: then there is something to try at intervals.
    pub(super) fn due(&self, has_unsettled: bool) -> Option<Instant> {
        self.due.into_iter().chain(has_unsettled.then_some(self.retry)).min()
    }

    /// What a new round is about, when one is to begin.
    pub(super) fn begins(&mut self, has_unsettled: bool, now: Instant) -> Option<Extent> {
        if now >= self.retry {
            self.retry = now + RETRY;
            if has_unsettled {
                self.next = self.next.max(Some(Extent::Unsettled));
            }
        }
        if self.queue.is_empty() { self.next.take() } else { None }
    }

    /// Takes the next networks to look at.
    pub(super) fn take(&mut self, count: usize) -> Vec<IpNet> {
        let rest = self.queue.len().saturating_sub(count);
        let taken = self.queue.split_off(rest);
        if self.queue.is_empty() {
            self.queue = Vec::new();
        }
        taken
    }

    /// Notes what a part took, so that looking never takes all the time.
    pub(super) fn finished(&mut self, started: Instant, now: Instant) {
        let is_over = self.queue.is_empty() && self.next.is_none();
        self.due = (!is_over).then(|| now + now.duration_since(started) * REST);
        self.retry = self.retry.max(now + now.duration_since(started) * REST);
    }
}

#[cfg(test)]
mod tests;
