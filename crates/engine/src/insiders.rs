//! Hosts from where users log in and that guess passwords of other users.

use std::time::Duration;

use crate::foreign::Foreign;
use crate::key::Key;
use crate::limits::{Limits, millis, window_ms};
use crate::lru::LruTable;
use crate::sources::Entry;
use crate::sources::History;
use crate::{Grade, Text, Timestamp};

/// Hosts watched at once: up to 2 kB each with failures and names.
const MAX_INSIDERS: usize = 4_096;

/// Names kept of the users tried.
const MAX_NAMES: usize = 8;

/// Failures kept at least: more users than that in an hour are as good as this many.
const MIN_KEPT: usize = 64;

/// Failures within the window that are reported whatever the number of users.
const MANY_FAILURES: u32 = 20;

/// How often a continuing insider is reported.
const TELL_EVERY: Duration = Duration::from_secs(3_600);

/// Known hosts that fail for users that never logged in there.
#[derive(Debug)]
pub(crate) struct Insiders {
    table: LruTable<Key, Insider>,
    /// The same over a day, by account that made hosts known, wherever they are.
    accounts: LruTable<u64, Foreign>,
    /// Over a day, by network of which every failing host counts by itself, because somebody is known there: what
    /// strangers in it did.
    networks: LruTable<Key, Foreign>,
}

#[derive(Debug, Default)]
struct Insider {
    history: History,
    names: Vec<Text>,
    told: Option<Timestamp>,
    day: Foreign,
    /// It was dealt with, and is not again before this time.
    dealt_until: Option<Timestamp>,
}

/// What is known of an insider.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// Users tried within the rule's window, and failures for them; within a day, if that is what is reported.
    pub(crate) users: u32,
    pub(crate) failures: u32,
    /// The same within the base window, of evidence that a patient forger at least is needed for.
    pub(crate) answered_users: u32,
    pub(crate) answered: u32,
    /// Names of the latest users, when a report is due.
    pub(crate) tell: Option<Vec<Text>>,
}

