//! What every source does lately, whether it fails or not: challenges, floods, calls given up.

use std::time::Duration;

use crate::lru::LruTable;
use crate::sources::Key;
use crate::{Rule, Timestamp};

/// Sources watched at once: 90 s of a forger's best, 2,900 challenges/s each with a new address.
/// About 20 MB when full.
const MAX_ACTIVE: usize = 262_144;

/// A challenge is answered within its nonce's life (60 s by default in FreeSWITCH); half more for
/// clocks and slow phones.
pub(crate) const CHALLENGE_LIFE: Duration = Duration::from_secs(90);

/// The latest doings of the sources.
#[derive(Debug)]
pub(crate) struct Activity {
    table: LruTable<Key, Doings>,
}

#[derive(Debug, Default)]
struct Doings {
    last: Timestamp,
    challenged_at: Option<Timestamp>,
    events: Tumbling,
    unanswered: Tumbling,
    abandoned: Tumbling,
}

/// A count within a window that begins with the first event after the last window. Coarser than the
/// sliding window of the failures, and a fixed few bytes: for counts where the times of 200 events
/// would be too much to keep.
#[derive(Debug, Default)]
pub(crate) struct Tumbling {
    begin: Timestamp,
    count: u32,
}

impl Activity {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            table: LruTable::new(MAX_ACTIVE, seed),
        }
    }

    /// Any event of a source. True when it is the one that reaches the threshold of the flood rule.
    pub(crate) fn event(&mut self, key: Key, flood: &Rule, now: Timestamp) -> bool {
        let doings = self.doings(key, now);
        doings.events.add(flood.window, now) == flood.threshold
    }

    /// A challenge went out. True when it reaches the threshold of the challenges rule.
    pub(crate) fn challenged(&mut self, key: Key, challenges: &Rule, now: Timestamp) -> bool {
        let doings = self.doings(key, now);
        doings.challenged_at = Some(now);
        doings.unanswered.add(challenges.window, now) == challenges.threshold
    }

    /// The source answered a challenge, well or badly: it is no mere knocker.
    pub(crate) fn answered(&mut self, key: Key, now: Timestamp) {
        self.doings(key, now).unanswered = Tumbling::default();
    }

    /// A call was given up after its challenge. Gives the count within the window.
    pub(crate) fn abandoned(&mut self, key: Key, calls: &Rule, now: Timestamp) -> u32 {
        self.doings(key, now).abandoned.add(calls.window, now)
    }

    /// A challenge went to this source lately.
    pub(crate) fn was_challenged(&self, key: &Key, now: Timestamp) -> bool {
        let challenged_at = self.table.get(key).and_then(|doings| doings.challenged_at);
        challenged_at.is_some_and(|at| now.since(at) <= CHALLENGE_LIFE)
    }

    /// Forgets sources that have been quiet for longer than any of these windows.
    pub(crate) fn expire(&mut self, now: Timestamp, rules: [&Rule; 3]) {
        let longest = rules
            .into_iter()
            .map(|rule| rule.window)
            .max()
            .unwrap_or_default();
        let keep = longest.max(CHALLENGE_LIFE);
        self.table.expire(|_, doings| now.since(doings.last) > keep);
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn clear(&mut self) {
        self.table.clear();
    }

    fn doings(&mut self, key: Key, now: Timestamp) -> &mut Doings {
        let doings = self.table.entry(key);
        doings.last = now;
        doings
    }
}

impl Tumbling {
    /// Counts one, and gives the count within the window.
    pub(crate) fn add(&mut self, window: Duration, now: Timestamp) -> u32 {
        if self.count == 0 || now.since(self.begin) >= window {
            *self = Self {
                begin: now,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}
