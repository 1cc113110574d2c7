//! What others may know.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::Engine;
use crate::key::Key;
use crate::limits::UNIT;
use crate::{BanView, Details, Exemption, FailureText, Flow, Grade, Identity, Timestamp, net};

/// What the engine knows of an address.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceView<'a> {
    /// The address, canonical.
    pub addr: IpAddr,
    /// The network it is counted and banned by.
    pub source: IpNet,
    /// Whether a user logged in from there lately, or is registered now.
    pub identity: Identity,
    /// Active registrations from there.
    pub registrations: u32,
    /// Failures counted in the window.
    pub failures: u32,
    /// Sum of their weights.
    pub score: f64,
    /// The threshold that holds for it.
    pub max_failures: u32,
    /// Until when it is not slowed down (again), because something was done about it for guesses of the
    /// passwords of others.
    pub insider_until: Option<Timestamp>,
    /// Flows of it that are denied.
    pub denied_flows: Vec<Flow>,
    /// Until when it is distrusted ([`crate::Action::Distrust`]).
    pub distrusted_until: Option<Timestamp>,
    /// Weakest grade among the counted failures.
    pub grade: Option<Grade>,
    /// Unproven failures, which weigh nothing.
    pub unproven: u32,
    /// Unjoined failures, which weigh nothing.
    pub unjoined: u32,
    /// The class that exempts it, and the network.
    pub exempt: Option<(Exemption, IpNet)>,
    /// The narrowest ban that covers it.
    pub ban: Option<BanView<'a>>,
    /// Bans so far, as far as they are remembered.
    pub ban_count: u32,
    /// What its latest failures looked like; `None` when none is remembered.
    pub details: Option<Box<Details>>,
}

/// One failure that counts against a source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FailureView {
    /// When, to the millisecond.
    pub at: Timestamp,
    /// How sure it is that the source sent it.
    pub grade: Grade,
    /// It was an INVITE.
    pub invite: bool,
    /// What it looked like; `None` when that has aged out of memory.
    pub text: Option<FailureText>,
}

/// Counters since the start, and what is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Failures judged, by grade.
    pub failures: ByGrade,
    /// Attempts seen.
    pub attempts: u64,
    /// Challenges seen.
    pub challenges: u64,
    /// Reports from the dialplan.
    pub reports: u64,
    /// Failed log-ins to sipward's console and API.
    pub login_failures: u64,
    /// Complaints of the log.
    pub complaints: u64,
    /// Complaints among them that told of a failure already told of, by an event or another line.
    pub complaints_joined: u64,
    /// Right passwords from addresses that nothing proves: they count for nothing.
    pub unproved_successes: u64,
    /// Insiders and scanners that were slowed down.
    pub slowed: u64,
    /// Ports denied, most of them for both UDP and TCP.
    pub flows_denied: u64,
    /// Flows allowed again because [`crate::MAX_FLOWS`] were denied.
    pub flows_made_room: u64,
    /// Addresses that were distrusted ([`crate::Action::Distrust`]).
    pub distrusted: u64,
    /// Bans that were due in shadow.
    pub shadowed: u64,
    /// Failures of exempt sources.
    pub exempt: u64,
    /// Failures of sources that were banned already.
    pub in_flight: u64,
    /// Bans placed, pieces of split ones included.
    pub banned: u64,
    /// Bans that were due and not done.
    pub refused: u64,
    /// Expired bans.
    pub expired: u64,
    /// Sources forgotten to make room.
    pub evicted: u64,
    /// Sources tracked now.
    pub tracked: usize,
    /// Sources tracked now whose failures have no weight.
    pub weightless: usize,
    /// Sources now that logged in lately.
    pub known: usize,
    /// Users of them.
    pub healthy: usize,
    /// Active registrations.
    pub registrations: usize,
    /// Phones now that need attention.
    pub attention: usize,
    /// Offenders remembered now.
    pub offenders: usize,
    /// Failures that wait for their attempt now.
    pub waiting: usize,
    /// Bans now.
    pub bans: usize,
    /// Bans now from the SIP ports only ([`crate::Scope::Sip`]).
    pub sip_bans: usize,
    /// Active bans that other nodes of a fleet decided.
    pub remote_bans: usize,
    /// Bans now that the kernel refused.
    pub not_enforced: usize,
    /// Flows denied now.
    pub flows: usize,
    /// Flows denied now that the kernel refused.
    pub flows_not_enforced: usize,
}

/// A counter for each grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByGrade {
    /// [`Grade::Unjoined`].
    pub unjoined: u64,
    /// [`Grade::Unproven`].
    pub unproven: u64,
    /// [`Grade::Unchallenged`].
    pub unchallenged: u64,
    /// [`Grade::Challenged`].
    pub challenged: u64,
    /// [`Grade::Assumed`].
    pub assumed: u64,
    /// [`Grade::Answered`].
    pub answered: u64,
    /// [`Grade::Genuine`].
    pub genuine: u64,
}

impl ByGrade {
    pub(super) fn add(&mut self, grade: Grade) {
        let counter = match grade {
            Grade::Unjoined => &mut self.unjoined,
            Grade::Unproven => &mut self.unproven,
            Grade::Unchallenged => &mut self.unchallenged,
            Grade::Challenged => &mut self.challenged,
            Grade::Assumed => &mut self.assumed,
            Grade::Answered => &mut self.answered,
            Grade::Genuine => &mut self.genuine,
        };
        *counter += 1;
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let weak = self.unjoined + self.unproven + self.unchallenged + self.challenged;
        weak + self.assumed + self.answered + self.genuine
    }
}

