//! Which dialogs were challenged: what makes a failure *answered*.
//!
//! A dialog is a Call-ID at one profile and one address. FreeSWITCH's nonces are bound to none of these,
//! so "a challenge went to that address" proves little: a phone that registers causes one every minute,
//! and a forger may answer it with a nonce of his own. That this very dialog was challenged there, and
//! that nobody has answered this challenge yet, says more.

use std::time::Duration;

use crate::Timestamp;
use crate::limits::seconds;

/// Sets of dialogs; the key of a dialog chooses its set. With [`WAYS`] 262,144 dialogs in 2 MB: 90 s of
/// a forger's best, 2,900 challenges/s.
const SETS: u64 = 65_536;

/// Dialogs of a set. One more takes the place of the one that was challenged longest ago.
const WAYS: usize = 4;

/// How long a nonce lives where nobody says: FreeSWITCH's default (`sofia_reg.c`).
const DEFAULT_LIFE: Duration = Duration::from_secs(60);

/// Half of that more, for clocks and slow phones.
const GRACE: Duration = Duration::from_secs(30);

/// Longest life that counts.
const MAX_LIFE: Duration = Duration::from_secs(86_400);

/// Profiles whose nonces have a life of their own.
const MAX_PROFILES: usize = 64;

/// The latest challenges.
#[derive(Debug)]
pub(crate) struct Dialogs {
    /// [`Challenge`]s, packed. Memory of zeros, which the system gives when it is written.
    sets: Vec<u64>,
    /// Words in front of the first set, so that no set lies in two cache lines: every challenge and every
    /// answer looks at one, and nearly always waits for memory.
    skipped: usize,
    /// Hash of the profile, seconds.
    lives: Vec<(u64, u32)>,
}

/// A dialog that was challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Challenge {
    /// The upper half of its key.
    tag: u32,
    /// Seconds, on a clock that wraps after half a year.
    at: u32,
    /// Challenges that nobody has answered yet.
    unanswered: u8,
}

const CLOCK_BITS: u32 = 24;
const CLOCK_MASK: u32 = (1 << CLOCK_BITS) - 1;

impl Challenge {
    fn unpack(word: u64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "the parts of it")]
        let (tag, at, unanswered) =
            ((word >> 32) as u32, (word >> 8) as u32 & CLOCK_MASK, word as u8);
        (word != 0).then_some(Self { tag, at, unanswered })
    }

    fn pack(self) -> u64 {
        u64::from(self.tag) << 32
            | u64::from(self.at & CLOCK_MASK) << 8
            | u64::from(self.unanswered)
    }

    fn age(self, now: u32) -> u32 {
        now.wrapping_sub(self.at) & CLOCK_MASK
    }
}

impl Dialogs {
    pub(crate) fn new() -> Self {
        let words = usize::try_from(SETS).unwrap_or_default() * WAYS;
        let sets = vec![0; words + WAYS];
        let skipped = sets.as_ptr().align_offset(WAYS * size_of::<u64>()).min(WAYS);
        Self { sets, skipped, lives: Vec::new() }
    }

    /// A dialog was challenged.
    pub(crate) fn challenged(&mut self, key: u64, now: Timestamp) {
        let (tag, now) = (tag_of(key), seconds(now));
        let longest = self.longest_life();
        let set = self.set_mut(key);
        let challenged =
            |before: u8| Challenge { tag, at: now, unanswered: before.saturating_add(1) }.pack();
        for word in set.iter_mut() {
            if let Some(old) = Challenge::unpack(*word).filter(|old| old.tag == tag) {
                let before = if old.age(now) <= longest { old.unanswered } else { 0 };
                *word = challenged(before);
                return;
            }
        }
        let age = |word: &u64| Challenge::unpack(*word).map_or(u32::MAX, |old| old.age(now));
        if let Some(oldest) = set.iter_mut().max_by_key(|word| age(word)) {
            *oldest = challenged(0);
        }
    }

    /// A dialog of this profile is answered. True when a challenge of it was still unanswered, which now
    /// no longer is.
    pub(crate) fn answer(&mut self, key: u64, profile: u64, now: Timestamp) -> bool {
        let (tag, now, life) = (tag_of(key), seconds(now), self.life(profile));
        for word in self.set_mut(key) {
            let Some(challenge) = Challenge::unpack(*word).filter(|held| held.tag == tag) else {
                continue;
            };
            let Some(unanswered) = challenge.unanswered.checked_sub(1) else {
                return false;
            };
            *word = Challenge { unanswered, ..challenge }.pack();
            return challenge.age(now) <= life;
        }
        false
    }

    /// How long a nonce of this profile may still be answered, in seconds.
    pub(crate) fn life(&self, profile: u64) -> u32 {
        let known = self.lives.iter().find(|(of, _)| *of == profile);
        known.map_or(to_seconds(DEFAULT_LIFE + GRACE), |(_, life)| *life)
    }

    /// The longest such time of any profile, in seconds.
    pub(crate) fn longest_life(&self) -> u32 {
        let lives = self.lives.iter().map(|(_, life)| *life);
        lives.fold(to_seconds(DEFAULT_LIFE + GRACE), u32::max)
    }

    /// A profile's nonces live that long.
    pub(crate) fn set_life(&mut self, profile: u64, life: Duration) {
        let life = to_seconds(life.min(MAX_LIFE) + GRACE);
        if let Some(known) = self.lives.iter_mut().find(|(of, _)| *of == profile) {
            known.1 = life;
        } else if self.lives.len() < MAX_PROFILES {
            self.lives.push((profile, life));
        }
    }

    /// Takes over how long nonces live.
    pub(crate) fn copy_lives(&mut self, other: &Self) {
        self.lives.clone_from(&other.lives);
    }

    fn set_mut(&mut self, key: u64) -> &mut [u64] {
        let set = self.skipped + usize::try_from(key % SETS).unwrap_or_default() * WAYS;
        self.sets.get_mut(set..set + WAYS).unwrap_or_default()
    }
}

/// Keys are hashes already, seeded.
fn tag_of(key: u64) -> u32 {
    (key >> 32) as u32
}

fn to_seconds(life: Duration) -> u32 {
    u32::try_from(life.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
