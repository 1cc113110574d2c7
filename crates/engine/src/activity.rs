//! What every source does lately, whether it fails or not: challenges, floods, calls given up.

use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::limits::{millis, seconds};
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
#[derive(Debug, Default)]
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
#[derive(Debug, Default)]
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
        rules: &Rules,
        now: Timestamp,
    ) -> Reached {
        let doings = self.table.entry(self.hasher.hash_one(key));
        let seconds = seconds(now);
        if u64::from(seconds.saturating_sub(doings.last)) > keep(rules).as_secs() {
            // Also what keeps the wrapping clock of the counts right.
            *doings = Doings::default();
        }
        doings.last = seconds;
        let events = doings.events.add(&rules.flood, now);
        let mut reached = Reached { flood: events, ..Reached::default() };
        match event {
            Event::Challenged => {
                doings.challenged_at = NonZeroU32::new(seconds);
                reached.challenges = doings.unanswered.add(&rules.challenges, now);
            }
            // Well or badly: it is no mere knocker.
            Event::Answered => doings.unanswered = Count::default(),
            Event::Abandoned => reached.calls = doings.abandoned.add(&rules.calls, now),
            Event::Other => {}
        }
        reached
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
    pub(crate) fn expire(&mut self, now: Timestamp, rules: &Rules) {
        let (now, keep) = (seconds(now), keep(rules).as_secs());
        self.table.expire(|_, doings| u64::from(now.saturating_sub(doings.last)) > keep);
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
    fn add(&mut self, rule: &Rule, now: Timestamp) -> bool {
        let now = millis(now);
        let [low, high] = self.begin;
        let age = now.wrapping_sub(u32::from(high) << 16 | u32::from(low));
        if self.count == 0 || u128::from(age) >= rule.window.as_millis() {
            #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
            let begin = [now as u16, (now >> 16) as u16];
            *self = Self { begin, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        u32::from(self.count) == rule.threshold
    }
}

/// After this time without an event nothing is left to count of a source.
fn keep(rules: &Rules) -> Duration {
    let windows = [rules.flood.window, rules.challenges.window, rules.calls.window];
    windows.into_iter().fold(CHALLENGE_LIFE, Duration::max)
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
