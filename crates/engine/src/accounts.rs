//! From how many new addresses each account logged in lately.
//!
//! A success proves a password, not an address: over UDP an account's owner can send one from any
//! address, and a stolen account is used from many.

use std::time::Duration;

use crate::Timestamp;
use crate::key::Key;
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
}

#[derive(Debug, Default)]
struct Account {
    since: Timestamp,
    /// Most accounts have one. Whole addresses: one that passed for another would be a new one in silence.
    first: Option<Key>,
    others: Option<Box<Others>>,
    count: u32,
    /// The next number of addresses that is reported.
    tell_at: u32,
}

/// On the heap, because most accounts have none.
#[derive(Debug, Default)]
struct Others(Vec<Key>);

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
        Self { table: LruTable::new(MAX_ACCOUNTS, seed) }
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
        if entry.count == 0 || now.since(entry.since) >= WITHIN {
            *entry = Account { since: now, tell_at: limit.saturating_add(1), ..Account::default() };
        }
        let others = entry.others.iter().flat_map(|others| &others.0);
        let mut addresses = entry.first.iter().chain(others);
        let place = addresses.position(|known| *known == address);
        if let Some(place) = place {
            let within_limit = u32::try_from(place).is_ok_and(|place| place < limit);
            return NewAddress { within_limit, tell: None };
        }
        if entry.first.is_none() {
            entry.first = Some(address);
        } else {
            let others = &mut entry.others.get_or_insert_default().0;
            if others.len() + 1 < MAX_TOLD_APART.max(limit as usize) {
                others.push(address);
            }
        }
        entry.count = entry.count.saturating_add(1);
        let tell = (entry.count >= entry.tell_at).then_some(entry.count);
        if tell.is_some() {
            entry.tell_at = entry.count.saturating_mul(2);
        }
        NewAddress { within_limit: entry.count <= limit, tell }
    }

    /// Forgets accounts that have not come from a new address for long.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.table.expire(|_, account| now.since(account.since) >= 2 * WITHIN);
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

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
}
