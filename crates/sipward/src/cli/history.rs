//! `sipward history`.

use clap::ValueEnum;

use super::moment::Moment;
use super::out::{self, Column, Table, Tone};
use super::remote::{Exit, Remote};
use super::words;
use crate::client::ClientError;
use sipward_model::wire::{
    BanScope, HistoryEntry, HistoryKind, HistoryPage, HistoryQuery, MAX_LIMIT, Net,
};

/// Show past decisions: bans, unbans and refusals, newest first.
#[derive(Debug, clap::Args)]
pub(super) struct HistoryCommand {
    /// Only decisions about this address or network, networks inside it and networks that cover it.
    #[arg(value_name = "ADDR|CIDR")]
    net: Option<Net>,
    /// Only decisions of this kind.
    #[arg(long)]
    event: Option<EventWord>,
    /// Not before this time: 1h, yesterday, 2026-11-29, 2026-11-29T10:00 (local time; with --utc UTC).
    #[arg(long, visible_alias = "from", value_name = "WHEN")]
    since: Option<Moment>,
    /// Not after this time.
    #[arg(long, visible_alias = "to", value_name = "WHEN")]
    until: Option<Moment>,
    /// Decisions to show.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_LIMIT)))]
    limit: u16,
    /// Continue after the page that ended with this `next`.
    #[arg(long, value_name = "NEXT")]
    cursor: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// The kind of a decision.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum EventWord {
    /// A ban.
    Ban,
    /// A ban ended.
    Unban,
    /// A ban was refused.
    Refused,
    /// A flow was denied.
    FlowDenied,
    /// A flow was allowed again.
    FlowAllowed,
}

impl HistoryCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let query = self.query()?;
        self.remote.run(
            "reading the history",
            async |client| client.get("/history", &query).await,
            text,
        )
    }

    fn query(&self) -> Result<HistoryQuery, ClientError> {
        Ok(HistoryQuery {
            net: self.net,
            event: self.event.map(|event| match event {
                EventWord::Ban => HistoryKind::Ban,
                EventWord::Unban => HistoryKind::Unban,
                EventWord::Refused => HistoryKind::Refused,
                EventWord::FlowDenied => HistoryKind::FlowDenied,
                EventWord::FlowAllowed => HistoryKind::FlowAllowed,
            }),
            from: self.since.map(|since| since.past("since")).transpose()?,
            to: self.until.map(|until| until.time("until")).transpose()?,
            country: None,
            as_number: None,
            limit: Some(self.limit),
            cursor: self.cursor.clone(),
        })
    }
}

fn text(page: &HistoryPage) -> String {
    if page.items.is_empty() {
        return "no decisions\n".to_owned();
    }
    let mut text = table(&page.items, out::width());
    if let Some(next) = &page.next {
        out::add(&mut text, format_args!("there are more; --cursor {next} continues\n"));
    }
    text
}

/// Decisions as a table that fits the terminal.
pub(super) fn table(entries: &[HistoryEntry], width: Option<usize>) -> String {
    let mut table = Table::new([
        Column::kept("TIME"),
        Column::kept("WHAT").toned(|what| (what == "refused").then_some(Tone::Warning)),
        Column::kept("NETWORK"),
        Column::text("WHY", 1),
    ]);
    for entry in entries {
        table.row([
            out::time(entry.time),
            words::word(&entry.event),
            entry.net.to_string(),
            reason(entry),
        ]);
    }
    table.render(width)
}

fn reason(entry: &HistoryEntry) -> String {
    let mut parts = Vec::new();
    parts.extend(entry.flow.map(|flow| flow.to_string()));
    if entry.scope == Some(BanScope::Sip) {
        parts.push("SIP ports only".to_owned());
    }
    if let Some(reason) = &entry.reason {
        parts.push(reason.replace('_', " "));
    }
    if let Some(refusal) = &entry.refusal {
        let class = refusal.class.map(|class| format!(" ({})", words::word(&class)));
        let reason = refusal.reason.replace('_', " ");
        parts.push(format!("{reason}{}", class.unwrap_or_default()));
    }
    if let Some(cause) = &entry.cause {
        parts.push(words::cause(cause));
    }
    if let Some(until) = &entry.until {
        parts.push(format!("until {}", out::time(*until)));
    } else if entry.event == HistoryKind::Ban {
        parts.push("permanent".to_owned());
    }
    parts.join("; ")
}
