//! Who passes the shield: the engine's word, handed to the task that owns netlink.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Engine, Identity, Input};
use sipward_route::{Admission, MOST_HEALTHY, MOST_UNLIMITED, Shield, Stranger, USUAL_REQUESTS};

use crate::config::file;
use crate::record::Record;

/// A new list is made after this time at the latest: how many registrations a host has may have changed
/// without a word.
const AGAIN: Duration = Duration::from_mins(1);
/// Part of the time that making lists may take: one in so many.
const SHARE: u32 = 20;

/// How long a scanner is slowed.
const SLOWED: Duration = Duration::from_mins(10);
/// Scanners slowed at once at most. The next list, ten seconds later, names those that are left.
const MOST_SLOWED: usize = 100;

/// What the shield was told last.
#[derive(Debug)]
pub(in crate::daemon) struct Shielding {
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
}

impl Shielding {
    pub(in crate::daemon) fn new(shield: Shield, choice: file::Shield) -> Self {
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

    /// FreeSWITCH has said who is registered: everybody healthy is known, and handed over at once.
    pub(super) fn phones_known(&mut self, engine: &Engine) -> Option<String> {
        self.is_known = true;
        let full = self.hand_over(engine, Instant::now());
        self.shield.complete();
        full
    }

    /// Something happened at an address: hands over what the engine makes of it now.
    pub(super) fn look_at(&mut self, engine: &Engine, address: IpAddr) {
        let view = engine.source(address);
        match view.identity {
            Identity::Stranger | Identity::Caller => self.shield.dismiss(view.source),
            Identity::Known | Identity::Trusted | Identity::Shared => {
                if self.shield.admit(view.source, view.registrations) == Admission::Full {
                    // The next list counts them.
                    self.version = None;
                }
            }
        }
    }

    /// Hands over a list that may have changed. Says what has no room, when that begins.
    pub(super) fn beat(&mut self, engine: &Engine) -> Option<String> {
        let now = Instant::now();
        let changed = self.version != Some(engine.spared_version());
        let wanted = (changed && now >= self.rested) || now >= self.due;
        if wanted { self.hand_over(engine, now) } else { None }
    }

    /// Slows the strangers that have sent much and are not slowed yet: 300 packets in 10 minutes, which is what the
    /// kernel side names. Gives what was done. Monitors that ask once a second notice nothing.
    pub(super) fn slow_scanners(&self, engine: &Engine, strangers: &[Stranger]) -> Vec<Record> {
        let is_scanner = |stranger: &&Stranger| {
            let view = engine.source(stranger.source.addr());
            !stranger.is_slowed
                && view.identity == Identity::Stranger
                && view.exempt.is_none()
                && view.ban.is_none()
        };
        let slow = |stranger: &Stranger| {
            let Stranger { source, packets, .. } = *stranger;
            self.shield.slow(source, SLOWED);
            Record::Scanner { source, packets, seconds: SLOWED.as_secs() }
        };
        strangers.iter().filter(is_scanner).take(MOST_SLOWED).map(slow).collect()
    }

    /// Slows an insider, as the engine decided.
    pub(super) fn slow(&self, source: IpAddr, time: Duration) {
        self.shield.slow(source.into(), time);
    }

    fn hand_over(&mut self, engine: &Engine, now: Instant) -> Option<String> {
        self.version = Some(engine.spared_version());
        // Looked at twice rather than held: there may be some hundred thousand.
        let is_exempt =
            |net: &IpNet| engine.exemptions(net.addr()).iter().any(|(_, exempt)| exempt == net);
        let exempt: Vec<IpNet> = engine.spared().filter(is_exempt).collect();
        let mut left_out = self.shield.set_unlimited(&exempt);
        drop(exempt);
        // Before FreeSWITCH has said who is registered, those from an earlier run keep their places.
        if self.is_known {
            let healthy = engine.spared().filter(|net| !is_exempt(net));
            let hosts = healthy.map(|net| (net, engine.source(net.addr()).registrations));
            left_out += self.shield.replace(hosts).left_out;
        }
        let took = now.elapsed();
        (self.rested, self.due) = (now + took * SHARE, now + AGAIN);
        let begins = self.left_out == 0 && left_out > 0;
        self.left_out = left_out;
        begins.then(|| {
            format!(
                "{left_out} exempt networks or healthy hosts are more than it has room for \
                 ({MOST_UNLIMITED} networks, {MOST_HEALTHY} hosts; a network wider than 256 hosts has \
                 none)"
            )
        })
    }
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
