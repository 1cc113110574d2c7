//! What is due: whether what was counted is enough for a rule.

use std::time::Duration;

use super::Subject;
use crate::distinct::Size;
use crate::effect::{Effect, Standing};
use crate::engine::Engine;
use crate::limits::{Grades, UNIT, bit, millis};
use crate::seen::Seen;
use crate::sources::{Finding, Findings, SourceRule, Tally};
use crate::{Action, Alarm, Grade, Mode, Rule, RuleName, Rules, Text};

/// A threshold that was reached.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Due {
    pub(in crate::engine) rule: RuleName,
    /// How far its settings let the rule go.
    pub(in crate::engine) mode: Mode,
    /// What the table says.
    pub(in crate::engine) effect: Effect,
    /// What was counted, and its weight in thousandths.
    pub(in crate::engine) count: u32,
    pub(in crate::engine) score: u32,
    pub(in crate::engine) threshold: u32,
    pub(in crate::engine) window: Duration,
    pub(in crate::engine) grade: Grade,
    pub(in crate::engine) ban_time: Duration,
    /// The text of a report. Boxed, because few have them and every failure makes some of these.
    pub(in crate::engine) reason: Option<Box<Text>>,
}

impl Due {
    /// What a counting rule found, if that is enough: what the table says when enough of it is good
    /// enough, else no more than a report. `grade` is the weakest of what is good enough.
    pub(in crate::engine) fn found(
        rule: RuleName,
        settings: &Rule,
        standing: Standing,
        (finding, grade): (Finding, Grade),
    ) -> Option<Self> {
        let sure = finding.sure >= settings.threshold;
        if finding.all < settings.threshold || !settings.guard.is_on() {
            return None;
        }
        let (effect, count, grade) = if sure {
            (Effect::acting(rule, standing), finding.sure, grade)
        } else {
            (Effect::Report, finding.all, Grade::Unjoined)
        };
        Some(Self {
            rule,
            mode: settings.guard.mode,
            effect,
            count,
            score: count.saturating_mul(UNIT),
            threshold: settings.threshold,
            window: settings.window,
            grade,
            ban_time: settings.ban_time,
            reason: None,
        })
    }
}

/// The weakest grade on which something is done.
fn weakest(acting: Grades) -> Grade {
    Grade::ALL.into_iter().find(|grade| acting & bit(*grade) != 0).unwrap_or(Grade::Answered)
}

impl Engine {
    pub(in crate::engine) fn base_due(&self, subject: &Subject, tally: &Tally) -> Option<Due> {
        let guard = self.limits.policy.rules.failures;
        let threshold = self.limits.base_threshold(subject.standing);
        if tally.score < threshold || !guard.is_on() {
            return None;
        }
        let source = self.sources.at(subject.slot?)?;
        let (_, acting) = self.limits.base_grades(subject.standing);
        let sure = source.history.tally(millis(self.now), &self.limits, acting);
        let (effect, tally) = if sure.score >= threshold {
            (Effect::acting(RuleName::Failures, subject.standing), &sure)
        } else {
            (Effect::Report, tally)
        };
        Some(Due {
            rule: RuleName::Failures,
            mode: guard.mode,
            effect,
            count: tally.failures,
            score: tally.score,
            threshold: threshold / UNIT,
            window: self.limits.policy.window,
            grade: tally.weakest.unwrap_or(Grade::Unjoined),
            ban_time: self.limits.policy.ban_time,
            reason: None,
        })
    }

    pub(super) fn agent_due(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
    ) -> Option<Due> {
        let rule = &self.limits.policy.rules.user_agents;
        if !rule.guard.is_on() || !self.agents.is_scanner(seen.user_agent, seen.agent_hash) {
            return None;
        }
        let effect = Effect::of(RuleName::UserAgents, subject.standing, grade);
        Some(Due {
            rule: RuleName::UserAgents,
            mode: rule.guard.mode,
            effect: if rule.guard.admits(grade) { effect } else { effect.min(Effect::Report) },
            count: 1,
            score: UNIT,
            threshold: 1,
            window: self.limits.policy.window,
            grade,
            ban_time: rule.ban_time,
            reason: None,
        })
    }

    /// Whether what a counting rule found is enough for it.
    pub(in crate::engine) fn counting_due(
        &self,
        rule: SourceRule,
        finding: Finding,
        subject: &Subject,
    ) -> Option<Due> {
        if finding.all == 0 {
            return None;
        }
        let (rules, limits) = (&self.limits.policy.rules, &self.limits);
        let (rule, settings, counting) = match rule {
            SourceRule::Users => (RuleName::Users, &rules.users, &limits.users),
            SourceRule::Calls => (RuleName::Calls, &rules.calls, &limits.calls),
            SourceRule::RawAddress => {
                (RuleName::RawAddress, &rules.raw_address, &limits.raw_address)
            }
            SourceRule::Slow => (RuleName::Slow, &rules.slow, &limits.slow),
        };
        let (_, acting) = counting.grades(subject.standing);
        Due::found(rule, settings, subject.standing, (finding, weakest(acting)))
    }

    /// What the counting rules find in the history of a source.
    pub(in crate::engine) fn findings(&self, subject: &Subject) -> Findings {
        let source = subject.slot.and_then(|slot| self.sources.at(slot));
        let Some(source) = source else {
            return Findings::default();
        };
        let mut findings =
            source.history.findings(millis(self.now), &self.limits, subject.standing);
        if self.address_domains {
            findings.raw_address = Finding::default();
        }
        findings
    }

    /// A stranger fails for a user that many sources attack.
    pub(super) fn attacked_account(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) -> Option<Due> {
        let rule = self.limits.policy.rules.account;
        let counts = Effect::of(RuleName::Account, subject.standing, grade).acts();
        if !rule.guard.is_on() || !counts || !rule.guard.admits(grade) {
            return None;
        }
        let member = self.fingerprints.key(subject.key);
        let most = (rule.threshold, rule.window);
        let Size { count: sources, new } =
            self.accounts.add(seen.user_hash, member, most, self.now);
        if sources < rule.threshold {
            return None;
        }
        if new {
            actions
                .push(Action::Alarm(Alarm::AccountAttacked { user: seen.user.to_text(), sources }));
        }
        let source = self.sources.at(subject.slot?)?;
        let window_ms = self.limits.window_ms;
        let all = source.history.of_user(seen.user_hash, millis(self.now), window_ms);
        let settings = Rule { threshold: Rules::ACCOUNT_MAX_FAILURES, ..rule };
        let found = (Finding { sure: all, all }, grade);
        Due::found(RuleName::Account, &settings, subject.standing, found)
    }
}
