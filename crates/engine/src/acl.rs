//! What FreeSWITCH's ACLs said about addresses under suspicion.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::Timestamp;
use crate::hash::Seed;
use crate::key::Key;
use crate::limits::seconds;
use crate::lru::LruTable;

/// Answers remembered.
const MAX_ANSWERS: usize = 65_536;

/// Questions open at once: FreeSWITCH answers one after the other. Addresses beyond that are asked about at their
/// next failure.
const MAX_OPEN: usize = 256;

/// A question without an answer for so many seconds is asked again.
const ANSWER_WITHIN: u32 = 10;

/// An answer holds for so many seconds: ACLs change.
const ANSWER_LIFE: u32 = 3_600;

/// Answers and open questions by address.
#[derive(Debug)]
pub(crate) struct AclAnswers {
    table: LruTable<Key, State>,
    seed: Seed,
    open: usize,
    /// How often everything was forgotten.
    generation: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    New,
    /// Seconds of the epoch, as the other.
    Asked(u32),
    Answered {
        at: u32,
        allowed: bool,
    },
}

impl AclAnswers {
    /// Questions that can be open at once.
    pub(crate) const ROOM: usize = MAX_OPEN;

    pub(crate) fn new(seed: u64) -> Self {
        Self {
            table: LruTable::new(MAX_ANSWERS, seed),
            seed: Seed::new(seed),
            open: 0,
            generation: 0,
        }
    }

    /// There is evidence against `addr`. True when its ACLs should be asked for now. Gives also an
    /// address whose permission had to be forgotten for that.
    pub(crate) fn suspect(&mut self, addr: IpAddr, now: Timestamp) -> (bool, Option<IpAddr>) {
        let (slot, evicted) = self.table.find_or_insert(Key::of_addr(addr));
        let now = seconds(now);
        let mut forgotten = None;
        match evicted {
            Some((_, State::Asked(_))) => self.open = self.open.saturating_sub(1),
            Some((key, State::Answered { allowed: true, .. })) => forgotten = Some(key.addr()),
            Some((_, State::New | State::Answered { allowed: false, .. })) | None => {}
        }
        let Some(state) = self.table.value_mut(slot) else {
            return (false, forgotten);
        };
        let again = match *state {
            State::New => false,
            State::Asked(at) if now.saturating_sub(at) >= ANSWER_WITHIN => true,
            State::Answered { at, .. } if now.saturating_sub(at) >= ANSWER_LIFE => false,
            State::Asked(_) | State::Answered { .. } => return (false, forgotten),
        };
        if !again && self.open >= MAX_OPEN {
            return (false, forgotten);
        }
        *state = State::Asked(now);
        self.open += usize::from(!again);
        (true, forgotten)
    }

    /// An answer came.
    pub(crate) fn answer(&mut self, addr: IpAddr, allowed: bool, now: Timestamp) {
        let state = self.table.entry(Key::of_addr(addr));
        if matches!(state, State::Asked(_)) {
            self.open = self.open.saturating_sub(1);
        }
        *state = State::Answered { at: seconds(now), allowed };
    }

    /// Forgets all answers and questions.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.open = 0;
        self.generation = self.generation.wrapping_add(1);
    }

    /// What marks `addr` as asked about: nothing does after [`AclAnswers::clear`].
    pub(crate) fn mark(&self, addr: IpAddr) -> Option<NonZeroU32> {
        let hash = self.seed.hash_one(Key::of_addr(addr));
        NonZeroU32::new((hash >> 32) as u32 ^ self.generation)
    }

    /// Forgets the oldest answers when their time is long over; gives those that allowed.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<IpAddr> {
        let mut forgotten = Vec::new();
        let (open, now) = (&mut self.open, seconds(now));
        self.table.expire(|key, state| match *state {
            State::New => true,
            State::Asked(at) if now.saturating_sub(at) >= ANSWER_LIFE => {
                *open = open.saturating_sub(1);
                true
            }
            State::Answered { at, allowed } if now.saturating_sub(at) >= 24 * ANSWER_LIFE => {
                if allowed {
                    forgotten.push(key.addr());
                }
                true
            }
            State::Asked(_) | State::Answered { .. } => false,
        });
        forgotten
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}
