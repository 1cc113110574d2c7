//! Joining each failure with its attempt.
//!
//! FreeSWITCH reports a failed authentication twice: `register_attempt`, which knows whether the
//! nonce was valid, and right behind it `register_failure`. They share profile, address, port and To
//! user, and belong together by order: a failure takes the nearest lower `Event-Sequence`, each
//! attempt once. Under load events arrive out of order, so a failure without its attempt waits
//! [`JOIN_WAIT`] for it.
//!
//! The To user is the sender's, of any length and any characters, and an event that is too long comes
//! cut. Only the beginning of it is compared; and a failure that has waited in vain takes the attempt in
//! front of it from the same socket, whatever user that names. So no name hides a guess.
//!
//! Among several attempts of one key (one socket guessing quickly) the order of arrival must not
//! decide how many failures find one. Because every attempt that enters here has exactly one failure,
//! only the *set* of joined events matters, not who is joined with whom; see `Joins::exchange`.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::key::JoinKey;
use crate::seen::{Held, Seen};
use crate::{CoreId, Text, Timestamp};

/// How long a failure waits for its attempt. FreeSWITCH sends the attempt first, from the same
/// thread; event queues of a busy core were seen to swap them by milliseconds.
pub(crate) const JOIN_WAIT: Duration = Duration::from_millis(200);

/// Attempts remembered for their failures, oldest out first. FreeSWITCH manages at most 6,000
/// failures/s (one-packet ones, two cores): 2.7 s of them, thirteen times [`JOIN_WAIT`].
const MAX_ATTEMPTS: usize = 16_384;

/// How long an attempt is remembered: far longer than any disorder, so that what is left without a
/// failure goes away.
const ATTEMPT_LIFE: Duration = Duration::from_secs(10);

/// Failures that wait at once: 6,000/s for [`JOIN_WAIT`] are 1,200. Beyond it the oldest is judged
/// without its attempt.
const MAX_WAITING: usize = 2_048;

/// Chains of attempts: as many as attempts, so that few share one.
const CHAINS: usize = MAX_ATTEMPTS;

/// Attempts of one key that are looked at: more than 64 guesses of one socket in flight at once are
/// not in disorder but a flood, and the newest serve it as well.
const MAX_STEPS: usize = 64;

/// Attempts of one chain that are looked at, whatever their key.
const MAX_CHAIN: usize = 4 * MAX_STEPS;

/// FreeSWITCH runs remembered as senders of attempts. Only restarts make new ones.
const MAX_CORES: usize = 4;

/// Attempts and failures that have not found each other yet.
#[derive(Debug)]
pub(crate) struct Joins {
    /// In order of arrival; the number of the first is `first`.
    attempts: VecDeque<Attempt>,
    first: NonZeroU64,
    /// Number of the newest attempt in each chain; nobody takes out what is gone, its number tells.
    newest: Box<[Option<NonZeroU64>]>,
    /// In order of arrival and so of deadline.
    waiting: VecDeque<Waiting>,
    cores: VecDeque<CoreId>,
}

#[derive(Debug)]
struct Attempt {
    key: JoinKey,
    sequence: u64,
    at: Timestamp,
    /// The attempt in the same chain that came before it.
    previous: Option<NonZeroU64>,
    /// Sequence of the failure that took it.
    taken_by: Option<u64>,
    tried: Option<Tried>,
}

#[derive(Debug)]
struct Waiting {
    deadline: Timestamp,
    /// Boxed, to keep the scan for a key short.
    failure: Box<Held>,
}

/// Whose password was tried, by the digest. The To user of an INVITE is only the number called.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// Hash of its name.
    pub(crate) account: u64,
    /// Its name, where it is another than the To user.
    pub(crate) name: Option<Box<Text>>,
    /// Hash of the Call-ID.
    pub(crate) call: u64,
    /// A handshake proved the address.
    pub(crate) proved: bool,
}

