//! Hosts that pass the shield: from the engine to the task that owns netlink.

mod slowed;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Engine, Identity, Input, Mode, RuleName, SourceView, Timestamp, Transport};
use sipward_route::{
    Admission, Flow, MOST_HEALTHY, MOST_UNLIMITED, Shield, Stranger, USUAL_REQUESTS,
};

pub use slowed::SlowedHost;
pub(crate) use slowed::SlowedHosts;

use crate::route_queue::route_flow;
use sipward_config::file;

/// A new list is made after this time at the latest: the number of registrations of a host may have changed without
/// an event.
const AGAIN: Duration = Duration::from_secs(60);
/// Part of the time that making lists may take: one in so many.
const SHARE: u32 = 20;

/// Strangers of one list that the engine judges at most. The next list, ten seconds later, names those that are
/// left.
const MOST_JUDGED: usize = 100;

/// Addresses distrusted at once at most: as many as the engine remembers.
const MOST_DISTRUSTED: usize = 65_536;

/// The last list that the shield received.
#[derive(Debug)]
pub struct Shielding {
    shield: Shield,
    choice: file::Shield,
    /// Requests a second that FreeSWITCH takes.
    requests: Option<u32>,
    version: Option<u64>,
    /// FreeSWITCH's phones are known.
    is_known: bool,
    /// When a list may be made, and when one must be.
    rested: Instant,
    due: Instant,
    left_out: usize,
    slowed: SlowedHosts,
    /// Distrusted addresses, and until when. The shield counts their hosts as strangers, but for flows of
    /// registrations.
    distrusted: BTreeMap<IpAddr, Timestamp>,
    /// IPv6 addresses where users are registered: others may live in the /64 of each, which is one host.
    registered: BTreeSet<Ipv6Addr>,
    /// The flows that are kept at each host.
    kept: HashMap<IpNet, HashSet<Flow>>,
}

impl Shielding {
    pub fn new(shield: Shield, choice: file::Shield) -> Self {
        let now = Instant::now();
        Self {
            shield,
            choice,
            requests: None,
            version: None,
            is_known: false,
            rested: now,
            due: now,
            left_out: 0,
            slowed: SlowedHosts::default(),
            distrusted: BTreeMap::new(),
            registered: BTreeSet::new(),
            kept: HashMap::new(),
        }
    }

    /// Other settings were read.
    pub(super) fn choose(&mut self, choice: file::Shield) {
        self.choice = choice;
        self.shield.set_settings(choice.settings(self.requests));
    }

    /// FreeSWITCH's profiles take at least so many requests a second; `None` or 0 where that is unknown
    /// or without limit.
    pub(super) fn takes(&mut self, requests: Option<u32>) {
        self.requests = requests;
        self.choose(self.choice);
    }

    /// Requests a second that each of FreeSWITCH's profiles takes.
    pub(super) fn requests(&self) -> u32 {
        self.requests.filter(|requests| *requests > 0).unwrap_or(USUAL_REQUESTS)
    }

    /// UDP packets a second that one stranger may send.
    pub(super) fn stranger_packets(&self) -> u32 {
        self.choice.fixed.own.packets
    }

    /// Hosts that pass as healthy; `None` where there is no shield.
    pub(super) fn healthy_hosts(&self) -> Option<usize> {
        self.choice.is_on.then(|| self.shield.healthy())
    }

    /// FreeSWITCH has sent its registrations: all healthy hosts are known, and are passed on at once.
    pub(super) fn phones_known(&mut self, engine: &Engine) -> Option<String> {
        self.is_known = true;
        let full = self.hand_over(engine, Instant::now());
        self.shield.complete();
        full
    }

    /// Something happened at an address: hands over what the engine makes of it now.
    pub(super) fn look_at(&mut self, engine: &Engine, address: IpAddr) {
        let address = address.to_canonical();
        let (host, view) = (slowed::host(address), engine.source(address));
        if let IpAddr::V6(address) = address {
            if view.registrations > 0 {
                self.registered.insert(address);
            } else {
                self.registered.remove(&address);
            }
        }
        if !self.is_stranger(engine, host) {
            match view.identity {
                Identity::Stranger | Identity::Caller
                    if self.registered_in(host).next().is_some() =>
                {
                    // It is the host of others. The next list counts them.
                    self.version = None;
                }
                Identity::Stranger | Identity::Caller => self.shield.dismiss(view.source),
                Identity::Known | Identity::Trusted | Identity::Shared => {
                    // It is not a scanner.
                    if let Some(net) = self.slowed.forget(address, RuleName::Scan) {
                        self.shield.release(net);
                    }
                    self.admit(&view);
                }
            }
        }
        self.keep_registered(engine, host);
    }

