//! What is seen beyond single failures: floods, knocking, reports, networks, deafness.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::Engine;
use super::failures::Outcome;
use super::rules::{Due, Subject};
use crate::activity::{Event, Reached};
use crate::bans::Ban;
use crate::campaign::Stranger;
use crate::distinct::Size;
use crate::effect::{Effect, Standing};
use crate::held::Accusation;
use crate::key::Key;
use crate::limits::UNIT;
use crate::networks::Failed;
use crate::seen::Seen;
use crate::sources::{Entry, Finding};
use crate::stream_health::Deaf;
use crate::{
    Action, Alarm, Cause, Challenge, Expiry, Grade, Mode, Origin, Refusal, RuleName, RuleSettings,
    Rules, Scope, Text, Timestamp, net,
};

/// Bans of whole networks at once.
pub const MAX_NETWORK_BANS: usize = 100;

/// How long nothing more is done about an insider that was dealt with: a patient forger must not have a
/// phone slowed down for good.
const DEALT_FOR: Duration = Duration::from_secs(3_600);

impl Engine {
    /// Any event about a source (canonical): is it one too many?
    pub(super) fn note_event(&mut self, addr: IpAddr, event: Event, actions: &mut Vec<Action>) {
        self.stream_health.event(self.now);
        let key = self.key(addr);
        let reached = self.activity.note(key, event, &self.limits.activity, self.now);
        if reached != Reached::default() {
            self.on_reached(addr, reached, actions);
        }
    }

    #[cold]
    fn on_reached(&mut self, addr: IpAddr, reached: Reached, actions: &mut Vec<Action>) {
        let rules = &self.limits.policy.rules;
        // Nothing in these proves its address.
        let accusations = [
            (reached.flood, RuleName::Flood, rules.flood.threshold),
            (reached.challenges, RuleName::Challenges, rules.challenges.threshold),
            (reached.calls, RuleName::Calls, rules.calls.threshold),
        ];
        for (_, rule, count) in accusations.into_iter().filter(|(reached, ..)| *reached) {
            let grade = Grade::Unjoined;
            self.accuse(Accusation { rule, grade, count, addr, reason: None }, actions);
        }
    }

    pub(super) fn on_challenge(&mut self, challenge: &Challenge<'_>, actions: &mut Vec<Action>) {
        self.stats.challenges += 1;
        let Challenge { port, profile, user, .. } = *challenge;
        let source = net::canonical(challenge.source);
        let text = |text| self.fingerprints.text(text);
        let (profile, user, call) = (text(profile), text(user), text(challenge.call_id));
        self.dialogs
            .challenged(self.fingerprints.dialog(Key::of_addr(source), profile, call), self.now);
        self.prove_late(Key::of_addr(source), user, call, actions);
        let whom = self.fingerprints.challenged(profile, port, user);
        self.note_event(source, Event::Challenged(whom), actions);
    }

    pub(super) fn on_abandoned_call(&mut self, addr: IpAddr, actions: &mut Vec<Action>) {
        self.note_event(net::canonical(addr), Event::Abandoned, actions);
    }

    pub(super) fn on_report(
        &mut self,
        addr: IpAddr,
        reason: &str,
        proved: bool,
        actions: &mut Vec<Action>,
    ) {
        let addr = net::canonical(addr);
        self.note_event(addr, Event::Other, actions);
        let rule = self.limits.policy.rules.report;
        self.stats.reports += 1;
        // Proved and forgeable reports are counted apart: one packet more must not make a forgery true.
        let source = self.fingerprints.key(self.key(addr));
        let most = (rule.threshold, rule.window);
        let reports = if proved { &mut self.proved_reports } else { &mut self.reports };
        let count = reports.add(source, self.stats.reports, most, self.now).count;
        if count >= rule.threshold {
            let grade = if proved { Grade::Answered } else { Grade::Unjoined };
            let reason = Some(Box::new(Text::new(reason)));
            let rule = RuleName::Report;
            self.accuse(Accusation { rule, grade, count, addr, reason }, actions);
        }
    }

    /// The dialplan accepted a call: its reports about this host are no news for a day.
    pub(super) fn on_call_accepted(&mut self, addr: IpAddr, actions: &mut Vec<Action>) {
        let addr = net::canonical(addr);
        let (host, network) = (Key::of_addr(addr), Key::of(&net::wide_net(addr)));
        let shared = self.limits.wide_key(addr).is_none();
        if self.callers.accept(host, network, shared, self.now) {
            self.settle_touching(&addr.into(), actions);
        }
    }

