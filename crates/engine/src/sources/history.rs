//! The failures of one source: exact times, hashes instead of names.

use crate::identity::MISTYPES;
use crate::limits::{Limits, millis, window_ms};
use crate::seen::Seen;
use crate::{Grade, Guard, Method, Rule, Timestamp};

const GRADE_BITS: u32 = 3;
const INVITE: u32 = 1 << GRADE_BITS;
const RAW_ADDRESS: u32 = INVITE << 1;
const USER_SHIFT: u32 = GRADE_BITS + 2;

/// Users told apart in one window at most; more are as good as this many. Above the highest useful
/// threshold: a source at it has been banned by the base rule before.
const MAX_USERS: usize = 64;

/// One counted failure in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Milliseconds on the wrapping clock of [`millis`].
    at: u32,
    /// From below: grade, INVITE, raw address, hash of the user.
    tag: u32,
}

impl Entry {
    pub(crate) fn new(seen: &Seen, grade: Grade, now: Timestamp) -> Self {
        let invite = if seen.method == Method::Invite { INVITE } else { 0 };
        let raw = if seen.raw_address { RAW_ADDRESS } else { 0 };
        let tag = user_tag(seen.user_hash) << USER_SHIFT | raw | invite | grade as u32;
        Self { at: millis(now), tag }
    }

    pub(crate) fn at(self) -> u32 {
        self.at
    }

    /// Milliseconds since it.
    pub(crate) fn age(self, now: u32) -> u32 {
        age(now, self)
    }

    pub(crate) fn is_invite(self) -> bool {
        self.has(INVITE)
    }

    pub(crate) fn grade(self) -> Grade {
        let index = (self.tag & (INVITE - 1)) as usize;
        Grade::ALL.get(index).copied().unwrap_or(Grade::Unjoined)
    }

    fn has(self, flag: u32) -> bool {
        self.tag & flag != 0
    }

    fn user(self) -> u32 {
        self.tag >> USER_SHIFT
    }

    fn is_of(self, user_hash: u64) -> bool {
        self.user() == user_tag(user_hash)
    }
}

/// The failures of one source that can still matter, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<Entry>);

/// The weighed window of one source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Failures with weight.
    pub(crate) failures: u32,
    /// Their weights, in thousandths.
    pub(crate) score: u32,
    /// The weakest of their grades.
    pub(crate) weakest: Option<Grade>,
}

/// What a rule finds in a history: with evidence that is good enough for it, and with any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Finding {
    pub(crate) sure: u32,
    pub(crate) all: u32,
}

