//! `sipward policy`.

use std::time::Duration;

use clap::Subcommand;
use hyper::Method;
use serde_json::Value;
use sipward_engine::RuleName;

use super::ban::degraded;
use super::out::{self, Column, Table};
use super::remote::{Exit, Remote};
use crate::client::{ClientError, NoQuery, segment};
use sipward_model::text::{Span, read_span};
use sipward_model::wire::{
    PolicyChange, PolicyKey, PolicyOrigin, PolicyValue, PolicyView, RuleSetting,
};

/// Show and change the policy.
#[derive(Debug, clap::Args)]
pub(super) struct PolicyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every value and its origin.
    Show {
        /// Only values that differ from their default.
        #[arg(long)]
        changed: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Change values while the daemon runs. They take precedence over the configuration file until they are reset.
    #[command(group(clap::ArgGroup::new("values").required(true).multiple(true)))]
    Set {
        /// Any value by its key in `policy show`: rules.users.mode=shadow, rules.slow.window=12h. Several
        /// user agents are separated by commas.
        #[arg(value_name = "KEY=VALUE", value_parser = assignment, group = "values")]
        assignments: Vec<(PolicyKey, Value)>,
        /// Failures within the window before a ban.
        #[arg(long, alias = "maxretry", value_name = "COUNT", group = "values")]
        max_failures: Option<u32>,
        /// Length of the window: 90s, 10m, 2h.
        #[arg(long, alias = "findtime", value_name = "SPAN", value_parser = read_span, group = "values")]
        window: Option<Duration>,
        /// Length of the first ban: 10m, 2h, 7d.
        #[arg(long, alias = "bantime", value_name = "SPAN", value_parser = read_span, group = "values")]
        ban_time: Option<Duration>,
        /// Only until the next restart.
        #[arg(long)]
        until_restart: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Undo a change: return to the configuration file.
    Reset {
        /// The keys to reset.
        #[arg(value_name = "KEY", value_parser = key)]
        key: PolicyKey,
        #[command(flatten)]
        remote: Remote,
    },
    /// Add a pattern to the user agents that are banned at the first failure.
    AddAgent {
        /// A part of the user agent, letter case ignored; at least 3 bytes.
        #[arg(value_name = "PART")]
        pattern: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove a pattern from this list.
    RemoveAgent {
        /// The pattern, as `policy show` lists it in `rules.user_agents.patterns`.
        #[arg(value_name = "PART")]
        pattern: String,
        #[command(flatten)]
        remote: Remote,
    },
}

impl PolicyCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.action {
            Action::Show { changed, remote } => remote.run(
                "asking the daemon",
                async |client| {
                    let mut answer = client.get::<PolicyView>("/policy", &NoQuery {}).await?;
                    if *changed {
                        answer.value.values.retain(|value| value.value != value.default);
                        answer.body = serde_json::to_string(&answer.value).unwrap_or(answer.body);
                    }
                    Ok(answer)
                },
                |view| match view.values.as_slice() {
                    [] => "every value is its default\n".to_owned(),
                    values => table(values.iter()),
                },
            ),
            Action::Set { assignments, max_failures, window, ban_time, until_restart, remote } => {
                let change = PolicyChange {
                    max_failures: *max_failures,
                    window_seconds: window.map(|window| window.as_secs()),
                    ban_time_seconds: ban_time.map(|ban_time| ban_time.as_secs()),
                    values: assignments
                        .iter()
                        .map(|(key, value)| (key.to_string(), value.clone()))
                        .collect(),
                    stored: !until_restart,
                };
                remote.run(
                    "changing the policy",
                    async |client| client.patch("/policy", &change).await,
                    changed,
                )
            }
            Action::Reset { key, remote } => {
                let path = format!("/policy/{}", segment(key));
                remote.run(
                    "changing the policy",
                    async |client| client.send(Method::DELETE, &path).await,
                    changed,
                )
            }
            Action::AddAgent { pattern, remote } => {
                edit_agents(remote, |agents| Ok(add(agents, pattern)))
            }
            Action::RemoveAgent { pattern, remote } => {
                edit_agents(remote, |agents| remove(agents, pattern))
            }
        }
    }
}

/// The key of the user agents that are banned at the first failure.
const AGENTS: PolicyKey = PolicyKey::Rule(RuleName::UserAgents, RuleSetting::Patterns);

/// Reads the list of user agents, and gives back what `edit` makes of it.
fn edit_agents(
    remote: &Remote,
    edit: impl FnOnce(Vec<String>) -> Result<Vec<String>, String>,
) -> anyhow::Result<Exit> {
    remote.run(
        "changing the policy",
        async |client| {
            let view: PolicyView = client.get("/policy", &NoQuery {}).await?.value;
            let agents = view.values.iter().find(|value| value.key == AGENTS.to_string());
            let agents = agents.and_then(|agents| agents.value.as_array()).cloned();
            let agents = agents.unwrap_or_default();
            let agents = agents.iter().filter_map(|agent| Some(agent.as_str()?.to_owned()));
            let edited = edit(agents.collect())
                .map_err(|detail| ClientError::invalid(&AGENTS.to_string(), &detail))?;
            let values = [(AGENTS.to_string(), Value::from(edited))].into();
            let change = PolicyChange { values, ..PolicyChange::default() };
            client.patch("/policy", &change).await
        },
        changed,
    )
}

