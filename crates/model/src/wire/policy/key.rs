//! What of the policy can be changed at run time, by name.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};
use sipward_engine::{Grade, Mode, RuleName, Scope};
use utoipa::PartialSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};

use crate::wire::RuleScope;

/// A value that can be changed at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyKey {
    /// Failures within the window that ban.
    MaxFailures,
    /// Length of the window.
    WindowSeconds,
    /// Length of a first ban.
    BanTimeSeconds,
    /// What each further ban of a source is longer than the one before.
    EscalationFactor,
    /// Length of the longest ban.
    EscalationMaxSeconds,
    /// What bans stop: `host` or `sip`.
    Scope,
    /// A value of a rule. Not every rule has every one: [`PolicyKey::all`] are those that there are.
    Rule(RuleName, RuleSetting),
}

/// A value of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleSetting {
    /// `ban`, `shadow` or `off`; of `scan` also `slow`.
    Mode,
    /// Weaker evidence only shadows.
    MinGrade,
    /// How many it takes.
    Threshold,
    /// Within how long.
    WindowSeconds,
    /// Length of a first ban.
    BanTimeSeconds,
    /// Parts of the user agents of scanners.
    Patterns,
    /// What its bans stop: `policy`, `host` or `sip`.
    Scope,
}

/// What a rule with settings has.
const fn settings(rule: RuleName) -> &'static [RuleSetting] {
    use RuleSetting::{BanTimeSeconds, MinGrade, Mode, Patterns, Scope, Threshold, WindowSeconds};
    match rule {
        RuleName::Failures => &[Mode, MinGrade, Scope],
        RuleName::UserAgents => &[Mode, MinGrade, Scope, Patterns, BanTimeSeconds],
        // Its window is the kernel's, a count of packets has no grade, and its bans are of the SIP ports only.
        RuleName::Scan => &[Mode, Threshold, BanTimeSeconds],
        RuleName::Attention | RuleName::Deafness => &[],
        _ => &[Mode, MinGrade, Scope, Threshold, WindowSeconds, BanTimeSeconds],
    }
}

impl RuleSetting {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::MinGrade => "min_grade",
            Self::Threshold => "threshold",
            Self::WindowSeconds => "window_seconds",
            Self::BanTimeSeconds => "ban_time_seconds",
            Self::Patterns => "patterns",
            Self::Scope => "scope",
        }
    }
}

impl PolicyKey {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let rules = RuleName::ALL
            .into_iter()
            .flat_map(|rule| settings(rule).iter().map(move |setting| Self::Rule(rule, *setting)));
        [
            Self::MaxFailures,
            Self::WindowSeconds,
            Self::BanTimeSeconds,
            Self::EscalationFactor,
            Self::EscalationMaxSeconds,
            Self::Scope,
        ]
        .into_iter()
        .chain(rules)
    }

    /// Whether its value is a length of time, in seconds.
    #[must_use]
    pub const fn is_span(self) -> bool {
        matches!(
            self,
            Self::WindowSeconds
                | Self::BanTimeSeconds
                | Self::EscalationMaxSeconds
                | Self::Rule(_, RuleSetting::WindowSeconds | RuleSetting::BanTimeSeconds)
        )
    }

    /// What it may be. The ranges are the configuration file's.
    fn schema(self) -> RefOr<Schema> {
        let number = |least: u32, most: u32| {
            let integer = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
            integer.minimum(Some(least)).maximum(Some(most)).into()
        };
        let up_to = |most: u32| number(1, most);
        let words = |words: Value| {
            let string = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
            string.enum_values(words.as_array().cloned()).into()
        };
        match self {
            Self::MaxFailures => up_to(*RuleName::Failures.thresholds().end()),
            Self::WindowSeconds => up_to(604_800),
            Self::Rule(rule, RuleSetting::WindowSeconds) => {
                let range = rule.windows();
                let seconds = |span: &Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
                number(seconds(range.start()), seconds(range.end()))
            }
            Self::BanTimeSeconds | Self::Rule(_, RuleSetting::BanTimeSeconds) => up_to(31_536_000),
            Self::EscalationFactor => {
                let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Number));
                number.minimum(Some(1)).maximum(Some(100)).into()
            }
            Self::EscalationMaxSeconds => up_to(315_619_200),
            Self::Rule(RuleName::Scan, RuleSetting::Mode) => {
                words(json!([Mode::Ban, Mode::Slow, Mode::Shadow, Mode::Off]))
            }
            Self::Rule(_, RuleSetting::Mode) => words(json!([Mode::Ban, Mode::Shadow, Mode::Off])),
            Self::Rule(_, RuleSetting::MinGrade) => words(json!(Grade::ALL)),
            Self::Scope => words(json!([Scope::Host, Scope::Sip])),
            Self::Rule(_, RuleSetting::Scope) => words(json!(RuleScope::ALL)),
            Self::Rule(rule, RuleSetting::Threshold) => {
                let range = rule.thresholds();
                number(*range.start(), *range.end())
            }
            Self::Rule(_, RuleSetting::Patterns) => {
                let pattern = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
                let pattern = pattern.min_length(Some(3)).max_length(Some(MAX_PATTERN));
                ArrayBuilder::new().items(pattern).max_items(Some(256)).into()
            }
        }
    }
}

/// Longest part of a user agent, in bytes. Of an agent itself 62 are kept.
pub const MAX_PATTERN: usize = 62;

/// The schema of values by their keys.
pub(super) fn values() -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
    let object =
        PolicyKey::all().fold(object, |object, key| object.property(key.to_string(), key.schema()));
    object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false))).into()
}

impl PartialSchema for PolicyKey {
    fn schema() -> RefOr<Schema> {
        let words = PolicyKey::all().map(|key| Value::String(key.to_string()));
        let string = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        string
            .enum_values(Some(words.collect::<Vec<_>>()))
            .description(Some("A value that can be changed at run time."))
            .into()
    }
}

impl utoipa::ToSchema for PolicyKey {}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxFailures => f.write_str("max_failures"),
            Self::WindowSeconds => f.write_str("window_seconds"),
            Self::BanTimeSeconds => f.write_str("ban_time_seconds"),
            Self::EscalationFactor => f.write_str("escalation.factor"),
            Self::EscalationMaxSeconds => f.write_str("escalation.max_seconds"),
            Self::Scope => f.write_str("scope"),
            Self::Rule(rule, setting) => {
                write!(f, "rules.{}.{}", rule.as_str(), setting.as_str())
            }
        }
    }
}

impl FromStr for PolicyKey {
    type Err = String;

    /// By the API's name, or by the file's, which has no `_seconds`.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_named = |key: &Self| {
            let name = key.to_string();
            name == text || name.strip_suffix("_seconds") == Some(text)
        };
        Self::all().find(is_named).ok_or_else(|| {
            "this cannot be changed at run time; write max_failures, window_seconds, \
             ban_time_seconds, escalation.factor, escalation.max_seconds, scope, or rules.NAME. with mode, min_grade, scope, threshold, \
             window_seconds, ban_time_seconds or patterns behind it, as `GET /policy` lists them"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_by_its_own_name() {
        for key in PolicyKey::all() {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        assert_eq!(PolicyKey::all().count(), 89);
        assert_eq!("rules.slow.window".parse::<PolicyKey>(), "rules.slow.window_seconds".parse());
    }

    #[test]
    fn what_a_rule_does_not_have_is_no_key() {
        for none in ["rules.failures.threshold", "rules.attention.mode", "rules", "max_bans", ""] {
            assert!(none.parse::<PolicyKey>().is_err(), "{none}");
        }
    }
}
