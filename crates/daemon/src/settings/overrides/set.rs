//! One value put into a policy.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sipward_engine::{Guard, Policy, Rule, RuleName, Rules, UserAgents};

use sipward_model::wire::{MAX_PATTERN, PolicyKey, RuleScope, RuleSetting};

/// Puts `value` into `policy`. What kind of value it is is checked here, its range by the policy itself.
pub(super) fn set(policy: &mut Policy, key: PolicyKey, value: &Value) -> Result<(), String> {
    match key {
        PolicyKey::MaxFailures => policy.max_failures = number(value)?,
        PolicyKey::WindowSeconds => policy.window = span(value)?,
        PolicyKey::BanTimeSeconds => policy.ban_time = span(value)?,
        PolicyKey::EscalationFactor => policy.escalation.factor = decimal(value)?,
        PolicyKey::EscalationMaxSeconds => policy.escalation.max = span(value)?,
        PolicyKey::Scope => policy.scope = word(value, "host or sip")?,
        PolicyKey::Rule(name, setting) => match part(&mut policy.rules, name) {
            Some(part) => part.set(setting, value, modes(name))?,
            None => return Err(format!("`{key}` cannot be changed")),
        },
    }
    Ok(())
}

/// What a rule is made of.
enum Part<'a> {
    Base(&'a mut Guard),
    Agents(&'a mut UserAgents),
    Rule(&'a mut Rule),
}

fn part(rules: &mut Rules, name: RuleName) -> Option<Part<'_>> {
    Some(match name {
        RuleName::Failures => Part::Base(&mut rules.failures),
        RuleName::UserAgents => Part::Agents(&mut rules.user_agents),
        RuleName::Users => Part::Rule(&mut rules.users),
        RuleName::Report => Part::Rule(&mut rules.report),
        RuleName::Flood => Part::Rule(&mut rules.flood),
        RuleName::Slow => Part::Rule(&mut rules.slow),
        RuleName::Challenges => Part::Rule(&mut rules.challenges),
        RuleName::Calls => Part::Rule(&mut rules.calls),
        RuleName::RawAddress => Part::Rule(&mut rules.raw_address),
        RuleName::Account => Part::Rule(&mut rules.account),
        RuleName::Network => Part::Rule(&mut rules.network),
        RuleName::Insider => Part::Rule(&mut rules.insider),
        RuleName::Log => Part::Rule(&mut rules.log),
        RuleName::Login => Part::Rule(&mut rules.login),
        RuleName::Scan => Part::Rule(&mut rules.scan),
        RuleName::Attention | RuleName::Deafness => return None,
    })
}

/// The modes of a rule. That no other is slow the policy checks.
fn modes(name: RuleName) -> &'static str {
    match name {
        RuleName::Scan => "ban, slow, shadow or off",
        _ => "ban, shadow or off",
    }
}

impl Part<'_> {
    fn set(self, setting: RuleSetting, value: &Value, modes: &str) -> Result<(), String> {
        match (self, setting) {
            (
                Self::Base(guard)
                | Self::Agents(UserAgents { guard, .. })
                | Self::Rule(Rule { guard, .. }),
                RuleSetting::Mode,
            ) => guard.mode = word(value, modes)?,
            (
                Self::Base(guard)
                | Self::Agents(UserAgents { guard, .. })
                | Self::Rule(Rule { guard, .. }),
                RuleSetting::MinGrade,
            ) => {
                let words = "unjoined, unproven, unchallenged, assumed or answered";
                guard.min_grade = word(value, words)?;
            }
            (
                Self::Base(guard)
                | Self::Agents(UserAgents { guard, .. })
                | Self::Rule(Rule { guard, .. }),
                RuleSetting::Scope,
            ) => guard.scope = word::<RuleScope>(value, "policy, host or sip")?.scope(),
            (Self::Agents(agents), RuleSetting::Patterns) => agents.patterns = patterns(value)?,
            (
                Self::Agents(UserAgents { ban_time, .. }) | Self::Rule(Rule { ban_time, .. }),
                RuleSetting::BanTimeSeconds,
            ) => *ban_time = span(value)?,
            (Self::Rule(rule), RuleSetting::Threshold) => rule.threshold = number(value)?,
            (Self::Rule(rule), RuleSetting::WindowSeconds) => rule.window = span(value)?,
            (Self::Base(_) | Self::Agents(_), _) | (Self::Rule(_), RuleSetting::Patterns) => {
                return Err("the rule has no such value".to_owned());
            }
        }
        Ok(())
    }
}

fn number(value: &Value) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("{} is no whole number in its range", shown(value)))
}

fn decimal(value: &Value) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| format!("{} is no number", shown(value)))
}

fn span(value: &Value) -> Result<Duration, String> {
    let seconds = value.as_u64().map(Duration::from_secs);
    seconds.ok_or_else(|| format!("{} is no whole number of seconds", shown(value)))
}

fn word<T: DeserializeOwned>(value: &Value, words: &str) -> Result<T, String> {
    T::deserialize(value).map_err(|_| format!("{} is not {words}", shown(value)))
}

fn patterns(value: &Value) -> Result<Vec<String>, String> {
    let patterns: Option<Vec<String>> = value
        .as_array()
        .and_then(|list| list.iter().map(|one| Some(one.as_str()?.to_owned())).collect());
    let patterns = patterns.ok_or_else(|| format!("{} is no list of texts", shown(value)))?;
    match patterns.iter().find(|pattern| pattern.len() > MAX_PATTERN) {
        Some(long) => Err(format!(
            "{} has more than the {MAX_PATTERN} bytes that are kept of a user agent",
            shown(&Value::from(long.as_str()))
        )),
        None => Ok(patterns),
    }
}

/// What somebody sent, not at length.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    let end = text.floor_char_boundary(MOST);
    let cut = if end < text.len() { "…" } else { "" };
    format!("{}{cut}", text.get(..end).unwrap_or_default())
}