    fn admit(&mut self, view: &SourceView<'_>) {
        if self.shield.admit(view.source, view.registrations) == Admission::Full {
            // The next list counts them.
            self.version = None;
        }
    }

    /// Counts new flows of an address as a stranger's until then; with an end that is not ahead no longer.
    ///
    /// An IPv6 address takes its /64 along, as an IPv4 address all that are behind it.
    pub(super) fn distrust(
        &mut self,
        engine: &Engine,
        source: IpAddr,
        until: Timestamp,
        now: Timestamp,
    ) {
        let source = source.to_canonical();
        if until <= now {
            return self.trust(engine, source);
        }
        if self.distrusted.len() >= MOST_DISTRUSTED && !self.distrusted.contains_key(&source) {
            return;
        }
        self.distrusted.insert(source, until);
        // Before FreeSWITCH has sent its registrations, the flows of an earlier run keep their places.
        if self.is_known {
            self.keep_registered(engine, slowed::host(source));
        }
    }

    fn trust(&mut self, engine: &Engine, source: IpAddr) {
        if self.distrusted.remove(&source).is_none() {
            return;
        }
        let host = slowed::host(source);
        if !self.is_stranger(engine, host) {
            // First the host: its phones must not lose their place in between.
            for address in self.registered_in(host).collect::<Vec<_>>() {
                self.admit(&engine.source(address));
            }
        }
        self.look_at(engine, source);
        self.version = None;
    }

    /// The addresses of an IPv6 host where users are registered.
    fn registered_in(&self, host: IpNet) -> impl Iterator<Item = IpAddr> {
        let net = match host {
            IpNet::V4(_) => None,
            IpNet::V6(net) => Some(net),
        };
        let all = net.map(|net| self.registered.range(net.network()..=net.broadcast()));
        all.into_iter().flatten().map(|address| IpAddr::from(*address))
    }

    fn is_distrusted(&self, host: IpNet) -> bool {
        self.distrusted.range(addresses(host)).next().is_some()
    }

    /// Whether the shield is to count a host as a stranger, because an address of it is distrusted. Not where others
    /// are registered in an IPv6 /64 from ports that nobody knows: their flows could not be kept.
    fn is_stranger(&self, engine: &Engine, host: IpNet) -> bool {
        let has_unknown_ports = |address: &IpAddr| {
            !self.distrusted.contains_key(address)
                && engine.registered_flows(*address).next().is_none()
                && engine.source(*address).registrations > 0
        };
        self.is_distrusted(host) && !self.registered_in(host).any(|one| has_unknown_ports(&one))
    }

    /// Keeps the flows of what is registered at a host that is distrusted or slowed, and no others. A slowed IPv4
    /// address, or an IPv6 address for which its /64 is slowed, keeps no flows unless it is distrusted.
    fn keep_registered(&mut self, engine: &Engine, host: IpNet) {
        let is_distrusted = self.is_distrusted(host);
        let is_slowed = host.addr().is_ipv6() && self.slowed.holds(host);
        let mut wanted = HashSet::new();
        if is_distrusted || is_slowed {
            let own = host.addr().is_ipv4().then(|| host.addr());
            let keeps = |address: &IpAddr| {
                self.distrusted.contains_key(address) || !self.slowed.is_for(*address)
            };
            for source in self.registered_in(host).chain(own).filter(keeps) {
                let flow =
                    |port, transport| route_flow(sipward_engine::Flow { source, transport, port });
                let ports = engine.registered_flows(source);
                wanted.extend(ports.flat_map(|port| Transport::ALL.map(|of| flow(port, of))));
            }
        }
        let before = self.kept.remove(&host).unwrap_or_default();
        for flow in wanted.difference(&before) {
            self.shield.keep_flow(*flow);
        }
        for flow in before.difference(&wanted) {
            self.shield.drop_flow(*flow);
        }
        if !wanted.is_empty() {
            self.kept.insert(host, wanted);
        }
        if is_distrusted && self.is_stranger(engine, host) {
            self.shield.dismiss(host);
        }
    }

    /// The same for all such hosts: a list may have other registrations there, and some run out unseen.
    fn keep_all_registered(&mut self, engine: &Engine) {
        let distrusted = self.distrusted.keys().map(|address| slowed::host(*address));
        let slowed = self.slowed.nets().filter(|net| net.addr().is_ipv6());
        let kept = self.kept.keys().copied();
        let hosts: HashSet<IpNet> = distrusted.chain(slowed).chain(kept).collect();
        for host in hosts {
            self.keep_registered(engine, host);
        }
    }