/// What the attempt of a failure says.
#[derive(Debug)]
pub(crate) enum Joined {
    /// The nonce was valid, and the password was not.
    NonceValid(Tried),
    /// Refused before the nonce was looked at.
    NonceUnchecked,
}

impl Joins {
    pub(crate) fn new() -> Self {
        Self {
            attempts: VecDeque::new(),
            first: NonZeroU64::MIN,
            newest: vec![None; CHAINS].into_boxed_slice(),
            waiting: VecDeque::new(),
            cores: VecDeque::with_capacity(MAX_CORES),
        }
    }

    /// The FreeSWITCH run `core` sends attempts at all.
    pub(crate) fn sends_attempts(&self, core: CoreId) -> bool {
        self.cores.contains(&core)
    }

    /// Remembers that `core` sends attempts.
    pub(crate) fn note_sender(&mut self, core: CoreId) {
        if self.sends_attempts(core) {
            return;
        }
        if self.cores.len() >= MAX_CORES {
            self.cores.pop_front();
        }
        self.cores.push_back(core);
    }

    /// Takes over which FreeSWITCH runs send attempts.
    pub(crate) fn copy_senders(&mut self, other: &Self) {
        self.cores.clone_from(&other.cores);
    }

    /// A failure came (its key and sequence): what its attempt says, if that is here.
    pub(crate) fn take_attempt(&mut self, key: JoinKey, sequence: u64) -> Option<Joined> {
        let nearest = nearest(self.chain(key), sequence);
        let number = nearest.or_else(|| self.exchange(key, sequence))?;
        self.take(number, sequence)
    }

    /// A failure has waited in vain: what the attempt in front of it from the same socket says, if that
    /// belongs to no other failure.
    pub(crate) fn take_adjacent(&mut self, key: JoinKey, sequence: u64) -> Option<Joined> {
        let number = nearest(self.socket(key.socket).take(MAX_STEPS), sequence)?;
        self.take(number, sequence)
    }

    /// Lets a failure wait for its attempt.
    pub(crate) fn wait(&mut self, failure: &Seen<'_>, now: Timestamp) {
        let failure = Box::new(failure.held());
        self.waiting.push_back(Waiting { deadline: now + JOIN_WAIT, failure });
    }

    /// An attempt came that a failure will follow: the failure that waited for it, if any.
    pub(crate) fn attempt(
        &mut self,
        key: JoinKey,
        sequence: u64,
        tried: Option<Tried>,
        now: Timestamp,
    ) -> Option<(Box<Held>, Joined)> {
        self.forget_old(now);
        let number = self.first.saturating_add(self.attempts.len() as u64);
        let newest = self.newest.get_mut(chain_of(key.socket));
        let previous = newest.and_then(|newest| newest.replace(number));
        let attempt = Attempt { key, sequence, at: now, previous, taken_by: None, tried };
        self.attempts.push_back(attempt);
        if self.waiting.is_empty() {
            return None;
        }
        // The lowest failure behind this attempt; else the lowest that an exchange can serve.
        let mut waiting: Vec<(bool, u64, usize)> = self
            .waiting
            .iter()
            .map(|waiting| &waiting.failure)
            .enumerate()
            .filter(|(_, failure)| failure.join_key == key)
            .map(|(at, failure)| (failure.sequence < sequence, failure.sequence, at))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().find_map(|(_, failure, at)| {
            let joined = self.take_attempt(key, failure)?;
            Some((self.waiting.remove(at)?.failure, joined))
        })
    }

