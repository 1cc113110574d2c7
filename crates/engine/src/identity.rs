//! Healthy hosts: successes by source and user.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::effect::Standing;
use crate::key::Key;
use crate::limits::{Limits, millis, window_ms};
use crate::lru::LruTable;
use crate::seen::Seen;
use crate::sources::{Entry, History};
use crate::{Grade, Identity, Timestamp};

/// Most known sources. Only a log-in with a password adds one.
const MAX_KNOWN: usize = 131_072;

/// Pairs of source and user known at once.
const MAX_HEALTHY: usize = 262_144;

/// Pairs of user and user agent known at once, wherever they are.
const MAX_HOMES: usize = 131_072;

/// Phones that need attention at once. At 60 failures each about 2 MB.
const MAX_ATTENTION: usize = 4_096;

/// Healthy users of at least a day, within [`SHARED_WITHIN`], that make a source a proxy or a NAT.
const SHARED_USERS: usize = 3;

const SHARED_WITHIN: Duration = Duration::from_secs(86_400);

/// How long new addresses of one user are counted: [`crate::Healthy::max_new_addresses`].
const NEW_ADDRESSES_WITHIN: Duration = Duration::from_secs(86_400);

/// How often a success is stored, and a phone that needs attention is reported.
const TELL_EVERY: Duration = Duration::from_secs(86_400);

/// Window of a phone that needs attention.
pub(crate) const ATTENTION_WINDOW: Duration = Duration::from_secs(600);

/// Health memory.
#[derive(Debug)]
pub(crate) struct Identities {
    known: LruTable<Key, Known>,
    healthy: LruTable<(Key, u64), Healthy>,
    /// By user and user agent: a phone that is trusted somewhere is trusted elsewhere at once.
    homes: LruTable<(u64, u64), Home>,
    attention: LruTable<Key, Attention>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    first_success: Option<Timestamp>,
    last_success: Timestamp,
    /// Its first success was that of a user trusted elsewhere.
    vouched: bool,
    /// It was in the first list of registrations that this installation saw, and no failure for another user happened
    /// there since.
    listed: bool,
    users: Users,
}

/// Some users of a source: settled ones before others, the latest before earlier ones. Most sources have one,
/// so there is room for no more until more come.
#[derive(Clone, Debug, Default)]
struct Users {
    one: Option<User>,
    others: Option<Box<[Option<User>; SHARED_USERS - 1]>>,
}

impl Users {
    fn iter(&self) -> impl Iterator<Item = &User> {
        self.one.iter().chain(self.others.iter().flat_map(|others| others.iter().flatten()))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut User> {
        let others = self.others.iter_mut().flat_map(|others| others.iter_mut().flatten());
        self.one.iter_mut().chain(others)
    }

    /// A place that is free, if there is one.
    fn free(&mut self) -> Option<&mut Option<User>> {
        if self.one.is_none() {
            return Some(&mut self.one);
        }
        let others = self.others.get_or_insert_default();
        others.iter_mut().find(|place| place.is_none())
    }
}

/// A user that succeeds at a source.
#[derive(Clone, Copy, Debug)]
struct User {
    hash: u64,
    last_success: Timestamp,
    /// For a day at least.
    settled: bool,
}

#[derive(Clone, Debug, Default)]
struct Healthy {
    first_success: Option<Timestamp>,
    last_success: Timestamp,
    told: Option<Timestamp>,
    /// `None` until it is known.
    agent_hash: Option<NonZeroU64>,
}

/// A user with one user agent, wherever it is.
#[derive(Clone, Debug, Default)]
struct Home {
    first_success: Option<Timestamp>,
    last_success: Timestamp,
    /// New addresses it vouched for within a day, and since when they are counted.
    vouched: u32,
    vouching_since: Timestamp,
}

/// What a success says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login {
    pub(crate) user: u64,
    /// `None`: unknown.
    pub(crate) agent: Option<u64>,
    /// The first success of this user from there, as far as is known.
    pub(crate) since: Timestamp,
    pub(crate) at: Timestamp,
    /// Nothing from there looks like guessing: at most [`crate::sources::MISTYPES`] failures, all of this user.
    pub(crate) clean: bool,
    /// A peer of the fleet trusts this user with this user agent.
    pub(crate) vouched: bool,
}

