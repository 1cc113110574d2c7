//! From how many new addresses each account logged in lately.
//!
//! A success proves a password, not an address: over UDP an account's owner can send one from any
//! address, and a stolen account is used from many.

use std::time::Duration;

use crate::Timestamp;
use crate::key::Key;
use crate::limits::seconds;
use crate::lru::LruTable;

/// Accounts watched at once. Only those that come from new addresses.
const MAX_ACCOUNTS: usize = 65_536;

/// How long new addresses are counted together.
const WITHIN: Duration = Duration::from_secs(86_400);

/// Addresses of an account that are remembered one by one; further ones count as new each time.
const MAX_TOLD_APART: usize = 16;

/// New addresses by account.
#[derive(Debug)]
pub(crate) struct Accounts {
    table: LruTable<u64, Account>,
    /// By user, whose account is not known yet: addresses of the last day from before a restart.
    restored: LruTable<u64, Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// Those of the last day, the oldest first. Most accounts have one.
    first: Option<New>,
    others: Option<Box<Others>>,
    /// Further ones, since the latest of them.
    beyond: u32,
    /// The next number of addresses that is reported.
    tell_at: u32,
}

/// On the heap, because most accounts have none.
#[derive(Debug, Default)]
struct Others(Vec<New>);

/// An address that was new.
#[derive(Clone, Copy, Debug)]
struct New {
    /// Whole: one that passed for another would be a new one in silence.
    address: Key,
    /// Seconds of the epoch.
    at: u32,
    /// It may be known: it was within the limit.
    is_known: bool,
}

impl New {
    fn is_over(&self, now: Timestamp) -> bool {
        u64::from(seconds(now).saturating_sub(self.at)) >= WITHIN.as_secs()
    }
}

impl Account {
    fn all(&self) -> impl Iterator<Item = &New> {
        self.first.iter().chain(self.others.iter().flat_map(|others| &others.0))
    }

    fn len(&self) -> usize {
        self.all().count()
    }

    fn push(&mut self, new: New) {
        if self.first.is_none() {
            self.first = Some(new);
        } else {
            self.others.get_or_insert_default().0.push(new);
        }
    }

    /// Takes these in place of its own.
    fn replace(&mut self, all: Vec<New>) {
        (self.first, self.others) = (None, None);
        for new in all {
            self.push(new);
        }
    }

    fn expire(&mut self, now: Timestamp) {
        if self.all().any(|new| new.is_over(now)) {
            let kept = self.all().filter(|new| !new.is_over(now)).copied().collect();
            self.replace(kept);
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.all().all(|new| new.is_over(now))
    }
}

/// A success from a new address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewAddress {
    /// It may become known.
    pub(crate) within_limit: bool,
    /// The limit of addresses is exceeded, and a report is due.
    pub(crate) tell: Option<u32>,
}

impl Accounts {
    pub(crate) fn new(seed: u64) -> Self {
        let (table, restored) =
            (LruTable::new(MAX_ACCOUNTS, seed), LruTable::new(MAX_ACCOUNTS, seed));
        Self { table, restored }
    }

    /// An account logged in from an address where it is not known.
    pub(crate) fn new_address(
        &mut self,
        account: u64,
        address: Key,
        limit: u32,
        now: Timestamp,
    ) -> NewAddress {
        let entry = self.table.entry(account);
        entry.expire(now);
        if let Some(new) = entry.all().find(|new| new.address == address) {
            return NewAddress { within_limit: new.is_known, tell: None };
        }
        let known = entry.all().filter(|new| new.is_known).count();
        let is_known = known < limit as usize;
        if entry.len() < MAX_TOLD_APART.max(limit as usize) {
            entry.beyond = 0;
            entry.push(New { address, at: seconds(now), is_known });
        } else {
            entry.beyond = entry.beyond.saturating_add(1);
        }
        let told_apart = u32::try_from(entry.len()).unwrap_or(u32::MAX);
        let count = told_apart.saturating_add(entry.beyond);
        if count <= limit {
            entry.tell_at = limit.saturating_add(1);
        }
        let tell = (count >= entry.tell_at).then_some(count);
        if tell.is_some() {
            entry.tell_at = count.saturating_mul(2);
        }
        NewAddress { within_limit: is_known, tell }
    }

