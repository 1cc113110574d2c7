//! `sipward allow`.

use clap::Subcommand;
use hyper::Method;

use super::ban::degraded;
use super::out::{self, Table};
use super::remote::{Exit, Remote};
use crate::client::segment;
use sipward_config::HostEntry;
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
    /// Never ban an address, a network or a DNS name again, and lift the bans that cover it.
    Add {
        /// The host: 192.0.2.7, 192.0.2.0/24, office.example.org.
        #[arg(value_name = "HOST")]
        host: HostEntry,
        /// A comment, shown in the list.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove an entry that was added at run time. Entries of the file can only be changed there.
    Remove {
        /// The host.
        #[arg(value_name = "HOST")]
        host: HostEntry,
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
            Action::Add { host, comment, remote } => {
                let entry = NewAllow { host: host.clone(), comment: comment.clone() };
                remote.run(
                    "changing the allow list",
                    async |client| client.post("/allow", &entry).await,
                    |done| changed(done, "is never banned by a rule"),
                )
            }
            Action::Remove { host, remote } => {
                let path = format!("/allow/{}", segment(host));
                remote.run(
                    "changing the allow list",
                    async |client| client.send(Method::DELETE, &path).await,
                    |done| changed(done, "was removed from the allow list"),
                )
            }
        }
    }
}

fn listed(page: &AllowPage) -> String {
    if page.items.is_empty() {
        return "the allow list is empty\n".to_owned();
    }
    let mut table = Table::new(["HOST", "FROM", "SINCE", "ADDRESSES", "COMMENT"]);
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
            entry.since.map_or("-".to_owned(), |since| since.to_string()),
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
    format!("{} {what}{ended}\n{}{}", done.entry.host, staying(done), degraded(&done.store))
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
