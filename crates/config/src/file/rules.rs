//! `[policy.rules.*]`.

use serde::{Deserialize, Serialize};
use sipward_engine::{Grade, Guard, Mode, Rule, Rules, UserAgents};

use super::set;
use super::span::{self, Span};
use sipward_model::wire::RuleScope;

/// `[policy.rules]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RulesFile {
    failures: GuardFile,
    users: RuleFile,
    user_agents: UserAgentsFile,
    report: RuleFile,
    flood: RuleFile,
    slow: RuleFile,
    challenges: RuleFile,
    calls: RuleFile,
    raw_address: RuleFile,
    account: RuleFile,
    network: RuleFile,
    insider: RuleFile,
    log: RuleFile,
    login: RuleFile,
    scan: ScanFile,
}

/// `[policy.rules.scan]`: the window is the kernel's, and a count of packets has no grade.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct ScanFile {
    mode: Option<Mode>,
    threshold: Option<u32>,
    ban_time: Option<Span>,
}

/// `[policy.rules.failures]`: the numbers of the base rule are in `[policy]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct GuardFile {
    mode: Option<Mode>,
    min_grade: Option<Grade>,
    scope: Option<RuleScope>,
}

/// Any rule with a count and a window.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct RuleFile {
    mode: Option<Mode>,
    min_grade: Option<Grade>,
    scope: Option<RuleScope>,
    threshold: Option<u32>,
    window: Option<Span>,
    ban_time: Option<Span>,
}

/// `[policy.rules.user_agents]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct UserAgentsFile {
    mode: Option<Mode>,
    min_grade: Option<Grade>,
    scope: Option<RuleScope>,
    patterns: Option<Vec<String>>,
    ban_time: Option<Span>,
}

impl RulesFile {
    pub(super) fn apply(self, to: &mut Rules) {
        let GuardFile { mode, min_grade, scope } = self.failures;
        guard(&mut to.failures, mode, min_grade, scope);
        self.user_agents.apply(&mut to.user_agents);
        self.users.apply(&mut to.users);
        self.report.apply(&mut to.report);
        self.flood.apply(&mut to.flood);
        self.slow.apply(&mut to.slow);
        self.challenges.apply(&mut to.challenges);
        self.calls.apply(&mut to.calls);
        self.raw_address.apply(&mut to.raw_address);
        self.account.apply(&mut to.account);
        self.network.apply(&mut to.network);
        self.insider.apply(&mut to.insider);
        self.log.apply(&mut to.log);
        self.login.apply(&mut to.login);
        let ScanFile { mode, threshold, ban_time } = self.scan;
        set(&mut to.scan.guard.mode, mode);
        set(&mut to.scan.threshold, threshold);
        span::set(&mut to.scan.ban_time, ban_time);
    }
}

impl RuleFile {
    fn apply(self, to: &mut Rule) {
        guard(&mut to.guard, self.mode, self.min_grade, self.scope);
        set(&mut to.threshold, self.threshold);
        span::set(&mut to.window, self.window);
        span::set(&mut to.ban_time, self.ban_time);
    }
}

impl UserAgentsFile {
    fn apply(self, to: &mut UserAgents) {
        guard(&mut to.guard, self.mode, self.min_grade, self.scope);
        set(&mut to.patterns, self.patterns);
        span::set(&mut to.ban_time, self.ban_time);
    }
}

fn guard(to: &mut Guard, mode: Option<Mode>, min_grade: Option<Grade>, scope: Option<RuleScope>) {
    set(&mut to.mode, mode);
    set(&mut to.min_grade, min_grade);
    set(&mut to.scope, scope.map(RuleScope::scope));
}
