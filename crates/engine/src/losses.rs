//! The time that hosts lose to what forgers can cause: denied flows and limits, counted together.
//!
//! A denied flow costs a phone behind that port its service, and a limit costs it to everybody behind the address
//! once a forger uses it up. So both share one budget: within an hour from the first of them a host loses at most
//! [`SLOWED_FOR`]. A limit hits every port, so it ends no later than that after the oldest denial of the hour; a
//! denial hits one port, which may be denied once an hour, and ends no later than that after the last limit began.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::flows::DENIED_WITHIN;
use crate::key::Key;
use crate::lru::LruTable;
use crate::{Cause, SLOWED_FOR, Timestamp, net};

/// Hosts whose losses are remembered, as many as those whose denied ports are.
const MAX_HOSTS: usize = 65_536;

/// Denials of a network that are remembered apart: one for each minute of the hour.
const MAX_DENIALS: usize = 61;

/// What each host has lost within the hour.
#[derive(Debug)]
pub(crate) struct Losses {
    table: LruTable<Key, Loss>,
}

#[derive(Clone, Debug, Default)]
struct Loss {
    /// When flows were denied, the oldest first; one for each minute.
    denied: Vec<Timestamp>,
    slowed: Option<Slowed>,
}

#[derive(Clone, Debug)]
struct Slowed {
    since: Timestamp,
    until: Timestamp,
    /// Nobody was registered there: the next registration ends it. With what made it due.
    ends_early: Option<Arc<Cause>>,
}

/// The host that a limit hits ([`crate::Action::Slow`]): an IPv4 address, also one in mapped form, or an IPv6 /64.
#[must_use]
pub fn slowed_net(addr: IpAddr) -> IpNet {
    let addr = net::canonical(addr);
    net::net_of(addr, if addr.is_ipv4() { 32 } else { 64 })
}

fn key(addr: IpAddr) -> Key {
    Key::of(&slowed_net(addr))
}

