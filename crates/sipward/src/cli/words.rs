//! Values of the API as text, for cells of tables.

use super::out;
use sipward_model::text::{Span, api_name};
use sipward_model::wire::{By, Cause, Evidence, RemoteCause};

/// The reason, in short. Not escaped: for a cell of a table.
pub(super) fn cause(cause: &Cause) -> String {
    let mut text = match (&cause.by, &cause.evidence) {
        (By::Rule, Some(evidence)) => rule(evidence),
        (By::Rule, None) => "a rule".to_owned(),
        (By::Manual, _) => "by hand".to_owned(),
        (By::Adopted, _) => "found in the kernel at start".to_owned(),
        (By::Remote, _) => cause.remote.as_ref().map_or_else(String::new, remote),
    };
    if let Some(comment) = &cause.comment {
        text.push_str(": ");
        text.push_str(comment);
    }
    if let Some(net) = &cause.split_of {
        out::add(&mut text, format_args!(" (part of {net})"));
    }
    text
}

fn remote(said: &RemoteCause) -> String {
    let mut text = format!("node {}", said.peer);
    match said.rule {
        Some(rule) => out::add(&mut text, format_args!(": {} {}", word(&rule), said.failures)),
        None if said.by_hand => text.push_str(": by hand"),
        None => {}
    }
    if !said.why.is_empty() {
        out::add(&mut text, format_args!(", {}", said.why));
    }
    text
}

fn rule(evidence: &Evidence) -> String {
    let mut text = format!("{} {}", word(&evidence.rule), evidence.failures);
    match evidence.users.as_slice() {
        [] => {}
        [user] => out::add(&mut text, format_args!(", user {user}")),
        users => out::add(&mut text, format_args!(", {} users", users.len())),
    }
    if let Some(agent) = evidence.user_agent.as_ref().filter(|agent| !agent.is_empty()) {
        text.push_str(", ");
        text.push_str(agent);
    }
    if let Some(report) = &evidence.report {
        text.push_str(", ");
        text.push_str(report);
    }
    text
}

/// Time that is left, in two units: `6d 23h`, `59m 58s`.
pub(super) fn left(seconds: f64) -> String {
    let unit = match seconds {
        ..3_600.0 => 1.0,
        ..86_400.0 => 60.0,
        _ => 3_600.0,
    };
    Span((seconds / unit).ceil() * unit).to_string()
}

/// The API's name of a value, with spaces.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    api_name(value).replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_has_two_units() {
        let shown = [0.2, 59.0, 3_598.1, 5_400.5, 86_399.0, 604_799.0].map(left);
        assert_eq!(shown, ["1s", "59s", "59m 59s", "1h 31m", "1d", "7d"]);
    }
}
