//! `sipward allow`.

use std::time::{Duration, SystemTime};

use clap::Subcommand;
use hyper::Method;

use super::ban::degraded;
use super::out::{self, Column, Table};
use super::remote::{Exit, Remote, for_each};
use crate::client::segment;
use sipward_config::HostEntry;
use sipward_model::clock;
use sipward_model::text::{Time, read_end, read_span};
use sipward_model::wire::{AllowChanged, AllowOrigin, AllowPage, AllowQuery, MAX_LIMIT, NewAllow};

/// Show and change the allow list: hosts that no rule bans.
#[derive(Debug, clap::Args)]
pub(super) struct AllowCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the entries of the configuration file and those added at run time.
    List {
        /// Entries to show.
        #[arg(long, value_name = "COUNT", default_value_t = MAX_LIMIT, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_LIMIT)))]
        limit: u16,
        /// Continue after the page that ended with this `next`.
        #[arg(long, value_name = "NEXT")]
        cursor: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Never ban addresses, networks or DNS names again, and lift the bans that cover them.
    Add {
        /// The hosts: 192.0.2.7, 192.0.2.0/24, office.example.org. `sipward import list --allow` reads them from a file.
        #[arg(value_name = "HOST", required = true)]
        hosts: Vec<HostEntry>,
        /// A comment, shown in the list.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        end: End,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove an entry that was added at run time. Entries of the file can only be changed there.
    Remove {
        /// The hosts.
        #[arg(value_name = "HOST", required = true)]
        hosts: Vec<HostEntry>,
        #[command(flatten)]
        remote: Remote,
    },
}

impl AllowCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.action {
            Action::List { limit, cursor, remote } => {
                let query =
                    AllowQuery { origin: None, limit: Some(*limit), cursor: cursor.clone() };
                remote.run(
                    "reading the allow list",
                    async |client| client.get("/allow", &query).await,
                    listed,
                )
            }
            Action::Add { hosts, comment, end, remote } => for_each(hosts, |host| {
                let entry =
                    NewAllow { host: host.clone(), comment: comment.clone(), until: end.until() };
                remote.run(
                    "changing the allow list",
                    async |client| client.post("/allow", &entry).await,
                    |done| changed(done, "is never banned by a rule"),
                )
            }),
            Action::Remove { hosts, remote } => for_each(hosts, |host| {
                let path = format!("/allow/{}", segment(host));
                remote.run(
                    "changing the allow list",
                    async |client| client.send(Method::DELETE, &path).await,
                    |done| changed(done, "was removed from the allow list"),
                )
            }),
        }
    }
}

/// When an entry leaves the list by itself.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct End {
    /// For how long: 90s, 10m, 2h, 7d. Without it, for good.
    #[arg(long = "for", value_name = "SPAN", value_parser = read_span, conflicts_with = "until")]
    length: Option<Duration>,
    /// Until when: a day, over before its 00:00 UTC (2026-12-01), or a time (2026-12-01T18:00:00Z).
    #[arg(long, value_name = "WHEN", value_parser = read_end)]
    until: Option<Time>,
}

impl End {
    pub(super) fn until(&self) -> Option<Time> {
        let length = self.length.map(|length| Time(clock::stamp(SystemTime::now()) + length));
        length.or(self.until)
    }
}

fn listed(page: &AllowPage) -> String {
    if page.items.is_empty() {
        return "the allow list is empty\n".to_owned();
    }
    let mut table = Table::new([
        Column::kept("HOST"),
        Column::extra("FROM", 4),
        Column::extra("SINCE", 3),
        Column::kept("UNTIL"),
        Column::text("ADDRESSES", 2),
        Column::text("COMMENT", 1),
    ]);
    for entry in &page.items {
        let nets = match (&entry.host, entry.nets.as_slice()) {
            (HostEntry::Net(_), _) => String::new(),
            (HostEntry::Name(_), []) => "not resolved yet".to_owned(),
            (HostEntry::Name(_), nets) => {
                nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
        };
        table.row([
            entry.host.to_string(),
            match entry.origin {
                AllowOrigin::File => "file".to_owned(),
                AllowOrigin::Runtime => "run time".to_owned(),
            },
            entry.since.map_or("-".to_owned(), out::time),
            entry.until.map_or("-".to_owned(), out::time),
            nets,
            entry.comment.clone().unwrap_or_default(),
        ]);
    }
    let mut text = table.render(out::width());
    if let Some(next) = &page.next {
        let (shown, total) = (page.items.len(), page.total);
        out::add(&mut text, format_args!("{shown} of {total}; --cursor {next} continues\n"));
    }
    text
}

fn changed(done: &AllowChanged, what: &str) -> String {
    let ended = match done.count {
        0 => String::new(),
        count => format!("; {} lifted", out::count(count, "ban")),
    };
    let until = done.entry.until.map(|until| format!(" until {}", out::time(until)));
    let until = until.unwrap_or_default();
    format!("{} {what}{until}{ended}\n{}{}", done.entry.host, staying(done), degraded(&done.store))
}

/// Manual bans that take precedence over the entry, and the command that lifts them.
fn staying(done: &AllowChanged) -> String {
    /// Networks that are named.
    const NAMED: usize = 8;
    if done.staying_total == 0 {
        return String::new();
    }
    let named: Vec<String> = done.staying.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match done.staying_total.saturating_sub(named.len() as u64) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let lift = match done.entry.nets[..] {
        [net] => format!("`sipward unban {net}`"),
        _ => "`sipward unban` with the network".to_owned(),
    };
    let (remain, them) =
        if done.staying_total == 1 { ("remains", "it") } else { ("remain", "them") };
    format!(
        "but {} made manually {remain}: {}{more}; {lift} lifts {them}\n",
        out::count(done.staying_total, "ban"),
        named.join(", ")
    )
}
