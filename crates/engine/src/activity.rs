//! What every source does lately, whether it fails or not: challenges, floods, calls given up.

use std::time::Duration;

use crate::lru::LruTable;
use crate::sources::Key;
use crate::{Rules, Timestamp};

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

    /// An event of a source: which rules it brings to their threshold.
    pub(crate) fn note(
        &mut self,
        key: Key,
        event: Event,
        rules: &Rules,
        now: Timestamp,
    ) -> Reached {
        let doings = self.table.entry(key);
        doings.last = now;
        let events = doings.events.add(rules.flood.window, now);
        let mut reached = Reached {
            flood: events == rules.flood.threshold,
            ..Reached::default()
        };
        match event {
            Event::Challenged => {
                doings.challenged_at = Some(now);
                let unanswered = doings.unanswered.add(rules.challenges.window, now);
                reached.challenges = unanswered == rules.challenges.threshold;
            }
            // Well or badly: it is no mere knocker.
            Event::Answered => doings.unanswered = Tumbling::default(),
            Event::Abandoned => {
                let abandoned = doings.abandoned.add(rules.calls.window, now);
                reached.calls = abandoned == rules.calls.threshold;
            }
            Event::Other => {}
        }
        reached
    }

    /// A challenge went to this source lately.
    pub(crate) fn was_challenged(&self, key: &Key, now: Timestamp) -> bool {
        let challenged_at = self.table.get(key).and_then(|doings| doings.challenged_at);
        challenged_at.is_some_and(|at| now.since(at) <= CHALLENGE_LIFE)
    }

    /// Forgets sources that have been quiet for longer than any of the windows.
    pub(crate) fn expire(&mut self, now: Timestamp, rules: &Rules) {
        let windows = [
            rules.flood.window,
            rules.challenges.window,
            rules.calls.window,
        ];
        let keep = windows.into_iter().fold(CHALLENGE_LIFE, Duration::max);
        self.table.expire(|_, doings| now.since(doings.last) > keep);
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn clear(&mut self) {
        self.table.clear();
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
