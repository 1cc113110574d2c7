//! What is seen beyond single failures: floods, knocking, reports, networks, deafness.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Engine;
use super::rules::{Due, Subject};
use crate::activity::{CHALLENGE_LIFE, Event, Reached};
use crate::bans::Ban;
use crate::limits::UNIT;
use crate::pulse::Deaf;
use crate::sources::{Finding, Key};
use crate::{
    Action, Alarm, Cause, Challenge, Expiry, Grade, Identity, Mode, Origin, Refusal, RuleName,
    Text, Timestamp, net,
};

/// Networks that a busy attacker gets hold of whole: what registries assign to one customer.
const IPV4_NETWORK: u8 = 24;
const IPV6_NETWORK: u8 = 48;

impl Engine {
    /// Any event about a source (canonical): is it one too many?
    pub(super) fn note_event(&mut self, addr: IpAddr, event: Event, actions: &mut Vec<Action>) {
        self.pulse.event(self.now);
        let key = self.limits.key(addr);
        let reached = self.activity.note(key, event, &self.limits.activity, self.now);
        if reached != Reached::default() {
            self.on_reached(addr, reached, actions);
        }
    }

    #[cold]
    fn on_reached(&mut self, addr: IpAddr, reached: Reached, actions: &mut Vec<Action>) {
        let rules = &self.limits.policy.rules;
        let (flood, challenges) = (rules.flood.threshold, rules.challenges.threshold);
        let calls = rules.calls.threshold;
        if reached.flood {
            // Nothing in a flood proves its address. The rule bans all the same where its
            // `min_grade` says so: what floods is dropped, whoever is named.
            self.accuse(RuleName::Flood, flood, addr, None, actions);
        }
        if reached.challenges {
            self.accuse(RuleName::Challenges, challenges, addr, None, actions);
        }
        if reached.calls {
            self.accuse(RuleName::Calls, calls, addr, None, actions);
        }
    }

    pub(super) fn on_challenge(&mut self, challenge: &Challenge<'_>, actions: &mut Vec<Action>) {
        self.stats.challenges += 1;
        self.note_event(net::canonical(challenge.source), Event::Challenged, actions);
    }

    pub(super) fn on_abandoned_call(&mut self, addr: IpAddr, actions: &mut Vec<Action>) {
        self.note_event(net::canonical(addr), Event::Abandoned, actions);
    }

    pub(super) fn on_report(&mut self, addr: IpAddr, reason: &str, actions: &mut Vec<Action>) {
        let addr = net::canonical(addr);
        self.note_event(addr, Event::Other, actions);
        let key = self.limits.key(addr);
        let rule = self.limits.policy.rules.report;
        self.stats.reports += 1;
        let (_, count) = self.reports.add(
            key.hash(),
            self.stats.reports,
            (rule.threshold, rule.window),
            self.now,
        );
        if count >= rule.threshold {
            self.accuse(RuleName::Report, count, addr, Some(Text::new(reason)), actions);
        }
    }

    /// Somebody failed to log in to our own page: no event of FreeSWITCH, and none of its rules.
    pub(super) fn on_login_failure(&mut self, addr: IpAddr, actions: &mut Vec<Action>) {
        let rule = self.limits.policy.rules.login;
        if !rule.guard.is_on() {
            return;
        }
        let addr = net::canonical(addr);
        let crowd = self.limits.key(addr).hash();
        self.stats.login_failures += 1;
        let member = self.stats.login_failures;
        let most = (rule.threshold, rule.window);
        let (before, count) = self.logins.add(crowd, member, most, self.now);
        // In shadow it is told once, for as long as it stays due. A ban begins the count anew.
        let shadow = rule.guard.mode == Mode::Shadow;
        if count < rule.threshold || (shadow && before >= rule.threshold) {
            return;
        }
        if !shadow {
            self.logins.remove(crowd);
        }
        self.accuse(RuleName::Login, count, addr, None, actions);
    }

    /// Something that is no failed authentication reached a threshold.
    pub(super) fn accuse(
        &mut self,
        rule: RuleName,
        count: u32,
        addr: IpAddr,
        reason: Option<Text>,
        actions: &mut Vec<Action>,
    ) {
        let rules = &self.limits.policy.rules;
        let settings = match rule {
            RuleName::Flood => rules.flood,
            RuleName::Challenges => rules.challenges,
            RuleName::Calls => rules.calls,
            RuleName::Log => rules.log,
            RuleName::Login => rules.login,
            _ => rules.report,
        };
        // Only the handshake of TCP proves an address.
        let grade = if rule == RuleName::Login { Grade::Answered } else { Grade::Unjoined };
        let sure = if settings.guard.admits(grade) { count } else { 0 };
        let Some(due) = Due::found(rule, &settings, Finding { sure, all: count }) else {
            return;
        };
        let due = Due { reason: reason.map(Box::new), ..due };
        let key = self.limits.key(addr);
        let identity = self.identity(&key);
        let subject = Subject { addr, key, identity, slot: self.sources.find(&key) };
        if self.bans.covering(addr).is_some() {
            return;
        }
        match self.exemptions.of(addr) {
            None => {
                self.due(&due, &subject, actions);
            }
            Some((class, net)) if due.mode == Mode::Ban => {
                self.refuse_due(&due, &subject, Refusal::Exempt { class, net }, actions);
            }
            Some(_) => {}
        }
    }