fn add(mut agents: Vec<String>, pattern: &str) -> Vec<String> {
    if !agents.iter().any(|agent| agent.eq_ignore_ascii_case(pattern)) {
        agents.push(pattern.to_owned());
    }
    agents
}

fn remove(mut agents: Vec<String>, pattern: &str) -> Result<Vec<String>, String> {
    let before = agents.len();
    agents.retain(|agent| !agent.eq_ignore_ascii_case(pattern));
    if agents.len() < before { Ok(agents) } else { Err(format!("`{pattern}` is not on the list")) }
}

/// The values that override the file, and the three basic ones.
fn changed(view: &PolicyView) -> String {
    let known = ["max_failures", "window_seconds", "ban_time_seconds"];
    let shown =
        |value: &&PolicyValue| value.overridden.is_some() || known.contains(&value.key.as_str());
    let mut text = table(view.values.iter().filter(shown));
    text.push_str(&degraded(&view.store));
    text
}

fn table<'a>(values: impl Iterator<Item = &'a PolicyValue>) -> String {
    let mut table = Table::new([
        Column::kept("KEY"),
        Column::text("VALUE", 1),
        Column::text("FROM", 2),
        Column::extra("DEFAULT", 3),
    ]);
    for value in values {
        let origin = match value.origin {
            PolicyOrigin::Default => "default",
            PolicyOrigin::File => "file",
            PolicyOrigin::Stored => "run time, stored",
            PolicyOrigin::Runtime => "run time, until a restart",
        };
        let (key, shown) = written(&value.key, &value.value);
        let instead = value.overridden.as_ref().map(|other| written(&value.key, other).1);
        let instead = instead.map(|other| format!(" (else {other})"));
        let default = Some(&value.default).filter(|default| **default != value.value);
        let default = default.map(|default| written(&value.key, default).1);
        table.row([
            key,
            shown,
            format!("{origin}{}", instead.unwrap_or_default()),
            default.unwrap_or_default(),
        ]);
    }
    table.render(out::width())
}

/// A key and its value as the configuration file has them: spans with their unit.
fn written(key: &str, value: &Value) -> (String, String) {
    if let (Some(name), Some(seconds)) = (key.strip_suffix("_seconds"), value.as_f64()) {
        return (name.to_owned(), Span(seconds).to_string());
    }
    let shown = match value {
        Value::String(word) => word.clone(),
        Value::Array(items) => {
            let words = items.iter().map(|item| written("", item).1);
            words.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    (key.to_owned(), shown)
}

/// Also by the names of fail2ban.
fn key(text: &str) -> Result<PolicyKey, String> {
    match text {
        "maxretry" => Ok(PolicyKey::MaxFailures),
        "findtime" => Ok(PolicyKey::WindowSeconds),
        "bantime" => Ok(PolicyKey::BanTimeSeconds),
        _ => text.parse(),
    }
}

/// `KEY=VALUE`, with spans as the configuration file writes them.
fn assignment(text: &str) -> Result<(PolicyKey, Value), String> {
    let (name, value) =
        text.split_once('=').ok_or("expected KEY=VALUE, such as rules.users.mode=off")?;
    let key = key(name.trim())?;
    let value = value.trim();
    let value = match key {
        _ if key.is_span() => Value::from(read_span(value)?.as_secs()),
        PolicyKey::Rule(_, RuleSetting::Patterns) => {
            let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::from(parts.collect::<Vec<_>>())
        }
        PolicyKey::EscalationFactor => {
            let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(Value::from).ok_or_else(|| format!("`{value}` is no number"))?
        }
        PolicyKey::Scope
        | PolicyKey::Rule(_, RuleSetting::Mode | RuleSetting::MinGrade | RuleSetting::Scope) => {
            Value::from(value)
        }
        _ => Value::from(
            value.parse::<u64>().map_err(|_| format!("`{value}` is not a whole number"))?,
        ),
    };
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_in_the_configuration_file() {
        let read = |text| assignment(text).map(|(key, value)| format!("{key} {value}"));
        for (text, expected) in [
            ("findtime=10m", "window_seconds 600"),
            ("escalation.factor=1.5", "escalation.factor 1.5"),
            ("escalation.max=30d", "escalation.max_seconds 2592000"),
            ("rules.users.mode = shadow", "rules.users.mode \"shadow\""),
            ("rules.slow.window=12h", "rules.slow.window_seconds 43200"),
            ("rules.slow.threshold=40", "rules.slow.threshold 40"),
            ("rules.user_agents.patterns=abc, def", r#"rules.user_agents.patterns ["abc","def"]"#),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected));
        }
        for wrong in ["rules.users.mode", "colour=red", "maxretry=many", "window=soon"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