    /// A user logged in from a new address at `at`, before a restart. The account is not known: a success is stored
    /// without its domain.
    pub(crate) fn restore(&mut self, user: u64, address: Key, at: Timestamp, now: Timestamp) {
        if now.since(at) >= WITHIN {
            return;
        }
        let entry = self.restored.entry(user);
        if entry.len() < MAX_TOLD_APART && entry.all().all(|new| new.address != address) {
            entry.push(New { address, at: seconds(at), is_known: true });
        }
    }

    /// The account of a user comes from a new address: what was restored of the user counts for it, and not for
    /// namesakes in other domains.
    pub(crate) fn claim(&mut self, account: u64, user: u64) {
        if self.restored.len() == 0 {
            return;
        }
        let Some(restored) = self.restored.remove(&user) else { return };
        let entry = self.table.entry(account);
        let mut all: Vec<New> = entry.all().chain(restored.all()).copied().collect();
        all.sort_by_key(|new| new.at);
        entry.replace(all);
    }

    /// Forgets accounts that have not come from a new address for long.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.table.expire(|_, account| account.is_over(now));
        self.restored.expire(|_, account| account.is_over(now));
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len() + self.restored.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn an_account_takes_no_more_than_a_hundred_thousand_of_them_may() {
        // Beside it in the table: a key of 8 bytes, and 8 that link it.
        assert_eq!(size_of::<Account>(), 40);
    }

    #[test]
    fn the_sixth_new_address_of_a_day_is_one_too_many() {
        let mut accounts = Accounts::new(42);
        let key = |address: u32| Key::of_addr(std::net::Ipv4Addr::from_bits(address).into());
        let mut come = |address, now| accounts.new_address(1, key(address), 5, now);
        let fine = NewAddress { within_limit: true, tell: None };
        for address in 0..5 {
            assert_eq!(come(address, NOW), fine);
        }
        assert_eq!(come(3, NOW), fine, "again");
        assert_eq!(come(5, NOW), NewAddress { within_limit: false, tell: Some(6) });
        assert_eq!(come(5, NOW), NewAddress { within_limit: false, tell: None }, "again");
        let told: Vec<u32> = (6..100).filter_map(|address| come(address, NOW).tell).collect();
        assert_eq!(told, [12, 24, 48, 96], "told again when it doubles");
        assert_eq!(come(200, NOW + WITHIN), fine, "the next day");
    }

    #[test]
    fn the_day_slides_and_goes_on_after_a_restart() {
        let mut accounts = Accounts::new(42);
        let hour = Duration::from_secs(3_600);
        let key = |address: u32| Key::of_addr(std::net::Ipv4Addr::from_bits(address).into());
        let mut fine = |address, now| accounts.new_address(1, key(address), 5, now).within_limit;
        assert!(fine(0, NOW));
        for address in 1..5 {
            assert!(fine(address, NOW + 23 * hour));
        }
        assert!(!fine(5, NOW + 23 * hour));
        assert!(fine(6, NOW + 24 * hour), "the first is a day old");
        assert!(!fine(7, NOW + 24 * hour) && !fine(8, NOW + 46 * hour));
        assert!(fine(9, NOW + 47 * hour));

        let mut restarted = Accounts::new(43);
        for address in 0..5 {
            restarted.restore(7, key(address), NOW.earlier(hour), NOW);
            restarted.restore(7, key(address), NOW.earlier(2 * WITHIN), NOW);
        }
        restarted.claim(1, 7);
        assert!(!restarted.new_address(1, key(5), 5, NOW).within_limit);
        restarted.claim(2, 7);
        assert!(restarted.new_address(2, key(5), 5, NOW).within_limit, "a namesake");
        restarted.expire(NOW + WITHIN);
        assert_eq!(restarted.len(), 0);
    }
}