    pub(super) fn is_caller(&self, host: &Key) -> bool {
        self.callers.holds(host, self.now)
    }

    /// A log-in to sipward's console failed: not an event of FreeSWITCH, and not subject to its rules.
    pub(super) fn on_login_failure(&mut self, addr: IpAddr, actions: &mut Vec<Action>) {
        let rule = self.limits.policy.rules.login;
        if !rule.guard.is_on() {
            return;
        }
        let addr = net::canonical(addr);
        let source = self.fingerprints.key(self.key(addr));
        self.stats.login_failures += 1;
        let member = self.stats.login_failures;
        let most = (rule.threshold, rule.window);
        let Size { count, new } = self.logins.add(source, member, most, self.now);
        // In shadow it is reported once, for as long as it stays due. A ban begins the count anew.
        let shadow = rule.guard.mode == Mode::Shadow;
        if count < rule.threshold || (shadow && !new) {
            return;
        }
        if !shadow {
            self.logins.remove(source);
        }
        // Only the handshake of TCP proves an address.
        let (rule, grade) = (RuleName::Login, Grade::Answered);
        self.accuse(Accusation { rule, grade, count, addr, reason: None }, actions);
    }

    /// A stranger has sent many packets to the SIP ports, which need not have caused an event.
    pub(super) fn on_scanner(&mut self, addr: IpAddr, packets: u64, actions: &mut Vec<Action>) {
        let rule = self.limits.policy.rules.scan;
        let count = u32::try_from(packets).unwrap_or(u32::MAX);
        if count < rule.threshold || !rule.guard.is_on() {
            return;
        }
        let addr = net::canonical(addr);
        // A packet proves no address.
        let (rule, grade) = (RuleName::Scan, Grade::Unjoined);
        self.accuse(Accusation { rule, grade, count, addr, reason: None }, actions);
    }

    /// Something that is no failed authentication reached a threshold. Forgeable evidence waits a second for answers
    /// that may show the accused host as known.
    pub(super) fn accuse(&mut self, accusation: Accusation, actions: &mut Vec<Action>) {
        let addr = accusation.addr;
        self.ask_acl(addr, actions);
        let unknown =
            self.standing(addr, None).1.is_strange() && self.exemptions.of(addr).is_none();
        let waits = matches!(accusation.rule, RuleName::Report | RuleName::Flood | RuleName::Scan);
        if waits && unknown {
            let deadline = self.held.hold(accusation, self.now);
            self.wake_by(deadline);
        } else {
            self.judge_accusation(&accusation, actions);
        }
    }

    pub(super) fn judge_held(&mut self, actions: &mut Vec<Action>) {
        while let Some(accusation) = self.held.due(self.now) {
            self.judge_accusation(&accusation, actions);
        }
    }

