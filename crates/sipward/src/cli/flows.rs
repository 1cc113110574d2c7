//! `sipward flows`: the flows that are denied, and how one is allowed again.

use hyper::Method;
use sipward_engine::Flow;

use super::bans::{state, tone};
use super::out::{self, Column, Table};
use super::remote::{Exit, Remote};
use super::words;
use crate::client::segment;
use sipward_model::wire::{DeniedFlow, FlowAllowed, FlowPage, FlowQuery, Net};

/// List the denied flows, or allow one again
///
/// A flow is one port of one address. If other phones share an address (a NAT, a known phone, a second line), only
/// the flow that guesses passwords is denied, to the SIP ports and for ten minutes. The others are not affected.
#[derive(Debug, clap::Args)]
pub(super) struct FlowsCommand {
    /// Only flows of this address or network.
    #[arg(value_name = "ADDR|CIDR", conflicts_with = "allow")]
    net: Option<Net>,
    /// Most flows to show, 1 to 1000.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Continue after the page that ended with this `next`.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Allow this flow again, written as in the list: '203.0.113.7 udp 41234'.
    #[arg(long, value_name = "FLOW")]
    allow: Option<Flow>,
    #[command(flatten)]
    remote: Remote,
}

impl FlowsCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        if let Some(flow) = self.allow {
            let path = format!("/flows/{}", segment(flow.to_string()));
            return self.remote.run(
                "allowing the flow",
                async |client| client.send::<FlowAllowed>(Method::DELETE, &path).await,
                |done| format!("{} is allowed\n", done.flow),
            );
        }
        let query =
            FlowQuery { inside: self.net, limit: Some(self.limit), cursor: self.cursor.clone() };
        self.remote.run(
            "reading the flows",
            async |client| client.get("/flows", &query).await,
            text,
        )
    }
}

fn text(page: &FlowPage) -> String {
    if page.items.is_empty() {
        return "no denied flows\n".to_owned();
    }
    let mut text = table(&page.items, out::width());
    if let Some(next) = &page.next {
        let (shown, total) = (page.items.len(), page.total);
        out::add(&mut text, format_args!("{shown} of {total}; --cursor '{next}' continues\n"));
    }
    text
}

/// Flows as a table that fits the terminal.
pub(super) fn table(flows: &[DeniedFlow], width: Option<usize>) -> String {
    let mut table = Table::new([
        Column::kept("FLOW"),
        Column::extra("LEFT", 2),
        Column::kept("STATE").toned(tone),
        Column::text("WHY", 1),
    ]);
    for denied in flows {
        table.row([
            denied.flow.to_string(),
            words::left(denied.remaining_seconds),
            state(denied.state).to_owned(),
            words::cause(&denied.cause),
        ]);
    }
    table.render(width)
}
