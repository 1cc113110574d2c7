//! Guessing from many networks, each host too seldom to be banned, or often enough and then no more.
//!
//! However many guesses a host has: what is counted is the failures of all strangers that are not banned, and
//! how many networks and hosts they come from, as far as bits in a few words tell them apart. One host, one
//! network or one NAT, however busy, is none of it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::seen::Seen;
use crate::{Text, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);

/// Parts of the minute, and how many are kept: the one of now has only begun.
const PARTS: usize = 6;
const KEPT: usize = PARTS + 1;
const PART: Duration = Duration::from_secs(10);

/// Of the failures that are an alarm, a tenth in different networks make it one of many.
const FAILURES_A_NETWORK: u32 = 10;

/// Accounts named by an alarm.
const MAX_TRIED: usize = 8;

/// Failures of strangers within the last minute, from wherever.
#[derive(Debug, Default)]
pub(crate) struct Campaign {
    parts: [Part; KEPT],
    /// The part of time that was counted last.
    last: u64,
    /// Failures in all parts.
    failures: u32,
    told: Option<Timestamp>,
    /// The accounts they tried, with their hashes, the latest last.
    tried: VecDeque<(u64, Text)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    failures: u32,
    networks: Bits<8>,
    hosts: Bits<32>,
}

/// One bit for each hash: tells less than half as many as there are bits well apart.
#[derive(Clone, Copy, Debug)]
struct Bits<const WORDS: usize>([u64; WORDS]);

/// Who failed, as seeded hashes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    pub(crate) host: u64,
    /// The /24 or /48 around it.
    pub(crate) network: u64,
}

impl Campaign {
    /// A stranger that is not banned failed. Gives about how many hosts fail, and the accounts they tried, when
    /// there are `limit` failures within a minute from many networks; again after a minute.
    pub(crate) fn failure(
        &mut self,
        stranger: Stranger,
        seen: &Seen<'_>,
        limit: u32,
        now: Timestamp,
    ) -> Option<(u32, Vec<Text>)> {
        self.note_tried(seen);
        self.advance(now);
        let place = usize::try_from(self.last % KEPT as u64).unwrap_or_default();
        let part = self.parts.get_mut(place)?;
        part.failures = part.failures.saturating_add(1);
        part.hosts.set(stranger.host);
        let is_new = part.networks.set(stranger.network);
        self.failures = self.failures.saturating_add(1);
        // More failures from the same networks make no more of it.
        let may_be = self.failures == limit || (self.failures > limit && is_new);
        if !may_be || self.told.is_some_and(|told| now.since(told) < MINUTE) {
            return None;
        }
        let networks = Bits::all(self.parts.iter().map(|part| &part.networks)).count();
        if networks < limit.div_ceil(FAILURES_A_NETWORK) {
            return None;
        }
        self.told = Some(now);
        let hosts = Bits::all(self.parts.iter().map(|part| &part.hosts)).count();
        Some((hosts, self.tried.iter().map(|(_, user)| *user).collect()))
    }

    fn note_tried(&mut self, seen: &Seen<'_>) {
        if self.tried.iter().any(|(user, _)| *user == seen.user_hash) {
            return;
        }
        if self.tried.len() >= MAX_TRIED {
            self.tried.pop_front();
        }
        self.tried.push_back((seen.user_hash, seen.user.to_text()));
    }

    /// Forgets the parts that have left the minute.
    fn advance(&mut self, now: Timestamp) {
        let part = part_of(now);
        let gone = part.saturating_sub(self.last);
        for n in 1..=gone.min(KEPT as u64) {
            let place = usize::try_from((self.last + n) % KEPT as u64).unwrap_or_default();
            if let Some(part) = self.parts.get_mut(place) {
                self.failures -= std::mem::take(part).failures;
            }
        }
        self.last = self.last.max(part);
    }
}

fn part_of(now: Timestamp) -> u64 {
    let since = now.since(Timestamp::EPOCH).as_secs();
    since / PART.as_secs()
}

impl<const WORDS: usize> Default for Bits<WORDS> {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl<const WORDS: usize> Bits<WORDS> {
    /// True when the bit was not set.
    fn set(&mut self, hash: u64) -> bool {
        let place = usize::try_from(hash >> 32).unwrap_or_default() % WORDS;
        let Some(word) = self.0.get_mut(place) else { return false };
        let before = *word;
        *word |= 1 << (hash % 64);
        *word != before
    }

    fn all<'a>(many: impl Iterator<Item = &'a Self>) -> Self {
        many.fold(Self::default(), |mut all, bits| {
            for (all, word) in all.0.iter_mut().zip(bits.0) {
                *all |= word;
            }
            all
        })
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests;