    fn judge_accusation(&mut self, accusation: &Accusation, actions: &mut Vec<Action>) {
        let Accusation { rule, grade, count, addr, .. } = *accusation;
        let rules = &self.limits.policy.rules;
        let Some(RuleSettings::Counting(settings)) = rules.get(rule) else {
            return;
        };
        let settings = *settings;
        let subject = self.subject(addr);
        let effect = Effect::of(rule, subject.standing, grade);
        let good = effect.acts() && settings.guard.admits(grade);
        let counted = if effect == Effect::Nothing { 0 } else { count };
        let finding = Finding { sure: if good { counted } else { 0 }, all: counted };
        let Some(due) = Due::found(rule, &settings, subject.standing, (finding, grade)) else {
            return;
        };
        let due = Due { grade, reason: accusation.reason.clone(), ..due };
        // A ban of scope SIP does not block sipward's console.
        let scope = if rule == RuleName::Login { self.scope(&due) } else { Scope::Sip };
        if self.is_shut_out(addr, scope) {
            return;
        }
        match self.exemptions.of(addr) {
            None => {
                let banned = self.due(&due, &subject, actions);
                if rule == RuleName::Scan && due.mode == Mode::Ban && !banned {
                    // One forgeable ban too many: the limit is no ban.
                    self.slow(&due, &subject, actions);
                }
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
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        outcome: &Outcome,
        actions: &mut Vec<Action>,
    ) {
        let standing = subject.standing;
        self.stream_health.failure(&self.limits.policy.deafness, self.now);
        let forgeable = grade <= Grade::Unchallenged;
        let names_others = match outcome {
            Outcome::Exempt(_) => true,
            Outcome::Weightless(_) | Outcome::Counted(..) => {
                !standing.is_strange() && grade < Grade::Genuine
            }
            Outcome::Attention(_) | Outcome::Banned => false,
        };
        if forgeable || names_others {
            let limit = self.limits.policy.alarm_forgeable_per_minute;
            if let Some((failures, victims)) =
                self.stream_health.forgeable(seen.source, limit, self.now)
            {
                actions.push(Action::Alarm(Alarm::Spoofing { failures, victims }));
            }
        }
        let is_guess = grade >= Grade::Unchallenged && standing.is_strange();
        if is_guess && matches!(outcome, Outcome::Counted(..) | Outcome::Weightless(_)) {
            self.watch_campaign(seen, subject, actions);
        }
    }

    /// A stranger that is not banned guessed.
    fn watch_campaign(&mut self, seen: &Seen<'_>, subject: &Subject, actions: &mut Vec<Action>) {
        let host = self.fingerprints.key(subject.key);
        // An address that stands for another host is a network of its own.
        let network = self.limits.wide_key(subject.addr);
        let network = network.map_or(host, |network| self.fingerprints.key(network));
        let limit = self.limits.policy.alarm_distributed_per_minute;
        let found = self.campaign.failure(Stranger { host, network }, seen, limit, self.now);
        if let Some((sources, users)) = found {
            actions.push(Action::Alarm(Alarm::Distributed { sources, users }));
        }
    }

    /// A host from where users log in fails for a user that never did there; `is_phone` when it is taken for a line
    /// with a wrong password.
    pub(super) fn watch_insider(
        &mut self,
        seen: &Seen<'_>,
        (grade, is_phone): (Grade, bool),
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) {
        let Subject { addr, standing, .. } = *subject;
        let rule = self.limits.policy.rules.insider;
        let counts = Effect::of(RuleName::Insider, standing, grade) != Effect::Nothing;
        let host = Key::of_addr(addr);
        if !counts
            || !rule.guard.is_on()
            || self.identities.is_at_home(host, seen.user_hash, self.now, &self.limits)
        {
            return;
        }
        if grade >= Grade::Answered {
            self.identities.distrust(&host, self.now);
        }
        let entry = Entry::new(seen, grade, self.now);
        let name = seen.user.to_text();
        let accounts = self.identities.users(&host, self.now);
        let failure = (entry, seen.user_hash, is_phone);
        let found = self.insiders.note(host, failure, &accounts, name, &self.limits, self.now);
        if let Some(names) = found.tell {
            let (users, failures) = (found.users, found.failures);
            actions.push(Action::Alarm(Alarm::Insider { address: addr, users, failures, names }));
        }
        let healthy = &self.limits.policy.healthy;
        let threshold = healthy.known_max_failures;
        if found.answered < threshold || found.answered_users < Rules::INSIDER_USERS {
            return;
        }
        let effect = Effect::acting(RuleName::Insider, standing);
        if effect == Effect::Slow && self.losses.slow_until(addr, self.now).is_none() {
            // It has lost its time within this hour, and is due again after it.
            return;
        }
        let first = self.insiders.deal(&host, self.now + DEALT_FOR, self.now);
        // Each further flow, which has a bound of its own; a refusal is reported once.
        let denies = effect == Effect::Flow && self.flow_refusal(subject).is_none();
        if !first && !denies {
            return;
        }
        let due = Due {
            rule: RuleName::Insider,
            mode: rule.guard.mode,
            effect,
            count: found.answered,
            score: found.answered.saturating_mul(UNIT),
            threshold,
            window: self.limits.policy.window,
            grade: Grade::Answered,
            ban_time: healthy.attention_ban_time,
            reason: None,
        };
        self.due(&due, subject, actions);
    }

    /// A stranger fails in a network where somebody is known, so that each host in it is counted by itself: an insider
    /// may use another address of its own /64 for each guess.
    pub(super) fn watch_neighbour(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) {
        let Subject { addr, key, standing, .. } = *subject;
        let counts = Effect::of(RuleName::Insider, Standing::Known, grade) != Effect::Nothing;
        let is_apart = addr.is_ipv6() && !self.limits.is_host(addr) && key == Key::of_addr(addr);
        if !standing.is_strange() || !is_apart || !counts {
            return;
        }
        if !self.limits.policy.rules.insider.guard.is_on() {
            return;
        }
        let network = self.limits.net_key(addr);
        let due = self.insiders.note_neighbour(network, seen.user_hash, self.now);
        if let Some((users, failures)) = due {
            let names = vec![seen.user.to_text()];
            actions.push(Action::Alarm(Alarm::Insider { address: addr, users, failures, names }));
        }
    }

    /// Failures of a stranger come without their attempts, although this FreeSWITCH sends attempts.
    pub(super) fn report_unjoined(
        &mut self,
        subject: &Subject,
        failures: u32,
        actions: &mut Vec<Action>,
    ) {
        let effect = Effect::of(RuleName::Failures, subject.standing, Grade::Unjoined);
        let guard = self.limits.policy.rules.failures;
        if effect == Effect::Nothing || !guard.is_on() {
            return;
        }
        let due = Due {
            rule: RuleName::Failures,
            mode: guard.mode,
            effect,
            count: failures,
            score: 0,
            threshold: self.limits.policy.max_failures,
            window: self.limits.policy.window,
            grade: Grade::Unjoined,
            ban_time: self.limits.policy.ban_time,
            reason: None,
        };
        actions.push(Action::Alarm(Alarm::Unjoined { address: subject.addr, failures }));
        self.shadow(&due, subject, actions);
    }

    /// A rule banned something: too many bans at once?
    pub(super) fn watch_ban(&mut self, actions: &mut Vec<Action>) {
        let limit = self.limits.policy.alarm_bans_per_minute;
        if let Some(bans) = self.stream_health.ban(limit, self.now) {
            actions.push(Action::Alarm(Alarm::ManyBans { bans }));
        }
    }

    /// A failure of a stranger as part of its /24 or /48: what is due against the network.
    pub(super) fn count_in_network(
        &mut self,
        grade: Grade,
        subject: &Subject,
    ) -> Option<(IpNet, Due)> {
        let rule = self.limits.policy.rules.network;
        let effect = Effect::of(RuleName::Network, subject.standing, grade);
        if effect == Effect::Nothing || !rule.guard.is_on() {
            return None;
        }
        let sure = effect.acts() && rule.guard.admits(grade) && grade > Grade::Unchallenged;
        let network = self.fingerprints.key(self.limits.wide_key(subject.addr)?);
        let (host, weight) = (self.fingerprints.key(subject.key) >> 32, self.limits.weight(grade));
        let failed = Failed { host, weight, grade, sure };
        let found = self.networks.add(network, failed, rule.window, self.now);
        let threshold = rule.threshold.saturating_mul(UNIT);
        let (is_sure, all) = (found.sure >= threshold, found.all >= threshold);
        let acting = Effect::acting(RuleName::Network, subject.standing);
        // What it has done counts for one ban, or one report. What can be forged takes nothing from what is sure.
        let (effect, score, grade) = if is_sure && found.sure_hosts >= Rules::NETWORK_SOURCES {
            self.networks.remove(network);
            (acting, found.sure, found.weakest)
        } else if !is_sure && all && found.all_hosts >= Rules::NETWORK_SOURCES {
            self.networks.forget_weak(network);
            let weak = Effect::of(RuleName::Network, subject.standing, Grade::Unchallenged);
            let acts = weak.acts() && rule.guard.admits(Grade::Unchallenged);
            (if acts { acting } else { Effect::Report }, found.all, None)
        } else {
            return None;
        };
        let due = Due {
            rule: RuleName::Network,
            mode: rule.guard.mode,
            effect,
            count: score / UNIT,
            score,
            threshold: rule.threshold,
            window: rule.window,
            grade: grade.unwrap_or(Grade::Unchallenged),
            ban_time: rule.ban_time,
            reason: None,
        };
        Some((net::wide_net(subject.addr), due))
    }

    pub(super) fn ban_network(
        &mut self,
        network: IpNet,
        due: &Due,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) {
        let key = Key::of_network(&network);
        // One packet with a borrowed nonce can be in any name: such a ban is no reason for a longer one.
        let lasting = due.grade > Grade::Unchallenged;
        let before = if lasting { self.offenders.bans(&key, self.now) } else { 0 };
        let count = before.saturating_add(1);
        let cause = Arc::new(Cause::Rule(self.evidence(due, subject, count)));
        if due.mode != Mode::Ban || due.effect != Effect::Ban {
            self.stats.shadowed += 1;
            actions.push(Action::Shadowed { net: network, cause });
            return;
        }
        let refused = self
            .objection(&network, Origin::Automatic)
            .or_else(|| self.known_inside(&network).map(|net| Refusal::Known { net }))
            .or_else(|| (self.bans.networks() >= MAX_NETWORK_BANS).then_some(Refusal::ShareUsedUp));
        let end = self.now + self.limits.ban_time(due.ban_time, count);
        let (end_at, scope) = (Expiry::At(end), self.scope(due));
        let ban = Ban::new(network, self.now, end_at, Origin::Automatic, scope, Arc::clone(&cause));
        let placed = match refused {
            Some(reason) => Err(reason),
            None => self.place(ban, actions),
        };
        if let Err(reason) = placed {
            self.refuse(network, reason, cause, actions);
            return;
        }
        if lasting {
            let forget_at = end + self.limits.policy.escalation.forget_after;
            self.offenders.record(key, count, forget_at);
        }
        let failures = due.count;
        actions.push(Action::Alarm(Alarm::NetworkBanned { net: network, failures }));
        self.watch_ban(actions);
    }

    /// A known host, or a caller, is inside a network.
    fn known_inside(&self, network: &IpNet) -> Option<IpNet> {
        let key = Key::of(network);
        let known = self.populated.get(&key);
        let inside = known.is_some_and(|until| *until > self.now)
            || self.callers.inhabit(&key, self.now)
            || self.fleet.as_ref().is_some_and(|it| it.known.populates(&key, &self.fresh(it)));
        inside.then_some(*network)
    }

    pub(super) fn on_packets(&mut self, count: u64, actions: &mut Vec<Action>) {
        let settings = self.limits.policy.deafness.clone();
        if let Some(deaf) = self.stream_health.packets(count, &settings, self.now) {
            self.on_deaf(&deaf, actions);
        }
    }

    /// What a probe of FreeSWITCH has found.
    pub(super) fn on_probed(&mut self, deaf_for: Option<Duration>, actions: &mut Vec<Action>) {
        if let Some(deaf) = self.stream_health.probed(deaf_for, self.now) {
            self.on_deaf(&deaf, actions);
        }
    }

    fn on_deaf(&mut self, deaf: &Deaf, actions: &mut Vec<Action>) {
        let Deaf { burst, packets } = *deaf;
        let most = self.limits.policy.deafness.max_failures;
        actions.push(Action::Alarm(Alarm::Deaf { burst, packets }));
        // The threshold can no longer be reached: act on the evidence so far.
        let seen = self.sources.unchallenged(self.now, &self.limits);
        let fallen: Vec<Key> = seen.filter(|(_, n)| *n >= most).map(|(key, _)| key).collect();
        for key in fallen {
            // Its host is not remembered: a source that is partly exempt is left alone.
            let subject = self.subject(key.addr());
            let free =
                self.objection(&self.limits.source_net(subject.addr), Origin::Automatic).is_none();
            if free
                && self.bans.covering(subject.addr).is_none()
                && let Some(due) = self.deaf_due(&subject)
            {
                self.due(&due, &subject, actions);
            }
        }
    }

    /// In times of deafness strangers fall sooner.
    pub(super) fn deaf_due(&self, subject: &Subject) -> Option<Due> {
        let settings = &self.limits.policy.deafness;
        if settings.mode == Mode::Off || !self.stream_health.is_deaf(self.now) {
            return None;
        }
        let effect = Effect::acting(RuleName::Deafness, subject.standing);
        let source = self.sources.at(subject.slot?)?;
        let now = crate::limits::millis(self.now);
        let of = |grade| source.history.at_least(grade, now, self.limits.window_ms);
        let weakest = if of(Grade::Challenged) >= settings.max_failures {
            Grade::Challenged
        } else {
            Grade::Unchallenged
        };
        let count = of(weakest);
        (count >= settings.max_failures).then(|| Due {
            rule: RuleName::Deafness,
            mode: settings.mode,
            effect,
            count,
            score: count.saturating_mul(UNIT),
            threshold: settings.max_failures,
            window: self.limits.policy.window,
            grade: weakest,
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
        let life = Duration::from_secs(self.dialogs.longest_life().into());
        self.blind_until.is_some_and(|until| self.now.since(until) <= life)
    }
}
