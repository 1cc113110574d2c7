//! Whether a ban would have been made under another policy, by what was seen when it was.

use std::time::Duration;

use crate::{Evidence, Grade, Guard, Mode, Policy, RuleName, RuleSettings, Standing};

/// Why a ban would not have been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMadeBecause {
    /// The rule would not ban.
    Mode,
    /// It takes more than was seen.
    Threshold,
    /// The evidence is too weak.
    Grade,
    /// The user agent is not on the list.
    UserAgent,
}

/// What another policy would have made of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// A ban as well.
    Made,
    /// No ban, not then.
    NotMade(NotMadeBecause),
    /// The evidence is not sufficient: a window is shorter, only better evidence counts, or the user agent has
    /// aged out of memory.
    Unsure,
}

/// Judges what a rule has seen by another policy.
#[must_use]
pub fn forecast(seen: &Evidence, then: &Policy) -> Forecast {
    let rules = &then.rules;
    let (guard, threshold, window) = match seen.rule {
        RuleName::Failures => {
            let threshold = if Standing::unregistered(seen.identity).is_strange() {
                then.max_failures
            } else {
                then.max_failures.max(then.healthy.known_max_failures)
            };
            (rules.failures, threshold, then.window)
        }
        RuleName::UserAgents => return agent(seen, then),
        // How many sources attacked the account is not in the evidence.
        RuleName::Account if rules.account.guard.mode == Mode::Ban => {
            return Forecast::Unsure;
        }
        RuleName::Insider => (rules.insider.guard, then.healthy.known_max_failures, then.window),
        // Nothing of these can be changed at run time.
        RuleName::Attention | RuleName::Deafness => return Forecast::Made,
        name => match rules.get(name) {
            Some(RuleSettings::Counting(rule)) => (rule.guard, rule.threshold, rule.window),
            Some(RuleSettings::Base(_) | RuleSettings::UserAgents(_)) | None => {
                return Forecast::Made;
            }
        },
    };
    if guard.mode != Mode::Ban {
        return Forecast::NotMade(NotMadeBecause::Mode);
    }
    if seen.score < f64::from(threshold) {
        return Forecast::NotMade(NotMadeBecause::Threshold);
    }
    match by_grade(guard, seen) {
        Forecast::Made if window < seen.window => Forecast::Unsure,
        forecast => forecast,
    }
}

/// Length of a first ban by a rule.
#[must_use]
pub fn first_ban_time(name: RuleName, then: &Policy) -> Duration {
    match name {
        RuleName::Failures | RuleName::Deafness => then.ban_time,
        RuleName::UserAgents => then.rules.user_agents.ban_time,
        RuleName::Attention | RuleName::Insider => then.healthy.attention_ban_time,
        name => match then.rules.get(name) {
            Some(RuleSettings::Counting(rule)) => rule.ban_time,
            Some(RuleSettings::Base(_) | RuleSettings::UserAgents(_)) | None => then.ban_time,
        },
    }
}

/// Only the weakest counted grade is known, so either all of the evidence suffices or the answer is unknown.
fn by_grade(guard: Guard, seen: &Evidence) -> Forecast {
    let carries_none = matches!(
        seen.rule,
        RuleName::Report | RuleName::Flood | RuleName::Challenges | RuleName::Log | RuleName::Scan
    );
    if guard.admits(if carries_none { Grade::Unjoined } else { seen.grade }) {
        Forecast::Made
    } else if carries_none || seen.failures <= 1 {
        Forecast::NotMade(NotMadeBecause::Grade)
    } else {
        Forecast::Unsure
    }
}

fn agent(seen: &Evidence, then: &Policy) -> Forecast {
    let rule = &then.rules.user_agents;
    if rule.guard.mode != Mode::Ban {
        return Forecast::NotMade(NotMadeBecause::Mode);
    }
    if !rule.guard.admits(seen.grade) {
        return Forecast::NotMade(NotMadeBecause::Grade);
    }
    let Some(details) = seen.details.as_deref() else { return Forecast::Unsure };
    let agent = details.user_agent.to_lowercase();
    if rule.patterns.iter().any(|pattern| agent.contains(&pattern.to_lowercase())) {
        Forecast::Made
    } else {
        Forecast::NotMade(NotMadeBecause::UserAgent)
    }
}

#[cfg(test)]
mod tests;
