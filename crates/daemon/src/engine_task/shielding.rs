//! Hosts that pass the shield: from the engine to the task that owns netlink.

mod slowed;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Engine, Identity, Input, Mode, RuleName, Timestamp, Transport};
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

/// Addresses distrusted at once at most. Those beyond keep their place in the shield; their flows are denied all
/// the same.
const MOST_DISTRUSTED: usize = 4_096;

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
    /// Distrusted addresses, whose new flows are treated like a stranger's.
    distrusted: HashMap<IpAddr, Distrusted>,
}

/// An address that the shield counts as a stranger, but for the flows of its registrations.
#[derive(Debug)]
struct Distrusted {
    until: Timestamp,
    kept: Vec<Flow>,
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
            distrusted: HashMap::new(),
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
        if self.distrusted.contains_key(&address) {
            return self.keep_registered(engine, address);
        }
        let view = engine.source(address);
        match view.identity {
            Identity::Stranger | Identity::Caller => self.shield.dismiss(view.source),
            Identity::Known | Identity::Trusted | Identity::Shared => {
                // It is not a scanner.
                if let Some(net) = self.slowed.forget(address, RuleName::Scan) {
                    self.shield.release(net);
                }
                if self.shield.admit(view.source, view.registrations) == Admission::Full {
                    // The next list counts them.
                    self.version = None;
                }
            }
        }
    }

    /// Counts new flows of an address as a stranger's until then; with an end that is not ahead no longer.
    ///
    /// Of IPv4 only: the shield knows IPv6 hosts by their /64, in which others may live, and phones there have
    /// addresses of their own, so that the denial of flows is enough.
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
        if !source.is_ipv4() || self.distrusted.len() >= MOST_DISTRUSTED {
            return;
        }
        let entry = self.distrusted.entry(source);
        entry.or_insert(Distrusted { until, kept: Vec::new() }).until = until;
        // Before FreeSWITCH has sent its registrations, the flows of an earlier run keep their places.
        if self.is_known {
            self.keep_registered(engine, source);
        }
    }

    fn trust(&mut self, engine: &Engine, source: IpAddr) {
        let Some(distrusted) = self.distrusted.remove(&source) else { return };
        // First the host: its phones must not lose their place in between.
        self.look_at(engine, source);
        for flow in distrusted.kept {
            self.shield.drop_flow(flow);
        }
    }

    /// Keeps the flows of what is registered at a distrusted address now, and no others.
    fn keep_registered(&mut self, engine: &Engine, source: IpAddr) {
        let Some(distrusted) = self.distrusted.get_mut(&source) else { return };
        let ports = engine.registered_flows(source);
        let flow = |port, transport| route_flow(sipward_engine::Flow { source, transport, port });
        let kept: Vec<Flow> =
            ports.flat_map(|port| Transport::ALL.map(|transport| flow(port, transport))).collect();
        for flow in kept.iter().filter(|flow| !distrusted.kept.contains(flow)) {
            self.shield.keep_flow(*flow);
        }
        for flow in distrusted.kept.iter().filter(|flow| !kept.contains(flow)) {
            self.shield.drop_flow(*flow);
        }
        distrusted.kept = kept;
        self.shield.dismiss(source.into());
    }

    /// Hands over a list that may have changed. Says what has no room, when that begins.
    pub(super) fn beat(&mut self, engine: &Engine, steady: Timestamp) -> Option<String> {
        if engine.policy().rules.scan.guard.mode == Mode::Off {
            let scanners = self.slowed.forget_all(RuleName::Scan);
            for net in scanners {
                self.shield.release(net);
            }
        }
        let over = self.distrusted.iter().filter(|(_, distrusted)| distrusted.until <= steady);
        for source in over.map(|(source, _)| *source).collect::<Vec<_>>() {
            self.trust(engine, source);
        }
        let now = Instant::now();
        let changed = self.version != Some(engine.spared_version());
        let wanted = (changed && now >= self.rested) || now >= self.due;
        if wanted { self.hand_over(engine, now) } else { None }
    }

    /// Slows a host down for `time`, until `until`, as the engine decided by `rule`. Gives its network.
    pub(super) fn slow(
        &mut self,
        (source, rule): (IpAddr, RuleName),
        time: Duration,
        (now, until): (Timestamp, Timestamp),
    ) -> IpNet {
        let net = slowed::host(source);
        self.shield.slow(net, time);
        self.slowed.add(SlowedHost { net, rule, since: now, until });
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
            // A list may have other registrations there, and some run out unseen.
            for source in self.distrusted.keys().copied().collect::<Vec<_>>() {
                self.keep_registered(engine, source);
            }
            let is_trusted = |net: &IpNet| !self.distrusted.contains_key(&net.addr());
            let healthy = engine.spared().filter(|net| !is_exempt(net) && is_trusted(net));
            let hosts = healthy.map(|net| (net, engine.source(net.addr()).registrations));
            left_out += self.shield.replace(hosts).left_out;
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