/// What the counting rules find.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) users: Finding,
    pub(crate) slow: Finding,
    pub(crate) calls: Finding,
    pub(crate) raw_address: Finding,
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a failure; drops those that left every window, and the oldest of too many.
    pub(crate) fn push(&mut self, entry: Entry, limits: &Limits) {
        self.push_within(entry, limits.keep_ms, limits.max_history);
    }

    /// Adds a failure to a history with a window and a bound of its own.
    pub(crate) fn push_within(&mut self, entry: Entry, window_ms: u32, most: usize) {
        let old = self.0.iter().take_while(|e| age(entry.at, **e) >= window_ms).count();
        let too_many = (self.0.len() + 1).saturating_sub(most);
        let gone = old.max(too_many).min(self.0.len());
        if gone > 0 {
            self.0.drain(..gone);
        }
        self.0.push(entry);
    }

    /// Drops the failures of one user.
    pub(crate) fn forgive(&mut self, user_hash: u64) {
        self.0.retain(|entry| !entry.is_of(user_hash));
    }

    /// At most a few mistypes of this user.
    pub(crate) fn is_clean(&self, user_hash: u64) -> bool {
        self.0.len() <= MISTYPES && self.0.iter().all(|entry| entry.is_of(user_hash))
    }

    /// Somebody else than this user failed within `window_ms`.
    pub(crate) fn holds_others(&self, user_hash: u64, now: u32, window_ms: u32) -> bool {
        self.0.iter().any(|entry| age(now, *entry) < window_ms && !entry.is_of(user_hash))
    }

    /// Weighs the failures younger than the window that are at least of this grade. `now` is on the
    /// clock of [`millis`].
    pub(crate) fn tally(&self, now: u32, limits: &Limits, at_least: Option<Guard>) -> Tally {
        let mut tally = Tally::default();
        for entry in self.0.iter().filter(|entry| age(now, **entry) < limits.window_ms) {
            let grade = entry.grade();
            let weight = limits.weight(grade);
            if weight > 0 && at_least.is_none_or(|guard| guard.admits(grade)) {
                tally.failures += 1;
                tally.score = tally.score.saturating_add(weight);
                tally.weakest = Some(tally.weakest.map_or(grade, |weakest| weakest.min(grade)));
            }
        }
        tally
    }

    /// The failures younger than a window, oldest first.
    pub(crate) fn within(
        &self,
        now: u32,
        window_ms: u32,
    ) -> impl DoubleEndedIterator<Item = Entry> {
        self.0.iter().copied().filter(move |entry| age(now, *entry) < window_ms)
    }

    /// Failures younger than the window of exactly the strongest grades.
    pub(crate) fn answered(&self, now: u32, window_ms: u32) -> u32 {
        let young = self.0.iter().filter(|entry| age(now, **entry) < window_ms);
        count(young.filter(|entry| entry.grade() >= Grade::Assumed))
    }

    /// Failures of one user younger than the window.
    pub(crate) fn of_user(&self, user_hash: u64, now: u32, window_ms: u32) -> u32 {
        let young = self.0.iter().filter(|entry| age(now, **entry) < window_ms);
        count(young.filter(|entry| entry.is_of(user_hash)))
    }

    /// What the counting rules find. Those that cannot have reached their threshold are not looked
    /// at closer.
    pub(crate) fn findings(&self, now: u32, limits: &Limits) -> Findings {
        let rules = &limits.policy.rules;
        Findings {
            users: self.distinct_users(now, &rules.users),
            slow: self.matching(now, &rules.slow, |_| true),
            calls: self.matching(now, &rules.calls, |entry| entry.has(INVITE)),
            raw_address: self.matching(now, &rules.raw_address, |entry| entry.has(RAW_ADDRESS)),
        }
    }

    fn matching(&self, now: u32, rule: &Rule, what: impl Fn(Entry) -> bool) -> Finding {
        if !rule.guard.is_on() || self.0.len() < rule.threshold as usize {
            return Finding::default();
        }
        let window = window_ms(rule.window);
        let found = self.0.iter().filter(|entry| age(now, **entry) < window && what(**entry));
        let sure = found.clone().filter(|entry| rule.guard.admits(entry.grade()));
        Finding { sure: count(sure), all: count(found) }
    }

    fn distinct_users(&self, now: u32, rule: &Rule) -> Finding {
        if !rule.guard.is_on() || self.0.len() < rule.threshold as usize {
            return Finding::default();
        }
        let window = window_ms(rule.window);
        let (mut sure, mut all) = (Users::default(), Users::default());
        for entry in self.0.iter().filter(|entry| age(now, **entry) < window) {
            all.add(entry.user());
            if rule.guard.admits(entry.grade()) {
                sure.add(entry.user());
            }
        }
        Finding { sure: sure.count(), all: all.count() }
    }
}

/// Users told apart, on the stack: every failure of a source that fails on counts them.
struct Users {
    users: [u32; MAX_USERS],
    len: usize,
}

impl Default for Users {
    fn default() -> Self {
        Self { users: [0; MAX_USERS], len: 0 }
    }
}

impl Users {
    fn add(&mut self, user: u32) {
        let known = self.users.iter().take(self.len).any(|other| *other == user);
        if let Some(place) = self.users.get_mut(self.len).filter(|_| !known) {
            *place = user;
            self.len += 1;
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.len).unwrap_or(u32::MAX)
    }
}

fn count<'a>(entries: impl Iterator<Item = &'a Entry>) -> u32 {
    u32::try_from(entries.count()).unwrap_or(u32::MAX)
}

/// As many bits of the user's hash as fit beside the rest.
fn user_tag(user_hash: u64) -> u32 {
    (user_hash >> (32 + USER_SHIFT)) as u32
}

/// Milliseconds since a failure.
fn age(now: u32, entry: Entry) -> u32 {
    now.wrapping_sub(entry.at)
}
