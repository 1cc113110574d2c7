//! `sipward fleet`: the nodes that share their bans.

mod operator;

use std::path::PathBuf;

use clap::Subcommand;

use super::out::{self, Column, Table};
use super::remote::{Exit, Remote};
use crate::client::{NoQuery, segment};
pub(super) use operator::Operator;
use operator::Trust;
use sipward_model::text::{Plain, Thousands, count};
use sipward_model::wire::{Fleet, FleetNode, FleetWhy, Net, NodeStanding};

/// Nodes that share their bans
#[derive(Debug, clap::Args)]
pub(super) struct FleetCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the link to the other nodes, and what each of them says
    Status {
        #[command(flatten)]
        remote: Remote,
    },
    /// Show what the nodes say of an address or a network, and what became of it here
    Why {
        /// The address or network.
        #[arg(value_name = "ADDR|CIDR")]
        net: Net,
        #[command(flatten)]
        remote: Remote,
    },
    /// Set how far all nodes trust a node; needs an operator's credential
    ///
    /// Without a further option the node is ignored: bans that others made because of it are lifted, and its later
    /// messages are dropped.
    Distrust {
        /// The node, as `SITE.NAME`.
        #[arg(value_name = "NODE")]
        node: String,
        /// Only list its bans and make none; its exemptions and known phones still protect.
        #[arg(long, conflicts_with = "accept")]
        shadow: bool,
        /// Trust it again.
        #[arg(long)]
        accept: bool,
        /// How much its bans count towards `fleet.quorum`, 0 to 16.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=16))]
        weight: u32,
        /// Configuration file with the servers of `[fleet]`; without it, /etc/sipward/sipward.toml.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        operator: Operator,
    },
    /// Make the streams on the NATS servers; needs an operator's credential
    ///
    /// Doing it again changes nothing: it names what differs from what it would make.
    Init {
        /// Servers that keep a copy: 1, 3 or 5.
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
        replicas: u8,
        /// Most room of the stream of bans, and of that of known phones, in MiB.
        #[arg(long, value_name = "MIB", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
        max_mib: u32,
        /// Configuration file with the servers of `[fleet]`; without it, /etc/sipward/sipward.toml.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        operator: Operator,
    },
}

impl FleetCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.what {
            What::Status { remote } => remote.run(
                "reading the fleet",
                async |client| client.get("/fleet", &NoQuery {}).await,
                |fleet| status(fleet, out::width()),
            ),
            What::Why { net, remote } => {
                let path = format!("/fleet/{}", segment(net.0.to_string()));
                remote.run(
                    "asking the daemon",
                    async |client| client.get(&path, &NoQuery {}).await,
                    |why| explained(why, out::width()),
                )
            }
            What::Distrust { node, shadow, accept, weight, config, operator } => {
                let trust = match (shadow, accept) {
                    (true, _) => Trust::Shadow,
                    (_, true) => Trust::Accept,
                    _ => Trust::Ignore,
                };
                operator.judge(config.as_deref(), node, (trust, *weight))
            }
            What::Init { replicas, max_mib, config, operator } => {
                operator.init(config.as_deref(), (*replicas, *max_mib))
            }
        }
    }
}

