//! Every value of a policy by its name.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sipward_engine::{
    Deafness, Escalation, Guard, Healthy, Policy, Rule, Rules, UserAgents, Weights,
};

use sipward_model::wire::RuleScope;

/// All values, each by its key in `[policy]`; those that are durations in seconds, with `_seconds`
/// behind the key.
pub(super) fn of(policy: &Policy) -> Vec<(String, Value)> {
    let mut list = List { prefix: String::new(), values: Vec::new() };
    // Taken apart whole, so that a new setting cannot be forgotten here.
    let Policy {
        max_failures,
        window,
        ban_time,
        scope,
        escalation,
        weights,
        rules,
        healthy,
        deafness,
        // Follows from `allow_acl`.
        ask_acl: _,
        alarm_bans_per_minute,
        alarm_forgeable_per_minute,
        alarm_distributed_per_minute,
        nat64_prefixes,
        ipv4_prefix,
        ipv6_prefix,
        max_tracked,
        max_unproven,
        max_bans,
    } = policy;
    list.add("max_failures", max_failures);
    list.span("window", *window);
    list.span("ban_time", *ban_time);
    list.add("scope", scope);
    list.add("ipv4_prefix", ipv4_prefix);
    list.add("ipv6_prefix", ipv6_prefix);
    list.add("max_tracked", max_tracked);
    list.add("max_unproven", max_unproven);
    list.add("max_bans", max_bans);
    list.add("alarm_bans_per_minute", alarm_bans_per_minute);
    list.add("alarm_forgeable_per_minute", alarm_forgeable_per_minute);
    list.add("alarm_distributed_per_minute", alarm_distributed_per_minute);
    list.add("nat64_prefixes", nat64_prefixes);
    list.under("escalation", |list| {
        let Escalation { factor, max, forget_after } = escalation;
        list.add("factor", factor);
        list.span("max", *max);
        list.span("forget_after", *forget_after);
    });
    list.under("weights", |list| {
        let Weights { answered, unchallenged, unproven, unjoined } = weights;
        list.add("answered", answered);
        list.add("unchallenged", unchallenged);
        list.add("unproven", unproven);
        list.add("unjoined", unjoined);
    });
    list.under("healthy", |list| {
        let Healthy {
            known_max_failures,
            remember,
            trust_after,
            attention_max_failures,
            attention_ban_time,
            max_new_addresses,
            trust_first_list,
        } = healthy;
        list.add("known_max_failures", known_max_failures);
        list.span("remember", *remember);
        list.span("trust_after", *trust_after);
        list.add("attention_max_failures", attention_max_failures);
        list.span("attention_ban_time", *attention_ban_time);
        list.add("max_new_addresses", max_new_addresses);
        list.add("trust_first_list", trust_first_list);
    });
    list.under("deafness", |list| {
        let Deafness { mode, max_failures, burst, packets } = deafness;
        list.add("mode", mode);
        list.add("max_failures", max_failures);
        list.add("burst", burst);
        list.add("packets", packets);
    });
    list.under("rules", |list| rules_of(rules, list));
    list.values
}

fn rules_of(rules: &Rules, list: &mut List) {
    let Rules {
        failures,
        users,
        user_agents: UserAgents { guard, patterns, ban_time },
        report,
        flood,
        slow,
        challenges,
        calls,
        raw_address,
        account,
        network,
        insider,
        log,
        login,
        scan,
    } = rules;
    list.under("failures", |list| guard_of(*failures, list));
    list.under("user_agents", |list| {
        guard_of(*guard, list);
        list.add("patterns", patterns);
        list.span("ban_time", *ban_time);
    });
    list.under("scan", |list| {
        // Its window is the kernel's, and a count of packets has no grade.
        let Rule { guard: Guard { mode, min_grade: _, scope: _ }, threshold, window: _, ban_time } =
            scan;
        list.add("mode", mode);
        list.add("threshold", threshold);
        list.span("ban_time", *ban_time);
    });
    for (name, rule) in [
        ("users", users),
        ("report", report),
        ("flood", flood),
        ("slow", slow),
        ("challenges", challenges),
        ("calls", calls),
        ("raw_address", raw_address),
        ("account", account),
        ("network", network),
        ("insider", insider),
        ("log", log),
        ("login", login),
    ] {
        list.under(name, |list| {
            let Rule { guard, threshold, window, ban_time } = rule;
            guard_of(*guard, list);
            list.add("threshold", threshold);
            list.span("window", *window);
            list.span("ban_time", *ban_time);
        });
    }
}

fn guard_of(Guard { mode, min_grade, scope }: Guard, list: &mut List) {
    list.add("mode", mode);
    list.add("min_grade", min_grade);
    list.add("scope", RuleScope::from(scope));
}

struct List {
    prefix: String,
    values: Vec<(String, Value)>,
}

impl List {
    fn add(&mut self, name: &str, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.values.push((format!("{}{name}", self.prefix), value));
    }

    fn span(&mut self, name: &str, span: Duration) {
        let name = format!("{name}_seconds");
        // Whole seconds are written as such, as a file would.
        if span.subsec_nanos() == 0 {
            self.add(&name, span.as_secs());
        } else {
            self.add(&name, span.as_secs_f64());
        }
    }

    fn under(&mut self, name: &str, add: impl FnOnce(&mut Self)) {
        let length = self.prefix.len();
        self.prefix.push_str(name);
        self.prefix.push('.');
        add(self);
        self.prefix.truncate(length);
    }
}
