//! The flows that are denied, and how many each address has had.

mod views;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

pub use views::FlowView;

use crate::kept_cause::KeptCause;
use crate::key::Key;
use crate::lru::LruTable;
use crate::{Enforcement, Flow, Timestamp};

/// Flows denied at once, as many as the kernel's set holds. Beyond it the one that ends first goes.
pub const MAX_FLOWS: usize = 65_536;

/// Ports of one address that are denied within an hour. Further ports are not denied, because ports can be forged:
/// then the address is distrusted ([`crate::Action::Distrust`]).
pub const MAX_DENIED_PORTS: usize = 8;

/// How long a denial counts, and how long an address is distrusted.
pub(crate) const DENIED_WITHIN: Duration = Duration::from_secs(3_600);

/// Addresses whose denials are remembered, some 200 bytes each; the one that had its last denial longest
/// ago goes first.
const MAX_HOSTS: usize = 65_536;

/// Flows that keep the readable part of their evidence (about 1 kB each).
const MAX_DETAILED: usize = 1_024;

/// What is denied, when each ends, and what each address has had.
#[derive(Debug)]
pub(crate) struct Flows {
    denied: BTreeMap<Flow, Denial>,
    ends: BTreeSet<(Timestamp, Flow)>,
    /// Flows with details, oldest first; may name some that are gone.
    detailed: VecDeque<Flow>,
    /// Flows the kernel refused.
    failed: usize,
    hosts: LruTable<Key, Host>,
}

/// One denial.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) cause: KeptCause,
    pub(crate) enforcement: Enforcement,
}

#[derive(Clone, Debug, Default)]
struct Host {
    /// Ports denied, and when; at most [`MAX_DENIED_PORTS`].
    ports: Vec<(u16, Timestamp)>,
    distrusted_until: Option<Timestamp>,
}