#[derive(Clone, Debug, Default)]
struct Attention {
    user_hash: u64,
    told: Option<Timestamp>,
    history: History,
}

/// A phone that succeeded before and fails now.
#[derive(Debug)]
pub(crate) struct Patient {
    /// `None`: this user never succeeded there, another is registered there.
    pub(crate) last_success: Option<Timestamp>,
    /// Failures within [`ATTENTION_WINDOW`], and genuine ones among them.
    pub(crate) failures: u32,
    pub(crate) genuine: u32,
    /// It was not reported today.
    pub(crate) tell: bool,
}

impl Identities {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            known: LruTable::new(MAX_KNOWN, seed),
            healthy: LruTable::new(MAX_HEALTHY, seed),
            homes: LruTable::new(MAX_HOMES, seed),
            attention: LruTable::new(MAX_ATTENTION, seed),
        }
    }

    /// A user succeeded. Gives the first success when the store should hear of it.
    pub(crate) fn success(&mut self, key: Key, login: Login, limits: &Limits) -> Option<Timestamp> {
        let Login { user, agent, since, at, clean, vouched: elsewhere } = login;
        let is_new = self.known.get(&key).is_none_or(|known| known.first_success.is_none());
        let vouched = is_new && clean && (elsewhere || self.vouches(&login, limits));
        let known = self.known.entry(key);
        known.vouched |= vouched;
        known.first_success = Some(known.first_success.map_or(since, |first| first.min(since)));
        known.last_success = known.last_success.max(at);
        if self.attention.get(&key).is_some_and(|attention| attention.user_hash == user) {
            self.attention.remove(&key);
        }
        if let Some(agent) = agent {
            let home = self.homes.entry((user, agent));
            home.first_success = Some(home.first_success.map_or(since, |first| first.min(since)));
            home.last_success = home.last_success.max(at);
        }
        let healthy = self.healthy.entry((key, user));
        let first = healthy.first_success.map_or(since, |first| first.min(since));
        healthy.first_success = Some(first);
        healthy.last_success = healthy.last_success.max(at);
        healthy.agent_hash = agent.map(tag).or(healthy.agent_hash);
        let settled = at.since(first) >= limits.policy.healthy.trust_after;
        self.known.entry(key).note_user(User { hash: user, last_success: at, settled });
        let healthy = self.healthy.entry((key, user));
        if healthy.told.is_some_and(|told| at.since(told) < TELL_EVERY) {
            return None;
        }
        healthy.told = Some(at);
        Some(first)
    }

    /// A user is said to be registered: it succeeded before, at an unknown time and with an unknown user agent. So
    /// that is
    /// no first success: trust begins with one that is seen. In the very first list it is: then the
    /// store has to hear of it, with the time that this gives.
    pub(crate) fn confirm(
        &mut self,
        key: Key,
        user: u64,
        first: bool,
        at: Timestamp,
        limits: &Limits,
    ) -> Option<Timestamp> {
        let settled = at.earlier(limits.policy.healthy.trust_after);
        let known = self.known.entry(key);
        known.last_success = known.last_success.max(at);
        known.listed |= first;
        if first {
            known.first_success = Some(known.first_success.map_or(settled, |f| f.min(settled)));
        }
        let healthy = self.healthy.entry((key, user));
        healthy.last_success = healthy.last_success.max(at);
        if first {
            healthy.first_success = Some(healthy.first_success.map_or(settled, |f| f.min(settled)));
            healthy.told = Some(at);
        }
        let since = healthy.first_success.unwrap_or(at);
        let settled_now = at.since(since) >= limits.policy.healthy.trust_after;
        self.known.entry(key).note_user(User {
            hash: user,
            last_success: at,
            settled: settled_now,
        });
        first.then_some(settled)
    }

    /// A source failed for a user that never logged in there: being in the first list is no
    /// reason to trust it any more.
    pub(crate) fn distrust(&mut self, key: &Key, now: Timestamp) {
        let slot = self.known.find(key);
        let Some(known) = slot.and_then(|slot| self.known.value_mut(slot)) else {
            return;
        };
        if std::mem::take(&mut known.listed) {
            known.first_success = Some(now);
            for user in known.users.iter_mut() {
                user.settled = false;
            }
        }
    }

    /// This user logged in with this user agent lately, from wherever.
    pub(crate) fn uses(&self, user: u64, agent: u64, now: Timestamp, limits: &Limits) -> bool {
        let home = self.homes.get(&(user, agent));
        let remember = limits.policy.healthy.remember;
        home.is_some_and(|home| now.since(home.last_success) < remember)
    }

    /// This user logged in from there lately.
    pub(crate) fn is_at_home(&self, key: Key, user: u64, now: Timestamp, limits: &Limits) -> bool {
        let healthy = self.healthy.get(&(key, user));
        let remember = limits.policy.healthy.remember;
        healthy.is_some_and(|healthy| now.since(healthy.last_success) < remember)
    }

    /// Users that log in at a host, as far as they are told apart; none of a proxy's, where many do.
    pub(crate) fn users(&self, key: &Key, now: Timestamp) -> Vec<u64> {
        let known = self.known.get(key).filter(|known| !known.is_shared(now));
        known.into_iter().flat_map(|known| known.users.iter()).map(|user| user.hash).collect()
    }

    /// The user succeeded somewhere for long enough to be trusted, with the same user agent, and did not
    /// vouch for too many new addresses lately. Counts one more.
    fn vouches(&mut self, login: &Login, limits: &Limits) -> bool {
        let healthy = &limits.policy.healthy;
        let home = login.agent.and_then(|agent| self.homes.find(&(login.user, agent)));
        let Some(home) = home.and_then(|slot| self.homes.value_mut(slot)) else {
            return false;
        };
        let first = home.first_success.unwrap_or(home.last_success);
        let trusted = login.at.since(home.last_success) < healthy.remember
            && home.last_success.since(first) >= healthy.trust_after;
        if !trusted {
            return false;
        }
        if login.at.since(home.vouching_since) >= NEW_ADDRESSES_WITHIN {
            (home.vouched, home.vouching_since) = (0, login.at);
        }
        home.vouched = home.vouched.saturating_add(1);
        home.vouched <= healthy.max_new_addresses
    }

    /// What is known of a source.
    pub(crate) fn of(&self, key: &Key, now: Timestamp, limits: &Limits) -> Identity {
        let Some(known) = self.known.get(key) else {
            return Identity::Stranger;
        };
        if now.since(known.last_success) >= limits.policy.healthy.remember {
            return Identity::Stranger;
        }
        if known.is_shared(now) {
            return Identity::Shared;
        }
        let first = known.first_success.unwrap_or(known.last_success);
        let settled = known.last_success.since(first) >= limits.policy.healthy.trust_after;
        if settled || known.vouched { Identity::Trusted } else { Identity::Known }
    }

    /// A failure of a known source: the phone it is taken for. Either its dialog shows that it is the
    /// registered one (`grade` is genuine), or all of these hold: this user succeeded from this source
    /// with this user agent, or another user is registered there now; and nobody else failed there lately
    /// (`others`, or another phone that needs attention).
    pub(crate) fn patient(
        &mut self,
        key: Key,
        seen: &Seen<'_>,
        (grade, standing): (Grade, Standing),
        others: bool,
        now: Timestamp,
        limits: &Limits,
    ) -> Option<Patient> {
        let genuine = grade == Grade::Genuine;
        let slot = self.healthy.find(&(key, seen.user_hash));
        let healthy = slot.and_then(|slot| self.healthy.value_mut(slot));
        let remember = limits.policy.healthy.remember;
        let healthy = healthy.filter(|healthy| now.since(healthy.last_success) < remember);
        let last_success = healthy.as_ref().map(|healthy| healthy.last_success);
        let same_phone = match healthy {
            // Whom only a list of registrations names has no user agent yet: the first will do.
            Some(healthy) => {
                let agent = tag(seen.agent_hash);
                *healthy.agent_hash.get_or_insert(agent) == agent
            }
            None => standing == Standing::OthersRegistered,
        };
        if !genuine && (others || !same_phone) {
            return None;
        }
        let window_ms = window_ms(ATTENTION_WINDOW);
        let attention = self.attention.entry(key);
        if attention.user_hash != seen.user_hash {
            let busy = attention.history.holds_others(seen.user_hash, millis(now), window_ms);
            if busy && !genuine {
                return None;
            }
            *attention = Attention { user_hash: seen.user_hash, ..Attention::default() };
        }
        let entry = Entry::new(seen, grade, now);
        let most = limits.policy.healthy.attention_max_failures as usize;
        attention.history.push_within(entry, window_ms, most);
        let tell = attention.told.is_none_or(|told| now.since(told) >= TELL_EVERY);
        if tell {
            attention.told = Some(now);
        }
        let failures = attention.history.at_least(Grade::Answered, millis(now), window_ms);
        let genuine = attention.history.at_least(Grade::Genuine, millis(now), window_ms);
        Some(Patient { last_success, failures, genuine, tell })
    }

    /// Sources that succeeded lately.
    pub(crate) fn known(&self, now: Timestamp, remember: Duration) -> impl Iterator<Item = Key> {
        let recent = self.known.iter().filter(move |(_, k)| now.since(k.last_success) < remember);
        recent.map(|(key, _)| *key)
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &Limits) {
        let remember = limits.policy.healthy.remember;
        self.known.expire(|_, known| now.since(known.last_success) >= remember);
        self.healthy.expire(|_, healthy| now.since(healthy.last_success) >= remember);
        self.homes.expire(|_, home| now.since(home.last_success) >= remember);
        self.attention
            .expire(|_, attention| attention.told.is_none_or(|told| now.since(told) >= TELL_EVERY));
    }

    /// Takes over what `other` knows of one source and of those who logged in there last.
    pub(crate) fn copy(&mut self, other: &Self, key: Key) {
        let Some(known) = other.known.get(&key) else {
            return;
        };
        for user in known.users.iter().map(|user| user.hash) {
            let Some(healthy) = other.healthy.get(&(key, user)) else {
                continue;
            };
            *self.healthy.entry((key, user)) = healthy.clone();
            let home = healthy.agent_hash.map(|agent| (user, agent.get()));
            if let Some((home, known)) = home.and_then(|home| Some((home, other.homes.get(&home)?)))
            {
                *self.homes.entry(home) = known.clone();
            }
        }
        if let Some(attention) = other.attention.get(&key) {
            *self.attention.entry(key) = attention.clone();
        }
        *self.known.entry(key) = known.clone();
    }

    /// Sources known, users known, phones that need attention.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (self.known.len(), self.healthy.len(), self.attention.len())
    }
}

impl Known {
    fn note_user(&mut self, user: User) {
        if let Some(known) = self.users.iter_mut().find(|other| other.hash == user.hash) {
            *known = user;
            return;
        }
        if let Some(free) = self.users.free() {
            *free = Some(user);
            return;
        }
        // A new user does not take the place of one of long standing that still comes.
        let gives_way = |other: &User| {
            user.settled
                || !other.settled
                || user.last_success.since(other.last_success) >= SHARED_WITHIN
        };
        let least = self.users.iter_mut().min_by_key(|other| (other.settled, other.last_success));
        if let Some(other) = least.filter(|other| gives_way(other)) {
            *other = user;
        }
    }

    fn is_shared(&self, now: Timestamp) -> bool {
        let counts = |user: &&User| user.settled && now.since(user.last_success) < SHARED_WITHIN;
        self.users.iter().filter(counts).count() >= SHARED_USERS
    }
}

/// The hash of a user agent as it is kept, in eight bytes with what is not known. 0 is taken for 1.
fn tag(agent_hash: u64) -> NonZeroU64 {
    NonZeroU64::new(agent_hash).unwrap_or(NonZeroU64::MIN)
}
