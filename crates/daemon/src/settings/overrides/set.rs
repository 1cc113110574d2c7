//! One value put into a policy.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sipward_engine::{Guard, Policy, Rule, RuleName, RuleSettings, UserAgents, prefix};

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
        PolicyKey::Rule(name, setting) => match policy.rules.get_mut(name) {
            Some(rule) => set_in(rule, setting, value, modes(name))?,
            None => return Err(format!("`{key}` cannot be changed")),
        },
    }
    Ok(())
}

/// The modes of a rule. That no other is slow the policy checks.
fn modes(name: RuleName) -> &'static str {
    match name {
        RuleName::Scan => "ban, slow, shadow or off",
        _ => "ban, shadow or off",
    }
}

type Settings<'a> = RuleSettings<&'a mut Guard, &'a mut UserAgents, &'a mut Rule>;

fn set_in(
    rule: Settings<'_>,
    setting: RuleSetting,
    value: &Value,
    modes: &str,
) -> Result<(), String> {
    match (rule, setting) {
        (
            RuleSettings::Base(guard)
            | RuleSettings::UserAgents(UserAgents { guard, .. })
            | RuleSettings::Counting(Rule { guard, .. }),
            RuleSetting::Mode,
        ) => guard.mode = word(value, modes)?,
        (
            RuleSettings::Base(guard)
            | RuleSettings::UserAgents(UserAgents { guard, .. })
            | RuleSettings::Counting(Rule { guard, .. }),
            RuleSetting::MinGrade,
        ) => {
            let words = "unjoined, unproven, unchallenged, assumed or answered";
            guard.min_grade = word(value, words)?;
        }
        (
            RuleSettings::Base(guard)
            | RuleSettings::UserAgents(UserAgents { guard, .. })
            | RuleSettings::Counting(Rule { guard, .. }),
            RuleSetting::Scope,
        ) => guard.scope = word::<RuleScope>(value, "policy, host or sip")?.scope(),
        (RuleSettings::UserAgents(agents), RuleSetting::Patterns) => {
            agents.patterns = patterns(value)?;
        }
        (
            RuleSettings::UserAgents(UserAgents { ban_time, .. })
            | RuleSettings::Counting(Rule { ban_time, .. }),
            RuleSetting::BanTimeSeconds,
        ) => *ban_time = span(value)?,
        (RuleSettings::Counting(rule), RuleSetting::Threshold) => rule.threshold = number(value)?,
        (RuleSettings::Counting(rule), RuleSetting::WindowSeconds) => rule.window = span(value)?,
        (RuleSettings::Base(_) | RuleSettings::UserAgents(_), _)
        | (RuleSettings::Counting(_), RuleSetting::Patterns) => {
            return Err("the rule has no such setting".to_owned());
        }
    }
    Ok(())
}

fn number(value: &Value) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("{} is not a whole number in the allowed range", shown(value)))
}

fn decimal(value: &Value) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| format!("{} is no number", shown(value)))
}

fn span(value: &Value) -> Result<Duration, String> {
    let seconds = value.as_u64().map(Duration::from_secs);
    seconds.ok_or_else(|| format!("{} is not a whole number of seconds", shown(value)))
}

fn word<T: DeserializeOwned>(value: &Value, words: &str) -> Result<T, String> {
    T::deserialize(value).map_err(|_| format!("{} is not {words}", shown(value)))
}

fn patterns(value: &Value) -> Result<Vec<String>, String> {
    let patterns: Option<Vec<String>> = value
        .as_array()
        .and_then(|list| list.iter().map(|one| Some(one.as_str()?.to_owned())).collect());
    let patterns = patterns.ok_or_else(|| format!("{} is not a list of texts", shown(value)))?;
    match patterns.iter().find(|pattern| pattern.len() > MAX_PATTERN) {
        Some(long) => Err(format!(
            "{} has more than {MAX_PATTERN} bytes, the length to which user agents are cut",
            shown(&Value::from(long.as_str()))
        )),
        None => Ok(patterns),
    }
}

/// The value of a request, shortened.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    let shown = prefix(&text, MOST);
    let cut = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown}{cut}")
}