fn status(fleet: &Fleet, width: Option<usize>) -> String {
    if !fleet.enabled {
        return "no fleet: [fleet] names no servers\n".to_owned();
    }
    let (link, counts) = (&fleet.link, &fleet.counts);
    let node = fleet.node.as_deref().unwrap_or_default();
    let mut text = match (&link.error, link.connected) {
        (_, true) => format!("{node} is connected"),
        (Some(error), false) => format!("{node} is NOT connected: {}", Plain(error)),
        (None, false) => format!("{node} connects"),
    };
    if link.connected {
        let behind = match (link.stream, link.behind) {
            (true, 0) => "has read all messages".to_owned(),
            (true, behind) => format!("has {} to read", count(behind, "message")),
            (false, _) => "does NOT follow the stream: it hears new bans only".to_owned(),
        };
        out::add(&mut text, format_args!(", {behind}"));
    }
    if link.unacknowledged > 0 {
        let waiting = count(link.unacknowledged, "message");
        out::add(&mut text, format_args!("; {waiting} not acknowledged"));
    }
    out::add(
        &mut text,
        format_args!(
            "\nbans: {} own for all nodes, {} of others in force here\n",
            Thousands(counts.published),
            Thousands(counts.taken)
        ),
    );
    if counts.refused.values().any(|refused| *refused > 0) {
        let refused = counts.refused.iter().filter(|(_, count)| **count > 0);
        let parts: Vec<String> =
            refused.map(|(why, count)| format!("{} {}", why.replace('_', " "), count)).collect();
        out::add(&mut text, format_args!("refused since the start: {}\n", parts.join(", ")));
    }
    text = out::hang(&text, 0, width);
    if fleet.nodes.is_empty() {
        return text;
    }
    let mut table = Table::new([
        Column::kept("NODE"),
        Column::kept("TRUST"),
        Column::extra("SEEN", 3),
        Column::extra("MODE", 4),
        Column::kept("BANS").numbers(),
        Column::extra("TAKEN", 1).numbers(),
        Column::extra("REFUSED", 2).numbers(),
        Column::extra("BEHIND", 5).numbers(),
        Column::extra("CLOCK", 5).numbers(),
        Column::extra("VERSION", 6),
    ]);
    for node in &fleet.nodes {
        table.row(row(node));
    }
    out::add(&mut text, format_args!("\n{}", table.render(width)));
    for node in &fleet.nodes {
        if let Some(because) = &node.because {
            out::add(&mut text, format_args!("{}: {}\n", node.node, Plain(because)));
        }
    }
    text
}

fn explained(why: &FleetWhy, width: Option<usize>) -> String {
    let mut text = format!("{}\n", Plain(&why.verdict));
    if let Some(lift) = &why.lift {
        let reason = Plain(&lift.reason);
        out::add(&mut text, format_args!("lifted until {}: {reason}\n", out::time(lift.until)));
    }
    text = out::hang(&text, 0, width);
    if why.assertions.is_empty() {
        return text;
    }
    let mut table = Table::new([
        Column::kept("NODE"),
        Column::kept("NETWORK"),
        Column::kept("HERE"),
        Column::extra("UNTIL", 2),
        Column::text("WHY", 1),
    ]);
    for said in &why.assertions {
        let parts = [
            said.rule.as_ref().map(|rule| rule.replace('_', " ")),
            (said.failures > 0).then(|| count(said.failures.into(), "failure")),
            said.grade.clone(),
            (!said.why.is_empty()).then(|| said.why.clone()),
        ];
        table.row([
            said.node.clone(),
            said.net.to_string(),
            said.outcome.replace('_', " "),
            out::time(said.until),
            parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        ]);
    }
    out::add(&mut text, format_args!("\n{}", table.render(width)));
    text
}

fn row(node: &FleetNode) -> [String; 10] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let trust = match node.standing {
        NodeStanding::Accept if node.own => "this node",
        NodeStanding::Accept => "accepted",
        NodeStanding::Shadow => "shadowed",
        NodeStanding::Ignore => "ignored",
    };
    [
        node.node.clone(),
        trust.to_owned(),
        or_dash(node.seen.map(out::time)),
        or_dash(node.mode.clone()),
        Thousands(node.bans).to_string(),
        Thousands(node.taken).to_string(),
        Thousands(node.refused).to_string(),
        or_dash(node.behind.map(|behind| Thousands(behind).to_string())),
        or_dash(node.clock_ahead_seconds.map(|ahead| format!("{ahead:+.1}s"))),
        or_dash(node.version.clone()),
    ]
}
