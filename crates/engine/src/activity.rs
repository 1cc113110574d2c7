//! What every source does lately, whether it fails or not: challenges, floods, calls given up.

use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::limits::{millis, seconds, window_ms};
use crate::lru::LruTable;
use crate::sources::Key;
use crate::{Rule, Rules, Timestamp};

/// Sources watched at once: 90 s of a forger's best, 2,900 challenges/s each with a new address.
/// About 15 MB when full.
const MAX_ACTIVE: usize = 262_144;

/// A challenge is answered within its nonce's life (60 s by default in FreeSWITCH); half more for
/// clocks and slow phones.
pub(crate) const CHALLENGE_LIFE: Duration = Duration::from_secs(90);

/// The latest doings of the sources.
#[derive(Debug)]
pub(crate) struct Activity {
    hasher: FixedState,
    /// By a fingerprint of the source: half of its key is enough to count by.
    table: LruTable<u64, Doings>,
}

/// 28 bytes: with all sources active this is the largest table.
#[derive(Clone, Debug, Default)]
struct Doings {
    /// Seconds of the epoch.
    last: u32,
    /// Seconds of the epoch.
    challenged_at: Option<NonZeroU32>,
    events: Count,
    unanswered: Count,
    abandoned: Count,
}

/// A count within a window that begins with the first event after the last window. Coarser than the
/// sliding window of the failures, and six bytes: for counts where the times of 200 events would be
/// too much to keep.
#[derive(Clone, Debug, Default)]
struct Count {
    /// On the wrapping clock of [`millis`], in two halves, so that nothing is padded.
    begin: [u16; 2],
    count: u16,
}

impl Activity {
    pub(crate) fn new(seed: u64) -> Self {
        Self { hasher: FixedState::with_seed(seed), table: LruTable::new(MAX_ACTIVE, seed) }
    }

    /// An event of a source: which rules it brings to their threshold.
    pub(crate) fn note(
        &mut self,
        key: Key,
        event: Event,
        limits: &ActivityLimits,
        now: Timestamp,
    ) -> Reached {
        let doings = self.table.entry(self.hasher.hash_one(key));
        let seconds = seconds(now);
        if seconds.saturating_sub(doings.last) > limits.keep_seconds {
            // Also what keeps the wrapping clock of the counts right.
            *doings = Doings::default();
        }
        doings.last = seconds;
        let events = doings.events.add(limits.flood, now);
        let mut reached = Reached { flood: events, ..Reached::default() };
        match event {
            Event::Challenged => {
                doings.challenged_at = NonZeroU32::new(seconds);
                reached.challenges = doings.unanswered.add(limits.challenges, now);
            }
            // Well or badly: it is no mere knocker.
            Event::Answered => doings.unanswered = Count::default(),
            Event::Abandoned => reached.calls = doings.abandoned.add(limits.calls, now),
            Event::Other => {}
        }
        reached
    }

    /// Takes over what `other` knows of one source.
    pub(crate) fn copy(&mut self, other: &Self, key: Key) {
        if let Some(doings) = other.table.get(&other.hasher.hash_one(key)) {
            *self.table.entry(self.hasher.hash_one(key)) = doings.clone();
        }
    }

    /// A challenge went to this source lately.
    pub(crate) fn was_challenged(&self, key: &Key, now: Timestamp) -> bool {
        let doings = self.table.get(&self.hasher.hash_one(key));
        let challenged_at = doings.and_then(|doings| doings.challenged_at);
        challenged_at.is_some_and(|at| {
            u64::from(seconds(now).saturating_sub(at.get())) <= CHALLENGE_LIFE.as_secs()
        })
    }

    /// Forgets sources that have been quiet for longer than any of the windows.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &ActivityLimits) {
        let now = seconds(now);
        self.table.expire(|_, doings| now.saturating_sub(doings.last) > limits.keep_seconds);
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn clear(&mut self) {
        self.table.clear();
    }
}

impl Count {
    /// Counts one. True when it is the one that reaches the threshold.
    fn add(&mut self, limit: Limit, now: Timestamp) -> bool {
        let now = millis(now);
        let [low, high] = self.begin;
        let age = now.wrapping_sub(u32::from(high) << 16 | u32::from(low));
        if self.count == 0 || age >= limit.window_ms {
            #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
            let begin = [now as u16, (now >> 16) as u16];
            *self = Self { begin, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        u32::from(self.count) == limit.threshold
    }
}

/// The rules that count events, in the units that are counted in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActivityLimits {
    flood: Limit,
    challenges: Limit,
    calls: Limit,
    /// After this time without an event nothing is left to count of a source.
    keep_seconds: u32,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    threshold: u32,
    window_ms: u32,
}

impl ActivityLimits {
    pub(crate) fn new(rules: &Rules) -> Self {
        let Rules { flood, challenges, calls, .. } = rules;
        let limit =
            |rule: &Rule| Limit { threshold: rule.threshold, window_ms: window_ms(rule.window) };
        let windows = [flood.window, challenges.window, calls.window];
        let keep = windows.into_iter().fold(CHALLENGE_LIFE, Duration::max);
        Self {
            flood: limit(flood),
            challenges: limit(challenges),
            calls: limit(calls),
            keep_seconds: u32::try_from(keep.as_secs()).unwrap_or(u32::MAX),
        }
    }
}

/// What a source did.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// It was challenged.
    Challenged,
    /// It answered a challenge.
    Answered,
    /// It gave up a call after its challenge.
    Abandoned,
    /// Anything else.
    Other,
}

/// Rules whose threshold an event reached: true at that very event only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    pub(crate) flood: bool,
    pub(crate) challenges: bool,
    pub(crate) calls: bool,
}