impl Losses {
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: LruTable::new(MAX_HOSTS, seed) }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// A flow of a host was denied at `at`.
    pub(crate) fn note_denied(&mut self, addr: IpAddr, at: Timestamp, now: Timestamp) {
        if now.since(at) >= DENIED_WITHIN {
            return;
        }
        let denied = &mut self.table.entry(key(addr)).denied;
        denied.retain(|at| now.since(*at) < DENIED_WITHIN);
        let place = denied.partition_point(|other| *other <= at);
        let is_near = |other: &Timestamp| at.since(*other) < Duration::from_secs(60);
        if !denied.get(..place).and_then(<[_]>::last).is_some_and(is_near)
            && denied.len() < MAX_DENIALS
        {
            denied.insert(place, at);
        }
    }

    /// Until when a flow of a host may be denied, at most for `time`; `None` when it lost its time already.
    pub(crate) fn deny_until(
        &self,
        addr: IpAddr,
        time: Duration,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let slowed = self.table.get(&key(addr)).and_then(|loss| loss.slowed.as_ref());
        let lately = slowed.filter(|slowed| now.since(slowed.since) < DENIED_WITHIN);
        let until = lately.map_or(now + time, |slowed| (now + time).min(slowed.since + SLOWED_FOR));
        (until > now).then_some(until)
    }

    /// Until when a host may be limited; `None` when it lost its time already.
    pub(crate) fn slow_until(&self, addr: IpAddr, now: Timestamp) -> Option<Timestamp> {
        let loss = self.table.get(&key(addr));
        let within = |at: &Timestamp| now.since(*at) < DENIED_WITHIN;
        let denied = loss.and_then(|loss| loss.denied.iter().copied().find(within));
        let slowed = loss.and_then(|loss| loss.slowed.as_ref()).map(|slowed| slowed.since);
        let first = denied.into_iter().chain(slowed.filter(within)).min();
        let until = first.map_or(now, |first| first.min(now)) + SLOWED_FOR;
        (until > now).then_some(until)
    }

    /// A host is limited. `ends_early` where nobody is registered: what to say when somebody is.
    pub(crate) fn note_slowed(
        &mut self,
        addr: IpAddr,
        (since, until): (Timestamp, Timestamp),
        ends_early: Option<Arc<Cause>>,
        now: Timestamp,
    ) {
        if now.since(since) >= DENIED_WITHIN {
            return;
        }
        let slowed = &mut self.table.entry(key(addr)).slowed;
        // The same hour goes on.
        let lately = slowed.as_ref().map(|slowed| slowed.since);
        let lately = lately.filter(|before| now.since(*before) < DENIED_WITHIN);
        let since = lately.map_or(since, |before| before.min(since));
        *slowed = Some(Slowed { since, until, ends_early });
    }

    /// Somebody is registered at a host: what limited it only because nobody was is over. Gives its cause.
    pub(crate) fn end(&mut self, addr: IpAddr, now: Timestamp) -> Option<Arc<Cause>> {
        if self.table.len() == 0 {
            return None;
        }
        let slot = self.table.find(&key(addr))?;
        let slowed = self.table.value_mut(slot)?.slowed.as_mut()?;
        let cause = slowed.ends_early.take().filter(|_| slowed.until > now)?;
        slowed.until = now;
        Some(cause)
    }

    /// Until when a host is not limited again, when it was lately.
    pub(crate) fn slowed_until(&self, addr: IpAddr, now: Timestamp) -> Option<Timestamp> {
        let slowed = self.table.get(&key(addr))?.slowed.as_ref()?;
        Some(slowed.since + DENIED_WITHIN).filter(|until| *until > now)
    }

    /// Forgets what no longer counts.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let over = |at: &Timestamp| now.since(*at) >= DENIED_WITHIN;
        self.table.expire(|_, loss| {
            loss.denied.iter().all(over) && loss.slowed.as_ref().is_none_or(|it| over(&it.since))
        });
    }

    /// Takes over what `other` holds of one address.
    pub(crate) fn copy(&mut self, other: &Self, addr: IpAddr) {
        if let Some(loss) = other.table.get(&key(addr)) {
            *self.table.entry(key(addr)) = loss.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn addr() -> IpAddr {
        "192.0.2.7".parse().unwrap()
    }

    fn slow(losses: &mut Losses, now: Timestamp) -> Option<Timestamp> {
        let until = losses.slow_until(addr(), now)?;
        losses.note_slowed(addr(), (now, until), None, now);
        Some(until)
    }

    #[test]
    fn a_limit_ends_ten_minutes_after_the_first_denial_of_the_hour() {
        let mut losses = Losses::new(1);
        losses.note_denied(addr(), START, START);
        losses.note_denied(addr(), START + 4 * MINUTE, START + 4 * MINUTE);
        assert_eq!(losses.slow_until(addr(), START + 5 * MINUTE), Some(START + 10 * MINUTE));
        assert_eq!(losses.slow_until(addr(), START + 10 * MINUTE), None);
        assert_eq!(losses.slow_until(addr(), START + 60 * MINUTE), None, "the second counts");
        let later = START + 64 * MINUTE;
        assert_eq!(losses.slow_until(addr(), later), Some(later + 10 * MINUTE));
    }

    #[test]
    fn a_denial_ends_ten_minutes_after_the_limit_began_and_a_limit_is_not_renewed() {
        let mut losses = Losses::new(1);
        assert_eq!(slow(&mut losses, START), Some(START + 10 * MINUTE));
        let deny = |losses: &Losses, now| losses.deny_until(addr(), 10 * MINUTE, now);
        assert_eq!(deny(&losses, START + 3 * MINUTE), Some(START + 10 * MINUTE));
        assert_eq!(deny(&losses, START + 11 * MINUTE), None);
        assert_eq!(slow(&mut losses, START + 6 * MINUTE), Some(START + 10 * MINUTE));
        assert_eq!(slow(&mut losses, START + 59 * MINUTE), None);
        let later = START + 60 * MINUTE;
        assert_eq!(deny(&losses, later), Some(later + 10 * MINUTE));
        assert_eq!(slow(&mut losses, later), Some(later + 10 * MINUTE));
        losses.expire(START + 120 * MINUTE);
        assert_eq!(losses.len(), 0);
    }

    #[test]
    fn hosts_of_an_ipv6_network_are_limited_together_and_share_the_time() {
        let mut losses = Losses::new(1);
        let [one, other] = ["2001:db8::1", "2001:db8::2"].map(|addr| addr.parse().unwrap());
        losses.note_denied(one, START, START);
        assert_eq!(losses.slow_until(other, START + 11 * MINUTE), None);
        losses.note_slowed(other, (START, START + 10 * MINUTE), None, START);
        assert_eq!(losses.deny_until(one, 10 * MINUTE, START + 11 * MINUTE), None);
    }

    #[test]
    fn a_registration_ends_what_was_due_because_nobody_was_registered() {
        let mut losses = Losses::new(1);
        let cause = Arc::new(Cause::Adopted);
        let times = (START, START + 10 * MINUTE);
        losses.note_slowed(addr(), times, Some(cause), START);
        assert!(losses.end(addr(), START + MINUTE).is_some());
        assert!(losses.end(addr(), START + MINUTE).is_none(), "once");
        losses.note_slowed(addr(), times, None, START);
        assert!(losses.end(addr(), START + MINUTE).is_none(), "an insider registers at will");
    }
}
