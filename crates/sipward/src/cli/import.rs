//! `sipward import`.

mod apply;
mod list;

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Subcommand;
use serde::Serialize;

use super::out;
use super::remote::{Exit, Remote, block_on};
use crate::fail2ban::{self, RawAddress, Sources, Takeover};
use apply::{Applied, apply};
use sipward_config::HostEntry;
use sipward_model::clock;
use sipward_model::text::Time;
use sipward_model::wire::RuleScope;

/// Import settings and bans of another program.
#[derive(Debug, clap::Args)]
pub(super) struct ImportCommand {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Read fail2ban's jails for SIP (ignoreip, maxretry, findtime, bantime and its increments, ports)
    /// and the bans in effect.
    ///
    /// Prints the result as a configuration file, with the bans in comments. Without --apply nothing is changed, and
    /// fail2ban's own files are never changed.
    Fail2ban(Fail2ban),
    /// Ban the addresses and networks of a list, or allow them.
    ///
    /// One in a line, with or without words behind it, or a table (CSV) of which the first column that holds an
    /// address counts. `#` begins a comment. Hosts that are registered or protected now are not banned, and named.
    List(list::List),
}

#[derive(Debug, clap::Args)]
struct Fail2ban {
    /// fail2ban's configuration.
    #[arg(long, value_name = "DIR", default_value = fail2ban::DEFAULT_DIRECTORY)]
    dir: PathBuf,
    /// fail2ban's database; without it, the one that fail2ban.conf names.
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// A jail to import; may be repeated. Default: all enabled jails that watch SIP.
    #[arg(long, value_name = "NAME")]
    jail: Vec<String>,
    /// Send the allow list, policy and bans to the running daemon, which stores them.
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    remote: Remote,
}

impl ImportCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.from {
            From::Fail2ban(command) => command.run(),
            From::List(command) => command.run(),
        }
    }
}

impl Fail2ban {
    fn run(&self) -> anyhow::Result<Exit> {
        let takeover = fail2ban::read(&Sources {
            directory: &self.dir,
            database: self.database.as_deref(),
            jails: &self.jail,
            now: clock::stamp(SystemTime::now()),
        })?;
        let applied = if self.apply {
            let socket = self.remote.socket()?;
            let progress = self.remote.progress("importing");
            Some(block_on(progress.around(apply(&socket, &takeover, &progress)))??)
        } else {
            None
        };
        if self.remote.wants_json() {
            out::json(&serde_json::to_string(&Document::new(&takeover, applied.as_ref()))?)?;
        } else if let Some(applied) = &applied {
            out::text(&applied.to_text())?;
        } else {
            out::text(&fail2ban::to_toml(&takeover))?;
        }
        let refused = applied.is_some_and(|applied| !applied.refused.is_empty());
        Ok(if refused { Exit::Refused } else { Exit::Done })
    }
}

/// The takeover as JSON.
#[derive(Serialize)]
struct Document<'a> {
    jails: Vec<&'a str>,
    max_failures: Option<u32>,
    window_seconds: Option<u64>,
    ban_time_seconds: Option<u64>,
    escalation_factor: Option<f64>,
    escalation_max_seconds: Option<u64>,
    /// For `rules.raw_address`; `null` where no jail counts that.
    raw_address: Option<RawAddress>,
    /// `host` or `sip`, by the ports of the first jail's action.
    scope: Option<RuleScope>,
    allow: &'a [HostEntry],
    bans: Vec<Ban<'a>>,
    notes: &'a [String],
    /// What became of it; `null` without `--apply`.
    applied: Option<&'a Applied>,
}

#[derive(Serialize)]
struct Ban<'a> {
    net: ipnet::IpNet,
    until: Option<Time>,
    jail: &'a str,
    /// `host` or `sip`; `null` where the jail's action is unknown.
    scope: Option<RuleScope>,
}

impl<'a> Document<'a> {
    fn new(takeover: &'a Takeover, applied: Option<&'a Applied>) -> Self {
        let ban = |ban: &'a fail2ban::StandingBan| Ban {
            net: ban.net,
            until: ban.until.map(Time),
            jail: &ban.jail,
            scope: ban.scope.map(|scope| Some(scope).into()),
        };
        Self {
            jails: takeover.jails.iter().map(|jail| jail.name.as_str()).collect(),
            max_failures: takeover.max_failures,
            window_seconds: takeover.window_seconds,
            ban_time_seconds: takeover.ban_time_seconds,
            escalation_factor: takeover.escalation_factor,
            escalation_max_seconds: takeover.escalation_max_seconds,
            raw_address: takeover.raw_address,
            scope: takeover.scope.map(|scope| Some(scope).into()),
            allow: &takeover.allow,
            bans: takeover.bans.iter().map(ban).collect(),
            notes: &takeover.notes,
            applied,
        }
    }
}