    /// A failure that has waited long enough, or is one too many.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Box<Held>> {
        let oldest = self.waiting.front()?;
        if oldest.deadline <= now || self.waiting.len() > MAX_WAITING {
            return self.waiting.pop_front().map(|waiting| waiting.failure);
        }
        None
    }

    /// When the next failure has waited long enough.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.waiting.front().map(|waiting| waiting.deadline)
    }

    /// Failures that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A free attempt with a *higher* sequence than the failure, if the failure may have it because
    /// somebody else took what was meant for it.
    ///
    /// Say attempts 10 and 20 belong to failures 11 and 21. When 10, 21, 20, 11 arrive, failure 21
    /// has taken attempt 10, and failure 11 finds only attempt 20. Joined in order there would have
    /// been two pairs, so 11 gets 20. That is right exactly when, at each failure between the two,
    /// more attempts than failures came before (each failure then still has a lower attempt of its
    /// own, however they are paired).
    fn exchange(&self, key: JoinKey, failure: u64) -> Option<NonZeroU64> {
        let (number, attempt) = self
            .chain(key)
            .filter(|(_, attempt)| attempt.taken_by.is_none() && attempt.sequence > failure)
            .min_by_key(|(_, attempt)| attempt.sequence)?;
        let pairs: Vec<(u64, u64)> =
            self.chain(key).filter_map(|(_, a)| a.taken_by.map(|by| (a.sequence, by))).collect();
        let spare_at = |point: u64| {
            let attempts = pairs.iter().filter(|(attempt, _)| *attempt <= point).count();
            let failures = pairs.iter().filter(|(_, failure)| *failure <= point).count();
            attempts > failures
        };
        let between = pairs.iter().map(|(_, by)| *by);
        let between = between.filter(|by| (failure..attempt.sequence).contains(by));
        (spare_at(failure) && between.into_iter().all(spare_at)).then_some(number)
    }

    fn take(&mut self, number: NonZeroU64, sequence: u64) -> Option<Joined> {
        let at = self.place(number)?;
        let attempt = self.attempts.get_mut(at)?;
        attempt.taken_by = Some(sequence);
        Some(attempt.tried.take().map_or(Joined::NonceUnchecked, Joined::NonceValid))
    }

    /// Attempts of one key with their numbers, newest first.
    fn chain(&self, key: JoinKey) -> impl Iterator<Item = (NonZeroU64, &Attempt)> {
        let socket = self.socket(key.socket);
        socket.filter(move |(_, attempt)| attempt.key == key).take(MAX_STEPS)
    }

    /// Attempts from one socket with their numbers, newest first.
    fn socket(&self, socket: u64) -> impl Iterator<Item = (NonZeroU64, &Attempt)> {
        let get = |number: NonZeroU64| {
            let attempt = self.attempts.get(self.place(number)?)?;
            Some((number, attempt))
        };
        let newest = self.newest.get(chain_of(socket)).copied().flatten();
        std::iter::successors(newest.and_then(get), move |(_, a)| a.previous.and_then(get))
            .take(MAX_CHAIN)
            .filter(move |(_, attempt)| attempt.key.socket == socket)
    }

    /// Where the attempt of this number stands; `None` when it is gone.
    fn place(&self, number: NonZeroU64) -> Option<usize> {
        usize::try_from(number.get().checked_sub(self.first.get())?).ok()
    }

    fn forget_old(&mut self, now: Timestamp) {
        while let Some(oldest) = self.attempts.front() {
            if self.attempts.len() < MAX_ATTEMPTS && now < oldest.at + ATTEMPT_LIFE {
                break;
            }
            self.attempts.pop_front();
            self.first = self.first.saturating_add(1);
        }
    }
}

/// The free attempt in front of a failure.
fn nearest<'a>(
    attempts: impl Iterator<Item = (NonZeroU64, &'a Attempt)>,
    failure: u64,
) -> Option<NonZeroU64> {
    let free = attempts.filter(|(_, a)| a.taken_by.is_none() && a.sequence < failure);
    free.max_by_key(|(_, attempt)| attempt.sequence).map(|(number, _)| number)
}

/// Keys are hashes already, seeded: nobody can choose one that shares a chain with another.
fn chain_of(key: u64) -> usize {
    usize::try_from(key % CHAINS as u64).unwrap_or_default()
}
