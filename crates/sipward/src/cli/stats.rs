//! `sipward stats`.

use super::moment::Moment;
use super::out::{self, Column, Table};
use super::remote::{Exit, Remote};
use crate::client::ClientError;
use sipward_model::text::{Thousands, plural};
use sipward_model::wire::{Stats, StatsQuery};

/// Show how many bans there were: by rule, by country, by day
///
/// Counts the decisions of the stored history, with pieces of split bans left out. Countries need a file in `[geo]`.
#[derive(Debug, clap::Args)]
pub(super) struct StatsCommand {
    /// Not before this time: 1h, yesterday, 2026-11-29, 2026-11-29T10:00; at most 366 days ago.
    #[arg(long, value_name = "WHEN", default_value = "30d")]
    since: Moment,
    /// Not after this time.
    #[arg(long, value_name = "WHEN", default_value = "now")]
    until: Moment,
    #[command(flatten)]
    remote: Remote,
}

impl StatsCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let query = self.query()?;
        self.remote.run(
            "counting",
            async |client| client.get("/stats", &query).await,
            |stats| text(stats, out::width()),
        )
    }

    fn query(&self) -> Result<StatsQuery, ClientError> {
        let (from, to) = (Some(self.since.past("since")?), Some(self.until.time("until")?));
        let ahead = out::zone().to_offset(jiff::Timestamp::now()).seconds() / 60;
        Ok(StatsQuery { from, to, utc_offset_minutes: i16::try_from(ahead).ok() })
    }
}

fn text(stats: &Stats, width: Option<usize>) -> String {
    let total = &stats.total;
    let mut text = format!(
        "{} made, {} ended, {} refused, {} denied from {} to {}\n",
        counted(total.bans, "ban"),
        number(total.unbans),
        number(total.refused),
        counted(total.flows_denied, "flow"),
        out::time(stats.from),
        out::time(stats.to)
    );
    match stats.oldest {
        None => text.push_str("the history is empty\n"),
        Some(oldest) if oldest > stats.from => {
            let oldest = out::time(oldest);
            out::add(&mut text, format_args!("the stored history begins at {oldest}\n"));
        }
        Some(_) => {}
    }
    text = out::hang(&text, 0, width);
    if !stats.rules.is_empty() {
        let mut table = Table::new([
            Column::kept("RULE"),
            Column::kept("BANS").numbers(),
            Column::extra("REFUSED", 2).numbers(),
            Column::extra("FLOWS DENIED", 1).numbers(),
        ]);
        for rule in &stats.rules {
            table.row([
                rule.rule.replace('_', " "),
                number(rule.bans),
                number(rule.refused),
                number(rule.flows_denied),
            ]);
        }
        out::add(&mut text, format_args!("\n{}", table.render(width)));
    }
    if let Some(countries) = stats.countries.as_deref().filter(|countries| !countries.is_empty()) {
        let mut table = Table::new([
            Column::kept("COUNTRY"),
            Column::kept("BANS").numbers(),
            Column::extra("NETWORKS", 1).numbers(),
        ]);
        for country in countries {
            let name = country.country.clone().unwrap_or_else(|| "unknown".to_owned());
            table.row([name, number(country.bans), number(country.networks)]);
        }
        out::add(&mut text, format_args!("\n{}", table.render(width)));
    }
    if !stats.days.is_empty() {
        let mut table = Table::new([
            Column::kept("DAY"),
            Column::kept("BANS").numbers(),
            Column::extra("ENDED", 3).numbers(),
            Column::extra("REFUSED", 2).numbers(),
            Column::extra("FLOWS DENIED", 1).numbers(),
        ]);
        for day in &stats.days {
            let counts = &day.decisions;
            table.row([
                day.day.clone(),
                number(counts.bans),
                number(counts.unbans),
                number(counts.refused),
                number(counts.flows_denied),
            ]);
        }
        out::add(&mut text, format_args!("\n{}", table.render(width)));
    }
    text
}

fn number(count: u64) -> String {
    Thousands(count).to_string()
}

fn counted(count: u64, noun: &str) -> String {
    format!("{} {}", Thousands(count), plural(count, noun))
}