impl Insiders {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            table: LruTable::new(MAX_INSIDERS, seed),
            accounts: LruTable::new(MAX_INSIDERS, seed),
            networks: LruTable::new(MAX_INSIDERS, seed),
        }
    }

    /// A host from where users log in failed for a user that never did there; `is_phone` when it looks like a line
    /// with a wrong password. `accounts`: users that log in there.
    pub(crate) fn note(
        &mut self,
        host: Key,
        (entry, user, is_phone): (Entry, u64, bool),
        accounts: &[u64],
        name: Text,
        limits: &Limits,
        now: Timestamp,
    ) -> Finding {
        let rule = limits.policy.rules.insider;
        let window = window_ms(rule.window.max(limits.policy.window));
        let most = MIN_KEPT.max(limits.policy.healthy.known_max_failures as usize);
        let insider = self.table.entry(host);
        insider.history.push_within(entry, window, most);
        if !insider.names.contains(&name) {
            if insider.names.len() >= MAX_NAMES {
                insider.names.remove(0);
            }
            insider.names.push(name);
        }
        let now_ms = millis(now);
        let weakest = Grade::Unchallenged;
        let (mut users, mut failures) =
            insider.history.users(weakest, now_ms, window_ms(rule.window));
        let (answered_users, answered) =
            insider.history.users(Grade::Answered, now_ms, limits.window_ms);
        // Guesses of one user's password are many, those of a line with a wrong one look the same.
        let is_line = insider.day.note(user, is_phone, now);
        let guesses = insider.day.has_guesses(rule.window, now);
        let many = guesses && failures >= MANY_FAILURES;
        let quiet = insider.told.is_none_or(|told| now.since(told) >= TELL_EVERY);
        let mut due = quiet && (users >= rule.threshold || many);
        if !is_line {
            for account in accounts {
                self.accounts.entry(*account).note(user, false, now);
            }
        }
        if quiet && !due {
            let day = insider.day.due(now);
            let of_account = |account| self.accounts.get(account).and_then(|it| it.due(now));
            if let Some(found) = day.or_else(|| accounts.iter().find_map(of_account)) {
                (users, failures) = found;
                due = true;
            }
        }
        if due {
            insider.told = Some(now);
            insider.day.note_told(now);
            for account in accounts {
                let slot = self.accounts.find(account);
                if let Some(day) = slot.and_then(|slot| self.accounts.value_mut(slot)) {
                    day.note_told(now);
                }
            }
        }
        let tell = due.then(|| insider.names.clone());
        Finding { users, failures, answered_users, answered, tell }
    }

    /// A stranger failed in a network where somebody is known. Gives users and failures when a report is due.
    pub(crate) fn note_neighbour(
        &mut self,
        network: Key,
        user: u64,
        now: Timestamp,
    ) -> Option<(u32, u32)> {
        let day = self.networks.entry(network);
        day.note(user, false, now);
        let due = day.due(now);
        if due.is_some() {
            day.note_told(now);
        }
        due
    }

    /// A user logged in at a host, in a network of which hosts are counted by themselves or not: what failed for it
    /// there before were mistypes.
    pub(crate) fn forgive(&mut self, host: &Key, network: &Key, accounts: &[u64], user: u64) {
        if self.table.len() + self.networks.len() == 0 {
            return;
        }
        let slot = self.table.find(host);
        if let Some(insider) = slot.and_then(|slot| self.table.value_mut(slot)) {
            insider.day.forgive(user);
        }
        let slot = self.networks.find(network);
        if let Some(day) = slot.and_then(|slot| self.networks.value_mut(slot)) {
            day.forgive(user);
        }
        for account in accounts {
            let slot = self.accounts.find(account);
            if let Some(day) = slot.and_then(|slot| self.accounts.value_mut(slot)) {
                day.forgive(user);
            }
        }
    }

    /// A host was reported within the last hour.
    pub(crate) fn was_reported(&self, host: &Key, now: Timestamp) -> bool {
        let told = self.table.get(host).and_then(|insider| insider.told);
        told.is_some_and(|told| now.since(told) < TELL_EVERY)
    }

    /// Failures of a host for one user, and how long ago (ms) the first of them was.
    pub(crate) fn since_first(
        &self,
        host: &Key,
        user_hash: u64,
        limits: &Limits,
        now: Timestamp,
    ) -> (u32, Option<u32>) {
        let window = window_ms(limits.policy.rules.insider.window.max(limits.policy.window));
        let history = self.table.get(host).map(|insider| &insider.history);
        history.map_or((0, None), |it| it.since_first(user_hash, millis(now), window))
    }

    /// Something is due against an insider: a limit, or the denial of a flow. True when it was not dealt with
    /// yet, or is to be again: it is not until `until`.
    pub(crate) fn deal(&mut self, host: &Key, until: Timestamp, now: Timestamp) -> bool {
        let slot = self.table.find(host);
        let Some(insider) = slot.and_then(|slot| self.table.value_mut(slot)) else {
            return false;
        };
        let due = insider.dealt_until.is_none_or(|dealt| dealt <= now);
        if due {
            insider.dealt_until = Some(until);
        }
        due
    }

    /// Until when an insider that was dealt with is not slowed down (again).
    pub(crate) fn dealt_until(&self, host: &Key, now: Timestamp) -> Option<Timestamp> {
        self.table.get(host)?.dealt_until.filter(|until| *until > now)
    }

    /// Forgets those that have stopped for long.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &Limits) {
        let window = window_ms(limits.policy.rules.insider.window.max(limits.policy.window));
        let now_ms = millis(now);
        self.table.expire(|_, insider| {
            let quiet = insider.history.within(now_ms, window).next().is_none();
            quiet && insider.day.is_over(now)
        });
        self.accounts.expire(|_, day| day.is_over(now));
        self.networks.expire(|_, day| day.is_over(now));
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len() + self.accounts.len() + self.networks.len()
    }
}