impl Engine {
    /// The active bans, in the order of their networks.
    pub fn bans(&self) -> impl Iterator<Item = BanView<'_>> {
        self.bans.iter().map(|(_, ban)| self.bans.view(ban))
    }

    /// The bans behind that of `net` in the order of their networks; from the first one without it. To
    /// read many bans in parts, because they may be half a million.
    pub fn bans_after(&self, net: Option<IpNet>) -> impl Iterator<Item = BanView<'_>> {
        let (all, rest) = match net {
            None => (Some(self.bans.iter()), None),
            Some(net) => (None, Some(self.bans.after(net::canonical_net(net)))),
        };
        let bans = all.into_iter().flatten().chain(rest.into_iter().flatten());
        bans.map(|(_, ban)| self.bans.view(ban))
    }

    /// The ban of exactly this network.
    #[must_use]
    pub fn ban(&self, net: IpNet) -> Option<BanView<'_>> {
        let net = net::canonical_net(net);
        self.bans.get(&net).map(|ban| self.bans.view(ban))
    }

    /// The bans of `net` and of networks around it, widest first.
    pub fn bans_covering(&self, net: IpNet) -> impl Iterator<Item = BanView<'_>> {
        let net = net::canonical_net(net);
        let own = self.bans.get(&net).map(|ban| self.bans.view(ban));
        let wider: Vec<_> = self.bans.around(&net).map(|(_, ban)| self.bans.view(ban)).collect();
        wider.into_iter().chain(own)
    }

    /// The bans of networks inside `net`, wider ones before those inside them.
    pub fn bans_inside(&self, net: IpNet) -> impl Iterator<Item = BanView<'_>> {
        let net = net::canonical_net(net);
        self.bans
            .within(net)
            .filter(move |(inner, _)| *inner != net)
            .map(|(_, ban)| self.bans.view(ban))
    }

    /// All exempt networks that cover `addr`, with their class; the class that is reported comes first.
    #[must_use]
    pub fn exemptions(&self, addr: IpAddr) -> Vec<(Exemption, IpNet)> {
        let host = IpNet::from(net::canonical(addr));
        let mut covering: Vec<_> =
            self.exemptions.touching(&host).filter(|(_, net)| net.contains(&host)).collect();
        covering.sort_unstable();
        covering
    }

    /// The failures that count against an address, newest first, each with its text as far as that is
    /// still remembered.
    #[must_use]
    pub fn failures(&self, addr: IpAddr) -> Vec<FailureView> {
        let addr = net::canonical(addr);
        let (key, (_, standing)) = (self.key(addr), self.standing(addr, None));
        let Some(source) = self.sources.get(&key) else {
            return Vec::new();
        };
        let now = crate::limits::millis(self.now);
        let counted = source.history.within(now, self.limits.window_ms);
        let mut texts = self.recent.of(key, source.newest_detail);
        counted
            .filter(move |entry| self.limits.base_weight(standing, entry.grade()) > 0)
            .map(|entry| FailureView {
                at: self.now.earlier(Duration::from_millis(entry.age(now).into())),
                grade: entry.grade(),
                invite: entry.is_invite(),
                // Both are in the order of arrival. What was forgiven left its text behind, which is
                // passed over here.
                text: texts.by_ref().find(|(of, _)| *of == entry).map(|(_, text)| text),
            })
            .collect()
    }

    /// What is known of an address.
    #[must_use]
    pub fn source(&self, addr: IpAddr) -> SourceView<'_> {
        let addr = net::canonical(addr);
        let (key, host) = (self.key(addr), Key::of_addr(addr));
        let (identity, standing) = self.standing(addr, None);
        let tally = self.tally(&key, standing);
        let counts = self.unproven_sources.get(&key);
        let newest = self.sources.get(&key).and_then(|source| source.newest_detail);
        SourceView {
            addr,
            source: self.source_net(addr),
            identity,
            registrations: self.live.of(&host, self.now),
            failures: tally.failures,
            score: f64::from(tally.score) / f64::from(UNIT),
            max_failures: self.limits.base_threshold(standing) / UNIT,
            insider_until: self
                .losses
                .slowed_until(addr, self.now)
                .max(self.insiders.dealt_until(&host, self.now)),
            denied_flows: self.flows.within(&IpNet::from(addr)).collect(),
            distrusted_until: self.flows.distrusted_until(&host, self.now),
            grade: tally.weakest,
            unproven: counts.unproven,
            unjoined: counts.unjoined,
            exempt: self.exemptions.of(addr),
            ban: self.bans.covering(addr).map(|(_, ban)| self.bans.view(ban)),
            ban_count: self.offenders.bans(&key, self.now),
            details: self.recent.details(key, newest),
        }
    }

    /// Counters and sizes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (known, healthy, attention) = self.identities.sizes();
        let (registrations, _) = self.live.sizes();
        Stats {
            registrations,
            known,
            healthy,
            attention,
            evicted: self.sources.evicted(),
            tracked: self.sources.len(),
            weightless: self.unproven_sources.len(),
            offenders: self.offenders.len(),
            waiting: self.joins.waiting(),
            bans: self.bans.len(),
            sip_bans: self.bans.sip(),
            remote_bans: self.bans.remote(),
            not_enforced: self.bans.failed(),
            flows: self.flows.len(),
            flows_not_enforced: self.flows.failed(),
            ..self.stats
        }
    }

    /// A ban was refused for want of room, and the table was not below 95 % since.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// A flood silences FreeSWITCH, or did until a moment ago ([`crate::Alarm::Deaf`]).
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.stream_health.is_deaf(self.now)
    }

    /// The policy in force.
    #[must_use]
    pub const fn policy(&self) -> &crate::Policy {
        &self.limits.policy
    }
}
