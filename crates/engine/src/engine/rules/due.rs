//! What is due: whether what was counted is enough for a rule.

use std::time::Duration;

use super::Subject;
use crate::engine::Engine;
use crate::limits::{UNIT, millis};
use crate::seen::Seen;
use crate::sources::{Finding, Findings, Tally};
use crate::{Action, Alarm, Grade, Identity, Mode, Rule, RuleName, Rules, Text};

/// A threshold that was reached.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Due {
    pub(in crate::engine) rule: RuleName,
    pub(in crate::engine) mode: Mode,
    /// What was counted, and its weight in thousandths.
    pub(in crate::engine) count: u32,
    pub(in crate::engine) score: u32,
    pub(in crate::engine) threshold: u32,
    pub(in crate::engine) window: Duration,
    pub(in crate::engine) grade: Grade,
    pub(in crate::engine) ban_time: Duration,
    /// The words of a report. Boxed, because few have them and every failure makes some of these.
    pub(in crate::engine) reason: Option<Box<Text>>,
}

impl Due {
    /// What a counting rule found, if that is enough; in shadow, if only with weaker evidence.
    pub(in crate::engine) fn found(
        rule: RuleName,
        settings: &Rule,
        finding: Finding,
    ) -> Option<Self> {
        let sure = finding.sure >= settings.threshold;
        if finding.all < settings.threshold || !settings.guard.is_on() {
            return None;
        }
        let (count, grade) = if sure {
            (finding.sure, settings.guard.min_grade)
        } else {
            (finding.all, Grade::Unjoined)
        };
        Some(Self {
            rule,
            mode: if sure { settings.guard.mode } else { Mode::Shadow },
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

impl Engine {
    pub(in crate::engine) fn base_due(&self, subject: &Subject, tally: &Tally) -> Option<Due> {
        let guard = self.limits.policy.rules.failures;
        let threshold = match subject.identity {
            Identity::Stranger => self.limits.threshold,
            Identity::Known | Identity::Trusted | Identity::Shared => self.limits.known_threshold,
        };
        if tally.score < threshold || !guard.is_on() {
            return None;
        }
        let source = self.sources.at(subject.slot?)?;
        let sure = source.history.tally(millis(self.now), &self.limits, Some(guard));
        let enough = sure.score >= threshold;
        let (mode, tally) = if enough { (guard.mode, &sure) } else { (Mode::Shadow, tally) };
        Some(Due {
            rule: RuleName::Failures,
            mode,
            count: tally.failures,
            score: tally.score,
            threshold: threshold / UNIT,
            window: self.limits.policy.window,
            grade: tally.weakest.unwrap_or(Grade::Unjoined),
            ban_time: self.limits.policy.ban_time,
            reason: None,
        })
    }

    pub(super) fn agent_due(&mut self, seen: &Seen<'_>, grade: Grade) -> Option<Due> {
        let rule = &self.limits.policy.rules.user_agents;
        if !rule.guard.is_on() || !self.agents.is_scanner(seen.user_agent, seen.agent_hash) {
            return None;
        }
        Some(Due {
            rule: RuleName::UserAgents,
            mode: if rule.guard.admits(grade) { rule.guard.mode } else { Mode::Shadow },
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
    pub(in crate::engine) fn counting_due(&self, rule: RuleName, finding: Finding) -> Option<Due> {
        if finding.all == 0 {
            return None;
        }
        let rules = &self.limits.policy.rules;
        let settings = match rule {
            RuleName::Users => &rules.users,
            RuleName::Calls => &rules.calls,
            RuleName::RawAddress => &rules.raw_address,
            _ => &rules.slow,
        };
        Due::found(rule, settings, finding)
    }

    /// What the counting rules find in the history of a source.
    pub(in crate::engine) fn findings(&self, subject: &Subject) -> Findings {
        let source = subject.slot.and_then(|slot| self.sources.at(slot));
        let Some(source) = source else {
            return Findings::default();
        };
        let mut findings = source.history.findings(millis(self.now), &self.limits);
        if self.address_domains {
            findings.raw_address = Finding::default();
        }
        findings
    }

    /// A stranger fails for a user whom many sources attack.
    pub(super) fn attacked_account(
        &mut self,
        seen: &Seen<'_>,
        grade: Grade,
        subject: &Subject,
        actions: &mut Vec<Action>,
    ) -> Option<Due> {
        let rule = self.limits.policy.rules.account;
        let strange = subject.identity == Identity::Stranger && rule.guard.admits(grade);
        if !rule.guard.is_on() || !strange {
            return None;
        }
        let member = subject.key.hash();
        let (before, sources) =
            self.accounts.add(seen.user_hash, member, (rule.threshold, rule.window), self.now);
        if sources < rule.threshold {
            return None;
        }
        if before < rule.threshold {
            actions
                .push(Action::Alarm(Alarm::AccountAttacked { user: seen.user.to_text(), sources }));
        }
        let source = self.sources.at(subject.slot?)?;
        let window_ms = self.limits.window_ms;
        let all = source.history.of_user(seen.user_hash, millis(self.now), window_ms);
        let settings = Rule { threshold: Rules::ACCOUNT_MAX_FAILURES, ..rule };
        Due::found(RuleName::Account, &settings, Finding { sure: all, all })
    }
}
