//! `sipward policy`.

use std::time::Duration;

use clap::Subcommand;
use hyper::Method;

use super::ban::degraded;
use super::out::{self, Table};
use super::remote::{Exit, Remote};
use crate::api::model::{PolicyChange, PolicyKey, PolicyOrigin, PolicyValue, PolicyView};
use crate::client::{NoQuery, segment};
use crate::text::read_span;

/// The policy in force.
#[derive(Debug, clap::Args)]
pub(super) struct PolicyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show every value and where it comes from.
    Show {
        #[command(flatten)]
        remote: Remote,
    },
    /// Change values while the daemon runs. They stand over the configuration file until they are reset.
    #[command(group(clap::ArgGroup::new("values").required(true).multiple(true)))]
    Set {
        /// Failures within the window that ban.
        #[arg(long, alias = "maxretry", value_name = "COUNT", group = "values")]
        max_failures: Option<u32>,
        /// Length of the window: 90s, 10m, 2h.
        #[arg(long, alias = "findtime", value_name = "SPAN", value_parser = read_span, group = "values")]
        window: Option<Duration>,
        /// Length of a first ban: 10m, 2h, 7d.
        #[arg(long, alias = "bantime", value_name = "SPAN", value_parser = read_span, group = "values")]
        ban_time: Option<Duration>,
        /// Only until the daemon ends.
        #[arg(long)]
        until_restart: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take a change back: the configuration file holds again.
    Reset {
        /// What to reset.
        #[arg(value_name = "KEY", value_parser = key)]
        key: PolicyKey,
        #[command(flatten)]
        remote: Remote,
    },
}

impl PolicyCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.action {
            Action::Show { remote } => remote.run(
                "asking the daemon",
                async |client| client.get("/policy", &NoQuery {}).await,
                |view: &PolicyView| table(view.values.iter()),
            ),
            Action::Set { max_failures, window, ban_time, until_restart, remote } => {
                let change = PolicyChange {
                    max_failures: *max_failures,
                    window_seconds: window.map(|window| window.as_secs()),
                    ban_time_seconds: ban_time.map(|ban_time| ban_time.as_secs()),
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
        }
    }
}

/// The values that can be changed, as they are now.
fn changed(view: &PolicyView) -> String {
    let changeable = |value: &&PolicyValue| value.key.parse::<PolicyKey>().is_ok();
    let mut text = table(view.values.iter().filter(changeable));
    text.push_str(&degraded(&view.store));
    text
}

fn table<'a>(values: impl Iterator<Item = &'a PolicyValue>) -> String {
    let mut table = Table::new(["KEY", "FROM", "VALUE"]);
    for value in values {
        let origin = match value.origin {
            PolicyOrigin::Default => "default",
            PolicyOrigin::File => "file",
            PolicyOrigin::Stored => "run time, stored",
            PolicyOrigin::Runtime => "run time, until the daemon ends",
        };
        let instead = value.overridden.as_ref().map(|value| format!(" (else {value})"));
        let shown = match &value.value {
            serde_json::Value::String(word) => word.clone(),
            other => other.to_string(),
        };
        table.row([value.key.clone(), format!("{origin}{}", instead.unwrap_or_default()), shown]);
    }
    table.render(out::width())
}

/// Also by the names of the file and of fail2ban.
fn key(text: &str) -> Result<PolicyKey, String> {
    match text {
        "max_failures" | "maxretry" => Ok(PolicyKey::MaxFailures),
        "window" | "window_seconds" | "findtime" => Ok(PolicyKey::WindowSeconds),
        "ban_time" | "ban_time_seconds" | "bantime" => Ok(PolicyKey::BanTimeSeconds),
        _ => Err("write max_failures, window or ban_time".to_owned()),
    }
}
