//! The rules at work: what is due against a source, and what becomes of it.

mod due;

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Engine;
use crate::identity::ATTENTION_WINDOW;
use crate::limits::UNIT;
use crate::seen::{Seen, is_raw_address};
use crate::slot::Slot;
use crate::sources::{Key, Tally};
use crate::{Action, Alarm, Cause, Details, Evidence, Grade, Identity, Mode, Refusal, RuleName};
pub(super) use due::Due;

/// Whom an event is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) addr: IpAddr,
    pub(super) key: Key,
    pub(super) identity: Identity,
    /// Its record, if it has failed.
    pub(super) slot: Option<Slot>,
}

impl Engine {
    /// Holds a counted failure against every rule. The first that bans is the last.
    pub(super) fn apply_rules(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        tally: &Tally,
        actions: &mut Vec<Action>,
    ) {
        let mut told = 0;
        let account = self.attacked_account(seen, grade, subject, actions);
        let due = self.agent_due(seen, grade);
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
            let due = self.counting_due(rule, finding);
            if self.settle(due, subject, &mut told, actions) {
                return;
            }
        }
        if let Some(source) = subject.slot.and_then(|slot| self.sources.at_mut(slot)) {
            // What is no longer due may be told anew.
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

    /// Carries out what is due, as far as the rule and the source allow. True when it banned.
    pub(super) fn due(&mut self, due: &Due, subject: &Subject, actions: &mut Vec<Action>) -> bool {
        match due.mode {
            Mode::Off => false,
            Mode::Shadow => {
                if self.tell_once(due.rule, subject) {
                    let net = self.limits.source_net(subject.addr);
                    let cause = Arc::new(Cause::Rule(self.evidence(due, subject, 0)));
                    self.stats.shadowed += 1;
                    actions.push(Action::Shadowed { net, cause });
                }
                false
            }
            Mode::Ban => match self.spares(due.rule, subject) {
                None => self.ban_subject(due, subject, actions),
                Some(reason) => {
                    self.refuse_due(due, subject, reason, actions);
                    false
                }
            },
        }
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
        let net = self.limits.source_net(subject.addr);
        let cause = Arc::new(Cause::Rule(self.evidence(due, subject, 0)));
        self.refuse(net, reason, cause, actions);
        if reason == Refusal::Shared {
            actions.push(Action::Alarm(Alarm::LikelyProxy { source: subject.addr }));
        }
    }

    /// Who logged in from there is spared: by every rule behind a proxy, by nearly every one when
    /// trusted, otherwise by those that prove no address or that healthy phones might trip.
    pub(super) fn spares(&self, rule: RuleName, subject: &Subject) -> Option<Refusal> {
        match (subject.identity, rule) {
            (Identity::Shared, _) => Some(Refusal::Shared),
            (Identity::Stranger, _)
            | (Identity::Trusted, RuleName::Attention)
            | (
                Identity::Known,
                RuleName::Failures
                | RuleName::Users
                | RuleName::UserAgents
                | RuleName::Slow
                | RuleName::Attention,
            ) => None,
            (Identity::Trusted, _)
            | (
                Identity::Known,
                RuleName::Report
                | RuleName::Flood
                | RuleName::Challenges
                | RuleName::Calls
                | RuleName::RawAddress
                | RuleName::Account
                | RuleName::Network
                | RuleName::Log
                | RuleName::Login
                | RuleName::Deafness,
            ) => Some(Refusal::Known { net: self.limits.source_net(subject.addr) }),
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
        failures: u32,
        actions: &mut Vec<Action>,
    ) {
        let healthy = &self.limits.policy.healthy;
        if failures < healthy.attention_max_failures {
            return;
        }
        let due = Due {
            rule: RuleName::Attention,
            mode: Mode::Ban,
            count: failures,
            score: failures.saturating_mul(UNIT),
            threshold: healthy.attention_max_failures,
            window: ATTENTION_WINDOW,
            grade: Grade::Answered,
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
        if !self.spared.record(Key::of(&host), weight, self.now, &self.limits) {
            return;
        }
        let Some((class, net)) = self.exemptions.of(seen.source) else {
            return;
        };
        let due = Due {
            rule: RuleName::Failures,
            mode: Mode::Ban,
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
            source: subject.addr,
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

/// One bit for each rule.
fn bit(rule: RuleName) -> u16 {
    1 << rule as u16
}