    /// Hands over a list that may have changed. Says what has no room, when that begins.
    pub(super) fn beat(&mut self, engine: &Engine, steady: Timestamp) -> Option<String> {
        if engine.policy().rules.scan.guard.mode == Mode::Off {
            let scanners = self.slowed.forget_all(RuleName::Scan);
            for net in scanners {
                self.shield.release(net);
                self.keep_registered(engine, net);
            }
        }
        for net in self.slowed.forget_over(steady) {
            self.keep_registered(engine, net);
        }
        let over = self.distrusted.iter().filter(|(_, until)| **until <= steady);
        for source in over.map(|(source, _)| *source).collect::<Vec<_>>() {
            self.trust(engine, source);
        }
        let now = Instant::now();
        let changed = self.version != Some(engine.spared_version());
        let wanted = (changed && now >= self.rested) || now >= self.due;
        if wanted { self.hand_over(engine, now) } else { None }
    }

    /// Slows a host down for `time`, until `until`, as the engine decided by `rule`. Gives its network. Registered
    /// phones at other addresses of an IPv6 /64 go on.
    pub(super) fn slow(
        &mut self,
        engine: &Engine,
        (source, rule): (IpAddr, RuleName),
        time: Duration,
        (now, until): (Timestamp, Timestamp),
    ) -> IpNet {
        let net = slowed::host(source);
        if self.slowed.add(SlowedHost { net, source, rule, since: now, until }) {
            self.keep_registered(engine, net);
            self.shield.slow(net, time);
        }
        net
    }

    /// Ends the limit of a host before its time.
    pub(super) fn release(&mut self, source: IpAddr) {
        self.slowed.end(source);
        self.shield.release(slowed::host(source));
    }

    /// The hosts that are slowed down.
    pub(super) fn slowed(&self) -> &SlowedHosts {
        &self.slowed
    }

    fn hand_over(&mut self, engine: &Engine, now: Instant) -> Option<String> {
        self.version = Some(engine.spared_version());
        // Looked at twice rather than held: there may be some hundred thousand.
        let is_exempt =
            |net: &IpNet| engine.exemptions(net.addr()).iter().any(|(_, exempt)| exempt == net);
        let exempt: Vec<IpNet> = engine.spared().filter(is_exempt).collect();
        let mut left_out = self.shield.set_unlimited(&exempt);
        drop(exempt);
        // Before FreeSWITCH has sent its registrations, those from an earlier run keep their places.
        if self.is_known {
            let mut registered = BTreeSet::new();
            let hosts = engine.spared().filter(|net| !is_exempt(net)).filter_map(|net| {
                let registrations = engine.source(net.addr()).registrations;
                if let (IpAddr::V6(address), 1..) = (net.addr(), registrations) {
                    registered.insert(address);
                }
                let is_stranger = self.is_stranger(engine, slowed::host(net.addr()));
                (!is_stranger).then_some((net, registrations))
            });
            left_out += self.shield.replace(hosts).left_out;
            self.registered = registered;
            self.keep_all_registered(engine);
        }
        let took = now.elapsed();
        (self.rested, self.due) = (now + took * SHARE, now + AGAIN);
        let begins = self.left_out == 0 && left_out > 0;
        self.left_out = left_out;
        begins.then(|| {
            format!(
                "no room for {left_out} exempt networks or healthy hosts \
                 ({MOST_UNLIMITED} networks, {MOST_HEALTHY} hosts; networks wider than 256 hosts \
                 are not listed)"
            )
        })
    }
}

/// All addresses of a host.
fn addresses(host: IpNet) -> RangeInclusive<IpAddr> {
    host.network()..=host.broadcast()
}

/// The strangers of a list that rule `scan` is to task: those that are not slowed down yet.
pub(super) fn scanners(strangers: &[Stranger]) -> impl Iterator<Item = (IpAddr, u64)> {
    let fast = strangers.iter().filter(|stranger| !stranger.is_slowed).take(MOST_JUDGED);
    fast.map(|stranger| (stranger.source.addr(), stranger.packets))
}

/// The address whose place in the shield an input may change.
pub(super) fn concerned(input: &Input<'_>) -> Option<IpAddr> {
    match input {
        Input::Registered(phone) => Some(phone.source),
        Input::RegistrationEnded(phone) => phone.source,
        _ => None,
    }
}

#[cfg(test)]
mod tests;
