//! The rules at work: what is due against a source, and what becomes of it.

mod due;

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Engine;
use crate::effect::{Effect, Standing};
use crate::flow::Socket;
use crate::identity::{ATTENTION_WINDOW, Patient};
use crate::key::Key;
use crate::limits::UNIT;
use crate::seen::{Seen, is_raw_address};
use crate::slot::Slot;
use crate::sources::Tally;
use crate::{
    Action, Alarm, Cause, Details, Evidence, Grade, Identity, Mode, Refusal, RuleName, SLOWED_FOR,
};
pub(super) use due::Due;

/// Whom an event is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) addr: IpAddr,
    /// What it is counted under.
    pub(super) key: Key,
    pub(super) identity: Identity,
    pub(super) standing: Standing,
    /// Its record, if it has failed.
    pub(super) slot: Option<Slot>,
    /// Where its failure came from; `None` for what is no failure.
    pub(super) socket: Option<Socket>,
}

impl Engine {
    /// An address as the subject of rules about no user in particular.
    pub(super) fn subject(&self, addr: IpAddr) -> Subject {
        let key = self.key(addr);
        let (identity, standing) = self.standing(addr, None);
        let slot = self.sources.find(&key);
        Subject { addr, key, identity, standing, slot, socket: None }
    }

    /// Holds a counted failure against every rule.
    pub(super) fn apply_rules(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        tally: &Tally,
        actions: &mut Vec<Action>,
    ) {
        // Counted whether its host is banned or not.
        let network = self.count_in_network(grade, subject);
        self.apply_source_rules(seen, grade, subject, tally, actions);
        if let Some((network, due)) = network {
            self.ban_network(network, &due, subject, actions);
        }
    }

    /// The rules about one source. The first that bans, or denies a flow, is the last.
    fn apply_source_rules(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        tally: &Tally,
        actions: &mut Vec<Action>,
    ) {
        let mut told = 0;
        let account = self.attacked_account(seen, grade, subject, actions);
        let due = self.agent_due(seen, grade, subject);
        if self.settle(due, subject, &mut told, actions) {
            return;
        }
        let due = self.base_due(subject, tally);
        if self.settle(due, subject, &mut told, actions) {
            return;
        }
        let due = self.deaf_due(subject);
        if self.settle(due, subject, &mut told, actions) {
            return;
        }
        if self.settle(account, subject, &mut told, actions) {
            return;
        }
        for (rule, finding) in self.findings(subject).each() {
            let due = self.counting_due(rule, finding, subject);
            if self.settle(due, subject, &mut told, actions) {
                return;
            }
        }
        if let Some(source) = subject.slot.and_then(|slot| self.sources.at_mut(slot)) {
            // What is no longer due may be reported anew.
            source.told &= told;
        }
    }

    /// Carries out what is due, if anything is, and marks its rule in `told`. True when it banned.
    fn settle(
        &mut self,
        due: Option<Due>,
        subject: &Subject,
        told: &mut u16,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(due) = due else { return false };
        *told |= bit(due.rule);
        self.due(&due, subject, actions)
    }

    /// Carries out what is due, as far as the rule's mode and the table allow. True when it banned.
    pub(super) fn due(&mut self, due: &Due, subject: &Subject, actions: &mut Vec<Action>) -> bool {
        match (due.mode, due.effect) {
            (Mode::Off, _) | (_, Effect::Nothing) => false,
            (Mode::Shadow, _) => {
                self.shadow(due, subject, actions);
                false
            }
            (Mode::Ban, Effect::Report) if subject.standing.is_strange() => {
                self.shadow(due, subject, actions);
                false
            }
            (Mode::Ban, Effect::Report) => {
                let reason = match subject.identity {
                    Identity::Shared => Refusal::Shared,
                    _ => Refusal::Known { net: IpNet::from(subject.addr) },
                };
                self.refuse_due(due, subject, reason, actions);
                false
            }
            (Mode::Slow, Effect::Report) => false,
            (Mode::Ban, Effect::Slow) | (Mode::Slow, _) => {
                self.slow(due, subject, actions);
                false
            }
            (Mode::Ban, Effect::Flow) => self.deny_flow(due, subject, actions),
            (Mode::Ban, Effect::Ban) if due.grade <= Grade::Unproven => {
                self.ban_on_forgeable(due, subject, actions)
            }
            (Mode::Ban, Effect::Ban) => self.ban_subject(due, subject, actions),
        }
    }

    /// Limits a host for a while, as far as it has not lost its time within the hour already.
    pub(super) fn slow(&mut self, due: &Due, subject: &Subject, actions: &mut Vec<Action>) {
        let source = subject.addr;
        // A stranger has no time to lose: the limit takes the place of a ban.
        let until = if subject.standing.is_strange() {
            self.now + SLOWED_FOR
        } else if let Some(until) = self.losses.slow_until(source, self.now) {
            until
        } else {
            return;
        };
        let cause = Arc::new(Cause::Rule(self.evidence(due, subject, 0)));
        if !subject.standing.is_strange() {
            let ends_early = (!subject.standing.is_registered())
                .then(|| cause.aged().unwrap_or_else(|| Arc::clone(&cause)));
            self.losses.note_slowed(source, (self.now, until), ends_early, self.now);
        }
        self.stats.slowed += 1;
        actions.push(Action::Slow { source, until, cause });
    }

    /// Reports what would have been banned, once for as long as it stays due.
    pub(super) fn shadow(&mut self, due: &Due, subject: &Subject, actions: &mut Vec<Action>) {
        if self.tell_once(due.rule, subject) {
            let net = self.source_net(subject.addr);
            let cause = Arc::new(Cause::Rule(self.evidence(due, subject, 0)));
            self.stats.shadowed += 1;
            actions.push(Action::Shadowed { net, cause });
        }
    }

