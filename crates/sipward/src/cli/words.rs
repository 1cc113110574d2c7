//! Values of the API as text, for cells of tables.

use super::out;
use sipward_model::wire::{By, Cause, Evidence};

/// The reason, in short. Not escaped: for a cell of a table.
pub(super) fn cause(cause: &Cause) -> String {
    let mut text = match (&cause.by, &cause.evidence) {
        (By::Rule, Some(evidence)) => rule(evidence),
        (By::Rule, None) => "a rule".to_owned(),
        (By::Manual, _) => "by hand".to_owned(),
        (By::Adopted, _) => "found in the kernel at start".to_owned(),
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

/// The API's name of a value of an enum.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        Ok(other) => other.to_string(),
        Err(_) => "?".to_owned(),
    }
}
