//! Whether a ban would have been made under another policy, by what was seen when it was.

use std::time::Duration;

use sipward_engine::{Evidence, Grade, Guard, Mode, Policy, Rule, RuleName, Standing};

use sipward_model::wire::NotMadeBecause;

/// What another policy would have made of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A ban as well.
    Made,
    /// No ban, not then.
    NotMade(NotMadeBecause),
    /// The evidence is not sufficient: a window is shorter, only better evidence counts, or the user agent has
    /// aged out of memory.
    Unsure,
}

/// Judges what a rule has seen by another policy.
pub(super) fn verdict(seen: &Evidence, then: &Policy) -> Verdict {
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
            return Verdict::Unsure;
        }
        RuleName::Insider => (rules.insider.guard, then.healthy.known_max_failures, then.window),
        // Nothing of these can be changed at run time.
        RuleName::Attention | RuleName::Deafness => return Verdict::Made,
        name => match rule(name, then) {
            Some(Rule { guard, threshold, window, .. }) => (*guard, *threshold, *window),
            None => return Verdict::Made,
        },
    };
    if guard.mode != Mode::Ban {
        return Verdict::NotMade(NotMadeBecause::Mode);
    }
    if seen.score < f64::from(threshold) {
        return Verdict::NotMade(NotMadeBecause::Threshold);
    }
    match by_grade(guard, seen) {
        Verdict::Made if window < seen.window => Verdict::Unsure,
        verdict => verdict,
    }
}

/// Length of a first ban by a rule.
pub(super) fn first_length(name: RuleName, then: &Policy) -> Duration {
    match name {
        RuleName::Failures | RuleName::Deafness => then.ban_time,
        RuleName::UserAgents => then.rules.user_agents.ban_time,
        RuleName::Attention | RuleName::Insider => then.healthy.attention_ban_time,
        name => rule(name, then).map_or(then.ban_time, |rule| rule.ban_time),
    }
}

/// Only the weakest counted grade is known, so either all of the evidence suffices or the answer is unknown.
fn by_grade(guard: Guard, seen: &Evidence) -> Verdict {
    let carries_none = matches!(
        seen.rule,
        RuleName::Report | RuleName::Flood | RuleName::Challenges | RuleName::Log | RuleName::Scan
    );
    if guard.admits(if carries_none { Grade::Unjoined } else { seen.grade }) {
        Verdict::Made
    } else if carries_none || seen.failures <= 1 {
        Verdict::NotMade(NotMadeBecause::Grade)
    } else {
        Verdict::Unsure
    }
}

fn agent(seen: &Evidence, then: &Policy) -> Verdict {
    let rule = &then.rules.user_agents;
    if rule.guard.mode != Mode::Ban {
        return Verdict::NotMade(NotMadeBecause::Mode);
    }
    if !rule.guard.admits(seen.grade) {
        return Verdict::NotMade(NotMadeBecause::Grade);
    }
    let Some(details) = seen.details.as_deref() else { return Verdict::Unsure };
    let agent = details.user_agent.to_lowercase();
    if rule.patterns.iter().any(|pattern| agent.contains(&pattern.to_lowercase())) {
        Verdict::Made
    } else {
        Verdict::NotMade(NotMadeBecause::UserAgent)
    }
}

fn rule(name: RuleName, policy: &Policy) -> Option<&Rule> {
    let rules = &policy.rules;
    Some(match name {
        RuleName::Users => &rules.users,
        RuleName::Report => &rules.report,
        RuleName::Flood => &rules.flood,
        RuleName::Slow => &rules.slow,
        RuleName::Challenges => &rules.challenges,
        RuleName::Calls => &rules.calls,
        RuleName::RawAddress => &rules.raw_address,
        RuleName::Account => &rules.account,
        RuleName::Network => &rules.network,
        RuleName::Log => &rules.log,
        RuleName::Login => &rules.login,
        RuleName::Scan => &rules.scan,
        RuleName::Failures
        | RuleName::UserAgents
        | RuleName::Attention
        | RuleName::Insider
        | RuleName::Deafness => return None,
    })
}

#[cfg(test)]
mod tests;
