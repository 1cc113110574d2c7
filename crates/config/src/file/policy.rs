//! `[policy]`.

use std::collections::BTreeSet;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use sipward_engine::{Mode, Policy, Scope};

use super::rules::RulesFile;
use super::set;
use super::span::{self, Span};
use crate::error::Problem;

/// `[policy]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicyFile {
    #[serde(alias = "maxretry")]
    max_failures: Option<u32>,
    #[serde(alias = "findtime")]
    window: Option<Span>,
    #[serde(alias = "bantime")]
    ban_time: Option<Span>,
    scope: Option<Scope>,
    ipv4_prefix: Option<u8>,
    ipv6_prefix: Option<u8>,
    max_tracked: Option<usize>,
    max_unproven: Option<usize>,
    max_bans: Option<usize>,
    alarm_bans_per_minute: Option<u32>,
    alarm_forgeable_per_minute: Option<u32>,
    alarm_distributed_per_minute: Option<u32>,
    nat64_prefixes: Option<Vec<Ipv6Net>>,
    escalation: Escalation,
    weights: Weights,
    healthy: Healthy,
    deafness: Deafness,
    rules: RulesFile,
}

/// `[policy.escalation]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Escalation {
    factor: Option<f64>,
    max: Option<Span>,
    forget_after: Option<Span>,
}

/// `[policy.weights]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Weights {
    answered: Option<f64>,
    unchallenged: Option<f64>,
    unproven: Option<f64>,
    unjoined: Option<f64>,
}

/// `[policy.healthy]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Healthy {
    known_max_failures: Option<u32>,
    remember: Option<Span>,
    trust_after: Option<Span>,
    attention_max_failures: Option<u32>,
    attention_ban_time: Option<Span>,
    max_new_addresses: Option<u32>,
    trust_first_list: Option<bool>,
}

/// `[policy.deafness]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Deafness {
    mode: Option<Mode>,
    max_failures: Option<u32>,
    burst: Option<u32>,
    packets: Option<u32>,
}

impl PolicyFile {
    /// The keys that are written, dotted, by their names of today.
    pub(super) fn written(&self) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        // Every part of it can be written as JSON; if not, everything would count as a default.
        collect("", &serde_json::to_value(self).unwrap_or_default(), &mut keys);
        keys
    }

    pub(super) fn checked(self, ask_acl: bool) -> Result<Policy, Problem> {
        let mut policy = Policy { ask_acl, ..Policy::default() };
        set(&mut policy.max_failures, self.max_failures);
        span::set(&mut policy.window, self.window);
        span::set(&mut policy.ban_time, self.ban_time);
        set(&mut policy.scope, self.scope);
        set(&mut policy.ipv4_prefix, self.ipv4_prefix);
        set(&mut policy.ipv6_prefix, self.ipv6_prefix);
        set(&mut policy.max_tracked, self.max_tracked);
        set(&mut policy.max_unproven, self.max_unproven);
        set(&mut policy.max_bans, self.max_bans);
        set(&mut policy.alarm_bans_per_minute, self.alarm_bans_per_minute);
        set(&mut policy.alarm_forgeable_per_minute, self.alarm_forgeable_per_minute);
        set(&mut policy.alarm_distributed_per_minute, self.alarm_distributed_per_minute);
        set(&mut policy.nat64_prefixes, self.nat64_prefixes);
        self.escalation.apply(&mut policy.escalation);
        self.weights.apply(&mut policy.weights);
        self.healthy.apply(&mut policy.healthy);
        self.deafness.apply(&mut policy.deafness);
        self.rules.apply(&mut policy.rules);
        policy.validate().map_err(|e| {
            let message = format!("{} is out of range: {}", e.value, e.expected);
            Problem::new(format!("policy.{}", e.key), message)
        })?;
        Ok(policy)
    }
}

fn collect(key: &str, value: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Null => {}
        serde_json::Value::Object(parts) => {
            for (name, part) in parts {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                collect(&key, part, keys);
            }
        }
        _ => drop(keys.insert(key.to_owned())),
    }
}

impl Escalation {
    fn apply(self, to: &mut sipward_engine::Escalation) {
        set(&mut to.factor, self.factor);
        span::set(&mut to.max, self.max);
        span::set(&mut to.forget_after, self.forget_after);
    }
}

impl Weights {
    fn apply(self, to: &mut sipward_engine::Weights) {
        set(&mut to.answered, self.answered);
        set(&mut to.unchallenged, self.unchallenged);
        set(&mut to.unproven, self.unproven);
        set(&mut to.unjoined, self.unjoined);
    }
}

impl Healthy {
    fn apply(self, to: &mut sipward_engine::Healthy) {
        set(&mut to.known_max_failures, self.known_max_failures);
        span::set(&mut to.remember, self.remember);
        span::set(&mut to.trust_after, self.trust_after);
        set(&mut to.attention_max_failures, self.attention_max_failures);
        span::set(&mut to.attention_ban_time, self.attention_ban_time);
        set(&mut to.max_new_addresses, self.max_new_addresses);
        set(&mut to.trust_first_list, self.trust_first_list);
    }
}

impl Deafness {
    fn apply(self, to: &mut sipward_engine::Deafness) {
        set(&mut to.mode, self.mode);
        set(&mut to.max_failures, self.max_failures);
        set(&mut to.burst, self.burst);
        set(&mut to.packets, self.packets);
    }
}