    /// Bans on forgeable evidence: only so many within a minute, and not more than their share of the table.
    fn ban_on_forgeable(
        &mut self,
        due: &Due,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) -> bool {
        let share = self.limits.policy.max_bans.div_ceil(FORGEABLE_SHARE);
        if self.bans.forgeable() >= share {
            self.refuse_due(due, subject, Refusal::ShareUsedUp, actions);
            return false;
        }
        let (may, too_many) = self.stream_health.forgeable_ban(self.now);
        if let Some(bans) = too_many {
            actions.push(Action::Alarm(Alarm::ForgeableBans { bans }));
        }
        if !may {
            self.shadow(due, subject, actions);
            return false;
        }
        self.ban_subject(due, subject, actions)
    }

    /// Reports a due ban that is not done, once for as long as it stays due.
    pub(super) fn refuse_due(
        &mut self,
        due: &Due,
        subject: &Subject,
        reason: Refusal,
        actions: &mut Vec<Action>,
    ) {
        if !self.tell_once(due.rule, subject) {
            return;
        }
        let net = self.source_net(subject.addr);
        let cause = Arc::new(Cause::Rule(self.evidence(due, subject, 0)));
        self.refuse(net, reason, cause, actions);
        if reason == Refusal::Shared {
            actions.push(Action::Alarm(Alarm::LikelyProxy { address: subject.addr }));
        }
    }

    /// True when this was not told of the source yet. A source without failures is only asked about
    /// at the very event that reaches a threshold.
    fn tell_once(&mut self, rule: RuleName, subject: &Subject) -> bool {
        let source = subject.slot.and_then(|slot| self.sources.at_mut(slot));
        let Some(source) = source else { return true };
        let told = source.told & bit(rule) != 0;
        source.told |= bit(rule);
        !told
    }

    /// A phone that needs attention failed too often.
    pub(super) fn limit_attention(
        &mut self,
        subject: &Subject,
        patient: &Patient,
        actions: &mut Vec<Action>,
    ) {
        let healthy = &self.limits.policy.healthy;
        let threshold = healthy.attention_max_failures;
        // As many as something is done about, if that is enough; else as many as there are.
        let on_answered = Effect::of(RuleName::Attention, subject.standing, Grade::Answered).acts();
        let sure = if on_answered { patient.failures } else { patient.genuine };
        let enough = sure >= threshold;
        if !enough && patient.failures < threshold {
            return;
        }
        let (count, grade) =
            if enough { (sure, weakest(on_answered)) } else { (patient.failures, Grade::Answered) };
        let effect = if enough {
            Effect::acting(RuleName::Attention, subject.standing)
        } else {
            Effect::Report
        };
        let due = Due {
            rule: RuleName::Attention,
            mode: Mode::Ban,
            effect,
            count,
            score: count.saturating_mul(UNIT),
            threshold,
            window: ATTENTION_WINDOW,
            grade,
            ban_time: healthy.attention_ban_time,
            reason: None,
        };
        self.due(&due, subject, actions);
    }

    /// An exempt host failed: nothing but a report, once, when its ban would have been due.
    pub(super) fn spare(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) {
        let host = IpNet::from(seen.source);
        let weight = self.limits.weight(grade);
        if !self.exempt_failures.record(Key::of(&host), weight, self.now, &self.limits) {
            return;
        }
        let Some((class, net)) = self.exemptions.of(seen.source) else {
            return;
        };
        let due = Due {
            rule: RuleName::Failures,
            mode: Mode::Ban,
            effect: Effect::Report,
            count: self.limits.threshold.div_ceil(weight.max(1)),
            score: self.limits.threshold,
            threshold: self.limits.policy.max_failures,
            window: self.limits.policy.window,
            grade,
            ban_time: self.limits.policy.ban_time,
            reason: None,
        };
        let details = Details {
            users: vec![seen.user.to_text()],
            profile: seen.profile.to_text(),
            user_agent: seen.user_agent.to_text(),
            reason: None,
        };
        let evidence =
            Evidence { details: Some(Box::new(details)), ..self.evidence(&due, subject, 0) };
        let reason = Refusal::Exempt { class, net };
        self.refuse(host, reason, Arc::new(Cause::Rule(evidence)), actions);
    }

    /// What is held against a source, as data.
    pub(super) fn evidence(&self, due: &Due, subject: &Subject, ban_count: u32) -> Evidence {
        let newest = subject
            .slot
            .and_then(|slot| self.sources.at(slot))
            .and_then(|source| source.newest_detail);
        let mut details = self.recent.details(subject.key, newest);
        if let Some(reason) = &due.reason {
            details.get_or_insert_default().reason = Some(**reason);
        }
        Evidence {
            rule: due.rule,
            address: subject.addr,
            identity: subject.identity,
            failures: due.count,
            score: f64::from(due.score) / f64::from(UNIT),
            max_failures: due.threshold,
            window: due.window,
            grade: due.grade,
            ban_count,
            details,
        }
    }

    /// A domain that is an address is in use: registering to one is nothing special here.
    pub(super) fn note_domain(&mut self, domain: &str) {
        self.address_domains |= is_raw_address(domain);
    }
}

/// What part of the table bans on forgeable evidence may have: a tenth.
const FORGEABLE_SHARE: usize = 10;

/// The weakest grade on which the flow of a phone that needs attention is denied.
const fn weakest(on_answered: bool) -> Grade {
    if on_answered { Grade::Answered } else { Grade::Genuine }
}

/// One bit for each rule that is held against failures. `scan` is not, and has none.
fn bit(rule: RuleName) -> u16 {
    1_u16.checked_shl(rule as u32).unwrap_or(0)
}