impl Flows {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            denied: BTreeMap::new(),
            ends: BTreeSet::new(),
            detailed: VecDeque::new(),
            failed: 0,
            hosts: LruTable::new(MAX_HOSTS, seed),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.denied.len()
    }

    /// Addresses whose denials are remembered.
    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Flows the kernel refused.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    pub(crate) fn get(&self, flow: &Flow) -> Option<&Denial> {
        self.denied.get(flow)
    }

    /// In their order, from behind `flow` on.
    pub(crate) fn after(&self, flow: Option<Flow>) -> impl Iterator<Item = FlowView<'_>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = flow.map_or(Unbounded, Excluded);
        self.denied.range((from, Unbounded)).map(|(flow, denial)| denial.view(*flow))
    }

    /// Those of addresses in a network, in their order.
    pub(crate) fn within(&self, net: &IpNet) -> impl Iterator<Item = Flow> {
        let (first, last) = Flow::bounds(net);
        self.denied.range(first..=last).map(|(flow, _)| *flow)
    }

    /// Denies a flow; one that is denied already gets the new end.
    pub(crate) fn insert(&mut self, flow: Flow, denial: Denial) {
        self.remove(&flow);
        self.ends.insert((denial.until, flow));
        if denial.cause.has_details() {
            self.detailed.push_back(flow);
        }
        self.failed += usize::from(denial.enforcement.is_failed());
        self.denied.insert(flow, denial);
        self.age_details();
    }

    pub(crate) fn remove(&mut self, flow: &Flow) -> Option<Denial> {
        let denial = self.denied.remove(flow)?;
        self.ends.remove(&(denial.until, *flow));
        self.failed -= usize::from(denial.enforcement.is_failed());
        Some(denial)
    }

    /// When the next denial ends.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Removes a denial whose end has come.
    pub(crate) fn pop_expired(&mut self, now: Timestamp) -> Option<Flow> {
        let (end, flow) = *self.ends.first()?;
        if end > now {
            return None;
        }
        self.remove(&flow).map(|_| flow)
    }

    /// Removes the denial that ends first: all last the same, so it is the oldest.
    pub(crate) fn pop_oldest(&mut self) -> Option<Flow> {
        let (_, flow) = *self.ends.first()?;
        self.remove(&flow).map(|_| flow)
    }

    /// What the kernel said about a denial.
    pub(crate) fn set_enforcement(&mut self, flow: &Flow, enforcement: Enforcement) {
        if let Some(denial) = self.denied.get_mut(flow) {
            self.failed -= usize::from(denial.enforcement.is_failed());
            self.failed += usize::from(enforcement.is_failed());
            denial.enforcement = enforcement;
        }
    }

    /// A port of an address may be denied: it was not lately, and not too many others were.
    pub(crate) fn may_deny(&self, host: &Key, port: u16, now: Timestamp) -> bool {
        let Some(host) = self.hosts.get(host) else { return true };
        let mut lately = host.ports.iter().filter(|(_, at)| now.since(*at) < DENIED_WITHIN);
        let many = lately.clone().count() >= MAX_DENIED_PORTS;
        !many && lately.all(|(denied, _)| *denied != port)
    }

    /// A port of an address was denied at `at`. Gives until when the address is distrusted, when this is
    /// the one too many.
    pub(crate) fn note(
        &mut self,
        host: Key,
        port: u16,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if now.since(at) >= DENIED_WITHIN {
            return None;
        }
        let host = self.hosts.entry(host);
        host.ports.retain(|(_, at)| now.since(*at) < DENIED_WITHIN);
        let known = host.ports.iter().any(|(denied, _)| *denied == port);
        if known || host.ports.len() >= MAX_DENIED_PORTS {
            return None;
        }
        host.ports.push((port, at));
        if host.ports.len() < MAX_DENIED_PORTS {
            return None;
        }
        let latest = host.ports.iter().map(|(_, at)| *at).max().unwrap_or(at);
        host.distrusted_until = Some(latest + DENIED_WITHIN);
        host.distrusted_until
    }

    /// Until when an address is distrusted.
    pub(crate) fn distrusted_until(&self, host: &Key, now: Timestamp) -> Option<Timestamp> {
        self.hosts.get(host)?.distrusted_until.filter(|until| *until > now)
    }

    /// Trusts the addresses of a network again, and gives them, in their order.
    pub(crate) fn trust(&mut self, net: &IpNet, now: Timestamp) -> Vec<IpAddr> {
        let in_net = |host: &Host, key: &Key| {
            host.distrusted_until.is_some_and(|until| until > now) && net.contains(&key.addr())
        };
        let mut found: Vec<Key> = if net.prefix_len() == net.max_prefix_len() {
            let key = Key::of(net);
            self.hosts
                .get(&key)
                .filter(|host| in_net(host, &key))
                .map(|_| key)
                .into_iter()
                .collect()
        } else {
            self.hosts.iter().filter(|(key, host)| in_net(host, key)).map(|(key, _)| *key).collect()
        };
        found.sort_unstable();
        for key in &found {
            let slot = self.hosts.find(key);
            if let Some(host) = slot.and_then(|slot| self.hosts.value_mut(slot)) {
                host.distrusted_until = None;
            }
        }
        found.into_iter().map(Key::addr).collect()
    }

    /// Forgets what no longer counts.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.hosts.expire(|_, host| {
            host.distrusted_until.is_none_or(|until| until <= now)
                && host.ports.iter().all(|(_, at)| now.since(*at) >= DENIED_WITHIN)
        });
    }

    /// Takes over what `other` holds of one address.
    pub(crate) fn copy(&mut self, other: &Self, addr: IpAddr) {
        for flow in other.within(&IpNet::from(addr)) {
            if let Some(denial) = other.get(&flow) {
                self.insert(flow, denial.clone());
            }
        }
        let key = Key::of_addr(addr);
        if let Some(host) = other.hosts.get(&key) {
            *self.hosts.entry(key) = host.clone();
        }
    }

    fn age_details(&mut self) {
        while self.detailed.len() > MAX_DETAILED {
            let Some(flow) = self.detailed.pop_front() else { return };
            if let Some(denial) = self.denied.get_mut(&flow) {
                denial.cause.age();
            }
        }
    }
}

impl Denial {
    pub(crate) fn view(&self, flow: Flow) -> FlowView<'_> {
        let Self { since, until, ref cause, ref enforcement } = *self;
        FlowView { flow, since, until, cause, enforcement }
    }
}

#[cfg(test)]
mod tests;
