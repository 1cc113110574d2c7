//! `sipward import list`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde::Serialize;

use super::apply::{Applied, allow, send_bans};
use crate::cli::ban::ScopeWord;
use crate::cli::out;
use crate::cli::progress::Progress;
use crate::cli::remote::{Exit, Remote, block_on};
use crate::cli::ssh;
use crate::client::{Client, ClientError};
use sipward_config::HostEntry;
use sipward_model::clock;
use sipward_model::text::{Plain, Time, read_span};
use sipward_model::wire::{Net, NewAllow, NewBan};

/// Longest list that is read, in bytes: half a million rows of a table.
const MAX_LIST: u64 = 64 * 1024 * 1024;

/// Entries taken at most: as many bans as the policy holds by default.
const MAX_ENTRIES: usize = 500_000;

/// Lines without an address that are named.
const MAX_NAMED: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The list; `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// For how long: 90s, 10m, 2h, 7d. Without it, the policy's `ban_time`, or for good on the allow list.
    #[arg(long = "for", value_name = "SPAN", value_parser = read_span, conflicts_with = "permanent")]
    length: Option<Duration>,
    /// Permanent: no end.
    #[arg(long, conflicts_with = "allow")]
    permanent: bool,
    /// Why, for anyone who reads it later.
    #[arg(long, value_name = "TEXT", conflicts_with = "allow")]
    reason: Option<String>,
    /// What the bans stop; without it, the policy's `scope`.
    #[arg(long, value_enum, value_name = "SCOPE", conflicts_with = "allow")]
    scope: Option<ScopeWord>,
    /// Put them on the allow list instead; DNS names may be among them.
    #[arg(long)]
    allow: bool,
    /// A comment for each entry of the allow list.
    #[arg(long, value_name = "TEXT", requires = "allow")]
    comment: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// The outcome as JSON.
#[derive(Serialize)]
struct Document<'a> {
    entries: usize,
    lines_without_address: u64,
    #[serde(flatten)]
    applied: &'a Applied,
}

impl List {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let found = if self.file == Path::new("-") {
            read(std::io::stdin().lock(), self.allow)
        } else {
            File::open(&self.file).and_then(|file| read(BufReader::new(file), self.allow))
        };
        let name = self.file.display();
        let found = found.with_context(|| format!("cannot read {name}"))?;
        for (number, line) in &found.named {
            eprintln!("sipward: {name}:{number}: no address or network: {}", Plain(line));
        }
        let more = found.without.saturating_sub(found.named.len() as u64);
        if more > 0 {
            eprintln!(
                "sipward: {name}: {} more without an address or network",
                out::count(more, "line")
            );
        }
        anyhow::ensure!(
            !found.hosts.is_empty(),
            "{name} holds no address or network; write one in each line, or a table with a column of them"
        );
        let socket = self.remote.socket()?;
        let progress = self.remote.progress("importing the list");
        let applied = block_on(progress.around(self.send(&socket, &found.hosts, &progress)))??;
        let entries = found.hosts.len();
        if self.remote.wants_json() {
            let document =
                Document { entries, lines_without_address: found.without, applied: &applied };
            out::json(&serde_json::to_string(&document)?)?;
        } else {
            let (done, what) =
                if self.allow { (applied.allow, "allowed") } else { (applied.bans, "banned") };
            out::text(&format!("{what}: {done} of {entries}\n{}", applied.exceptions()))?;
        }
        Ok(if applied.refused.is_empty() { Exit::Done } else { Exit::Refused })
    }

    async fn send(
        &self,
        socket: &Path,
        hosts: &BTreeSet<HostEntry>,
        progress: &Progress,
    ) -> Result<Applied, ClientError> {
        let mut applied = Applied::default();
        if self.allow {
            let mut client = Client::connect(socket).await?;
            let until = self.length.map(|length| Time(clock::stamp(SystemTime::now()) + length));
            let entry = |host: &HostEntry| NewAllow {
                host: host.clone(),
                comment: self.comment.clone(),
                until,
            };
            allow(&mut client, hosts.iter().map(entry), &mut applied).await?;
            return Ok(applied);
        }
        let spare = ssh::clients();
        let nets = hosts.iter().filter_map(|host| match host {
            HostEntry::Net(net) => Some(*net),
            HostEntry::Name(_) => None,
        });
        let order = |net| NewBan {
            net: Net(net),
            ban_time_seconds: self.length.map(|length| length.as_secs()),
            permanent: self.permanent,
            scope: self.scope.map(ScopeWord::scope),
            reason: self.reason.clone(),
            force: false,
            spare: spare.clone(),
        };
        send_bans(socket, nets.map(order).collect(), &mut applied, progress).await?;
        Ok(applied)
    }
}

/// What a list holds.
#[derive(Debug, Default)]
struct Found {
    hosts: BTreeSet<HostEntry>,
    /// Lines that hold something, but no address.
    without: u64,
    /// The first of them, with their numbers.
    named: Vec<(u64, String)>,
}

/// Reads a list. With `names`, a line that is one DNS name counts too.
fn read(input: impl BufRead, names: bool) -> std::io::Result<Found> {
    let mut found = Found::default();
    let mut input = input.take(MAX_LIST + 1);
    let mut line = Vec::new();
    let mut number = 0;
    let mut is_first = true;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        if input.limit() == 0 {
            return Err(std::io::Error::other(format!(
                "it has more than {MAX_LIST} bytes; split it"
            )));
        }
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let text = without_comment(text.trim_start_matches('\u{feff}'));
        if text.is_empty() {
            continue;
        }
        let cells = cells(text);
        let is_table = cells.len() > 1;
        let hosts = hosts(&cells, names && !is_table);
        // The heading of a table.
        let is_heading = std::mem::replace(&mut is_first, false) && is_table;
        if hosts.is_empty() && !is_heading {
            found.without += 1;
            if found.named.len() < MAX_NAMED {
                found.named.push((number, text.chars().take(80).collect()));
            }
        }
        found.hosts.extend(hosts);
        if found.hosts.len() > MAX_ENTRIES {
            return Err(std::io::Error::other(format!(
                "it has more than {MAX_ENTRIES} entries; split it"
            )));
        }
    }
}

fn without_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with(['#', ';']) || line.starts_with("//") {
        return "";
    }
    line.split_once(" #")
        .or_else(|| line.split_once("\t#"))
        .map_or(line, |(before, _)| before)
        .trim()
}

/// The cells of a row, cut at commas, semicolons, tabs and bars outside quotes.
fn cells(line: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let is_end = |c: char| {
        is_quoted ^= c == '"';
        !is_quoted && matches!(c, ',' | ';' | '\t' | '|')
    };
    line.split(is_end).map(|cell| cell.trim().trim_matches(['"', '\''])).collect()
}

/// The addresses of the first cell that holds one.
fn hosts(cells: &[&str], names: bool) -> Vec<HostEntry> {
    let read = |word: &str| word.parse().ok().filter(|host| matches!(host, HostEntry::Net(_)));
    let in_cell =
        |cell: &&str| -> Vec<HostEntry> { cell.split_whitespace().filter_map(read).collect() };
    let nets = cells.iter().map(in_cell).find(|nets| !nets.is_empty());
    nets.unwrap_or_else(|| match cells {
        [name] if names => name.parse().into_iter().collect(),
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str, names: bool) -> (Vec<String>, u64) {
        let found = read(text.as_bytes(), names).unwrap();
        (found.hosts.iter().map(ToString::to_string).collect(), found.without)
    }

    #[test]
    fn addresses_and_networks_are_read_line_by_line() {
        let text = "\u{feff}# a list\n203.0.113.7\r\n203.0.113.0/28 # an office\n\n; old\n2001:db8::1 words behind it\n\
                    203.0.113.9 203.0.113.10\n203.0.113.7\nnonsense\n999.1.1.1\n";
        let nets = [
            "203.0.113.0/28",
            "203.0.113.7/32",
            "203.0.113.9/32",
            "203.0.113.10/32",
            "2001:db8::1/128",
        ];
        let (mut hosts, without) = found(text, false);
        hosts.sort();
        let mut nets = nets.map(str::to_owned);
        nets.sort();
        assert_eq!((hosts, without), (nets.to_vec(), 2));
    }

    #[test]
    fn the_first_column_with_an_address_counts() {
        for text in [
            "hostname,timestamp,ip,user_agent\npbx,2026-11-22,203.0.113.7,\"friendly, 192.0.2.1\"\n",
            "\"net\";\"reason\"\n\"203.0.113.7\";\"192.0.2.1\"\n",
            " ip_address  | log_status \n 203.0.113.7 | blocked\n",
            "203.0.113.7\tguesses\t192.0.2.1\n",
        ] {
            assert_eq!(found(text, false), (vec!["203.0.113.7/32".to_owned()], 0), "{text}");
        }
    }

    #[test]
    fn names_are_only_for_the_allow_list() {
        assert_eq!(found("office.example.org\n", true).0, ["office.example.org"]);
        assert_eq!(found("office.example.org\n", false), (Vec::new(), 1));
    }

    #[test]
    fn a_list_that_is_too_long_is_refused() {
        let input = BufReader::new(std::io::repeat(b' '));
        let error = read(input, false).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(bytes.as_slice(), true);
        }
    }
}