    /// A failure as part of the whole.
    pub(super) fn watch_failure(
        &mut self,
        source: IpAddr,
        grade: Grade,
        actions: &mut Vec<Action>,
    ) {
        self.pulse.failure(&self.limits.policy.deafness, self.now);
        if !matches!(grade, Grade::Unproven | Grade::Unchallenged) {
            return;
        }
        let limit = self.limits.policy.alarm_forgeable_per_minute;
        if let Some((failures, victims)) = self.pulse.forgeable(source, limit, self.now) {
            actions.push(Action::Alarm(Alarm::Spoofing { failures, victims }));
        }
    }

    /// A rule banned `net`: too many bans at once, or too many neighbours?
    pub(super) fn watch_ban(&mut self, net: IpNet, subject: &Subject, actions: &mut Vec<Action>) {
        let limit = self.limits.policy.alarm_bans_per_minute;
        if let Some(bans) = self.pulse.ban(limit, self.now) {
            actions.push(Action::Alarm(Alarm::ManyBans { bans }));
        }
        let rule = self.limits.policy.rules.network;
        let prefix = if subject.addr.is_ipv4() { IPV4_NETWORK } else { IPV6_NETWORK };
        if !rule.guard.is_on() || net.prefix_len() <= prefix {
            return;
        }
        let network = net::net_of(subject.addr, prefix);
        let (crowd, member) = (Key::of(&network).hash(), Key::of(&net).hash());
        let (before, hosts) =
            self.networks.add(crowd, member, (rule.threshold, rule.window), self.now);
        if before >= rule.threshold || hosts < rule.threshold {
            return;
        }
        let finding = Finding { sure: hosts, all: hosts };
        let Some(due) = Due::found(RuleName::Network, &rule, finding) else {
            return;
        };
        self.ban_network(network, &due, subject, actions);
    }

    fn ban_network(
        &mut self,
        network: IpNet,
        due: &Due,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) {
        let cause = Arc::new(Cause::Rule(self.evidence(due, subject, 0)));
        if due.mode != Mode::Ban {
            self.stats.shadowed += 1;
            actions.push(Action::Shadowed { net: network, cause });
            return;
        }
        let refused = self.objection(&network, Origin::Automatic).or_else(|| {
            let net = self.known_inside(&network)?;
            Some(Refusal::Known { net })
        });
        let until = Expiry::At(self.now + due.ban_time);
        let ban = Ban::new(self.now, until, Origin::Automatic, Arc::clone(&cause));
        let placed = match refused {
            Some(reason) => Err(reason),
            None => self.place(network, ban, actions),
        };
        if let Err(reason) = placed {
            self.refuse(network, reason, cause, actions);
        }
    }

    /// A known source inside a network. Looks at all of them, which is rare: once for each network
    /// that fills with banned hosts.
    fn known_inside(&self, network: &IpNet) -> Option<IpNet> {
        let mut known = self.known_sources().map(Key::addr);
        known.find(|addr| network.contains(addr)).map(|addr| self.limits.source_net(addr))
    }

    pub(super) fn on_packets(&mut self, count: u64, actions: &mut Vec<Action>) {
        let settings = self.limits.policy.deafness.clone();
        let Some(Deaf { burst, packets }) = self.pulse.packets(count, &settings, self.now) else {
            return;
        };
        actions.push(Action::Alarm(Alarm::Deaf { burst, packets }));
        // Nobody will reach the threshold any more: act on what was seen.
        let seen = self.sources.answered(self.now, &self.limits);
        let fallen: Vec<Key> =
            seen.filter(|(_, n)| *n >= settings.max_failures).map(|(key, _)| key).collect();
        for key in fallen {
            let addr = key.addr();
            let identity = self.identity(&key);
            let subject = Subject { addr, key, identity, slot: self.sources.find(&key) };
            // Its host is not remembered: a source that is partly exempt is left alone.
            let free = self.objection(&self.limits.source_net(addr), Origin::Automatic).is_none();
            if free
                && self.bans.covering(addr).is_none()
                && let Some(due) = self.deaf_due(&subject)
            {
                self.due(&due, &subject, actions);
            }
        }
    }

    /// In times of deafness strangers fall sooner.
    pub(super) fn deaf_due(&self, subject: &Subject) -> Option<Due> {
        let settings = &self.limits.policy.deafness;
        let strange = subject.identity == Identity::Stranger;
        if !strange || settings.mode == Mode::Off || !self.pulse.is_deaf(self.now) {
            return None;
        }
        let source = self.sources.at(subject.slot?)?;
        let now = crate::limits::millis(self.now);
        let count = source.history.answered(now, self.limits.window_ms);
        (count >= settings.max_failures).then(|| Due {
            rule: RuleName::Deafness,
            mode: settings.mode,
            count,
            score: count.saturating_mul(UNIT),
            threshold: settings.max_failures,
            window: self.limits.policy.window,
            grade: Grade::Answered,
            ban_time: self.limits.policy.ban_time,
            reason: None,
        })
    }

    /// No events came until `to`: challenges of that time were not seen.
    pub(super) fn on_blind(&mut self, to: Timestamp) {
        self.blind_until = Some(self.blind_until.map_or(to, |until| until.max(to)).min(self.now));
    }

    /// A challenge that counts now may have gone unseen.
    pub(super) fn was_blind(&self) -> bool {
        self.blind_until.is_some_and(|until| self.now.since(until) <= CHALLENGE_LIFE)
    }
}
