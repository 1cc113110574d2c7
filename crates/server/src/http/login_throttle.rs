//! Failed log-ins by client.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;

/// Failures within [`WINDOW`] after which a client has to wait.
pub(super) const MOST: usize = 10;

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(600);

/// Clients remembered at most; beyond it the one that failed longest ago is forgotten.
const CLIENTS: usize = 4_096;

/// A client with one IPv6 address usually has the whole /64 (RFC 4291 section 2.5.1).
const IPV6_PREFIX: u8 = 64;

/// Failed log-ins by client: an IPv4 address, an IPv6 /64.
#[derive(Debug, Default)]
pub(super) struct LoginThrottle {
    clients: Mutex<HashMap<IpNet, VecDeque<Instant>>>,
}

impl LoginThrottle {
    /// How long `client` must wait before its next attempt; `None` if it need not wait.
    pub(super) fn wait(&self, client: IpAddr, now: Instant) -> Option<Duration> {
        let mut clients = self.lock();
        let failures = clients.get_mut(&client_net(client))?;
        forget(failures, now);
        if failures.len() < MOST {
            return None;
        }
        let first = failures.front()?;
        Some((*first + WINDOW).saturating_duration_since(now))
    }

    /// Counts a failure. Attempts during the waiting time are not counted.
    pub(super) fn fail(&self, client: IpAddr, now: Instant) {
        let mut clients = self.lock();
        let key = client_net(client);
        if clients.len() >= CLIENTS && !clients.contains_key(&key) {
            make_room(&mut clients, now);
        }
        let failures = clients.entry(key).or_default();
        forget(failures, now);
        if failures.len() < MOST {
            failures.push_back(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpNet, VecDeque<Instant>>> {
        // Every change leaves it whole.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client is counted by.
pub(super) fn client_net(client: IpAddr) -> IpNet {
    let net = IpNet::from(client);
    let prefix = net.max_prefix_len().min(if client.is_ipv6() { IPV6_PREFIX } else { 32 });
    IpNet::new(client, prefix).map_or(net, |net| net.trunc())
}

fn forget(failures: &mut VecDeque<Instant>, now: Instant) {
    while failures.front().is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW) {
        failures.pop_front();
    }
}

fn make_room(clients: &mut HashMap<IpNet, VecDeque<Instant>>, now: Instant) {
    let last = |failures: &VecDeque<Instant>| failures.back().copied();
    clients.retain(|_, failures| {
        last(failures).is_some_and(|at| now.saturating_duration_since(at) < WINDOW)
    });
    if clients.len() >= CLIENTS {
        let oldest = clients.iter().min_by_key(|(_, failures)| last(failures));
        if let Some(net) = oldest.map(|(net, _)| *net) {
            clients.remove(&net);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn after_ten_failures_a_client_waits_until_the_first_is_ten_minutes_old() {
        let (attempts, start) = (LoginThrottle::default(), Instant::now());
        let second = Duration::from_secs(1);
        for n in 0..10 {
            assert_eq!(attempts.wait(ip("192.0.2.7"), start + n * second), None);
            attempts.fail(ip("192.0.2.7"), start + n * second);
        }
        let now = start + 10 * second;
        let left = WINDOW.checked_sub(10 * second);
        assert_eq!(attempts.wait(ip("192.0.2.7"), now), left);
        assert_eq!(attempts.wait(ip("192.0.2.8"), now), None);
        attempts.fail(ip("192.0.2.7"), now);
        assert_eq!(attempts.wait(ip("192.0.2.7"), start + WINDOW), None);
    }

    #[test]
    fn the_hosts_of_an_ipv6_64_are_one_client() {
        let (attempts, now) = (LoginThrottle::default(), Instant::now());
        for n in 0..10 {
            attempts.fail(ip(&format!("2001:db8::{n}")), now);
        }
        assert!(attempts.wait(ip("2001:db8::ffff"), now).is_some());
        assert!(attempts.wait(ip("2001:db8:0:1::1"), now).is_none());
    }

    #[test]
    fn clients_are_bounded_and_the_newest_are_remembered() {
        let (attempts, start) = (LoginThrottle::default(), Instant::now());
        for n in 0..=u32::try_from(CLIENTS).unwrap() {
            for _ in 0..10 {
                attempts
                    .fail(IpAddr::from(n.to_be_bytes()), start + Duration::from_millis(n.into()));
            }
        }
        let now = start + Duration::from_secs(10);
        assert_eq!(attempts.lock().len(), CLIENTS);
        assert!(attempts.wait(ip("0.0.0.0"), now).is_none());
        assert!(attempts.wait(ip("0.0.0.1"), now).is_some());
    }
}
