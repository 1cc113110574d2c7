//! `sipward why`.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::IpAddr;

use super::ban::is_observing;
use super::bans;
use super::flows;
use super::history;
use super::out::{self, Column, Table, Tone};
use super::remote::{Exit, Remote};
use super::words::word;
use crate::client::{Answer, Client, ClientError, NoQuery, segment};
use sipward_model::text::{Plain, Span};
use sipward_model::wire::{Location, RouteState, SourceReport};

/// Width of the names in front of the values.
const NAME: usize = 13;

/// Failures and decisions shown of each source.
const SHOWN: usize = 20;

/// Show why an address is banned or not.
#[derive(Debug, clap::Args)]
pub(super) struct WhyCommand {
    /// The address.
    #[arg(value_name = "ADDR")]
    address: IpAddr,
    #[command(flatten)]
    remote: Remote,
}

impl WhyCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let in_observe = Cell::new(false);
        self.remote.run(
            "asking the daemon",
            async |client| {
                let (report, observed) = report(client, self.address).await?;
                in_observe.set(observed);
                Ok(report)
            },
            |report| text(report, in_observe.get(), out::width()),
        )
    }
}

/// The report, and whether nothing reaches the kernel by intent.
pub(super) async fn report(
    client: &mut Client,
    address: IpAddr,
) -> Result<(Answer<SourceReport>, bool), ClientError> {
    let path = format!("/sources/{}", segment(address));
    let report = client.get::<SourceReport>(&path, &NoQuery {}).await?;
    let is_other = report.value.kernel.state == RouteState::Other;
    let observes = !report.value.bans.is_empty() && is_other && is_observing(client).await;
    Ok((report, observes))
}

/// For a terminal of `width` columns. `observes` when nothing reaches the kernel by intent.
pub(super) fn text(report: &SourceReport, observes: bool, width: Option<usize>) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write(report, observes, width, &mut text);
    out::hang(&text, NAME, width)
}

fn write(
    report: &SourceReport,
    observes: bool,
    width: Option<usize>,
    out: &mut String,
) -> std::fmt::Result {
    let banned = match report.bans.as_slice() {
        [] => "is not banned".to_owned(),
        _ => format!("is {}", out::paint("BANNED", Tone::Bad)),
    };
    writeln!(
        out,
        "{} {banned}; it counts as {}, {}",
        report.address,
        report.net,
        word(&report.identity)
    )?;
    writeln!(out, "{}", Plain(&report.verdict))?;
    if !report.bans.is_empty() {
        write!(out, "\n{}", bans::table(&report.bans, width))?;
    }
    if !report.flows.is_empty() {
        write!(out, "\n{}", flows::table(&report.flows, width))?;
    }
    if let Some(until) = &report.distrusted_until {
        writeln!(
            out,
            "distrusted: it lost many flows; its new flows are treated like a stranger's until \
            {}",
            out::time(*until)
        )?;
    }
    for exempt in &report.exempt {
        writeln!(out, "exempt by {}: {}", word(&exempt.class), exempt.net)?;
    }
    if let Some(slowed) = &report.slowed {
        let rate = slowed.packets_per_second;
        let rate = rate.map_or_else(String::new, |rate| format!("; it sends {rate:.1}"));
        let (rule, until) = (word(&slowed.rule), out::time(slowed.until));
        let net = slowed.net;
        let is_wide = net.prefix_len() < net.max_prefix_len();
        let network = if is_wide { format!(" with all of {net}") } else { String::new() };
        writeln!(out, "limited to 1 packet/s{network} by rule {rule} until {until}{rate}")?;
    }
    writeln!(
        out,
        "\nFailures     {} within {}, score {:.2} of {}{}",
        report.failures,
        Span(report.window_seconds),
        report.score,
        report.max_failures,
        report.grade.map_or(String::new(), |grade| format!(", at least {}", word(&grade))),
    )?;
    if report.unproven + report.unjoined > 0 {
        writeln!(
            out,
            "             and {} unproven, {} unjoined: forgeable",
            report.unproven, report.unjoined
        )?;
    }
    if !report.users.is_empty() {
        let users: Vec<String> = report.users.iter().map(|user| Plain(user).to_string()).collect();
        writeln!(out, "Users tried  {}", users.join(", "))?;
    }
    if report.ban_count > 0 {
        writeln!(out, "Bans so far  {}", report.ban_count)?;
    }
    let kernel = match report.kernel.state {
        RouteState::Blackhole => "blackholed",
        RouteState::Other if observes => "not blackholed: observe mode",
        RouteState::Other => "not blackholed",
        RouteState::Unknown => "unknown",
    };
    if let Some(place) = &report.location {
        out.push_str(&location("Place        ", place));
    }
    match &report.kernel.detail {
        Some(detail) => writeln!(out, "Kernel       {kernel}: {}", Plain(detail))?,
        None => writeln!(out, "Kernel       {kernel}")?,
    }
    seen(report, width, out)?;
    past(report, width, out)
}

/// Country, city and network of an address in one line behind `head`.
pub(super) fn location(head: &str, place: &Location) -> String {
    let Location { country, country_name, city, as_number, as_name, network } = place;
    let mut parts: Vec<String> = [city, country_name].into_iter().flatten().cloned().collect();
    if let Some(code) = country {
        match parts.last_mut() {
            Some(last) => out::add(last, format_args!(" ({code})")),
            None => parts.push(code.clone()),
        }
    }
    parts.extend(as_number.map(|number| format!("AS{number}")));
    parts.extend(as_name.clone());
    parts.extend(network.map(|network| network.to_string()));
    let plain: Vec<String> = parts.iter().map(|part| Plain(part).to_string()).collect();
    format!("{head}{}\n", plain.join(", "))
}

fn seen(report: &SourceReport, width: Option<usize>, out: &mut String) -> std::fmt::Result {
    if report.seen.is_empty() {
        return Ok(());
    }
    let mut table = Table::new([
        Column::kept("FAILED AT"),
        Column::extra("GRADE", 3),
        Column::extra("METHOD", 4),
        Column::text("USER", 1),
        Column::text("USER AGENT", 2),
    ]);
    for failure in report.seen.iter().take(SHOWN) {
        let aged_out = || "(aged out)".to_owned();
        table.row([
            out::time(failure.time),
            word(&failure.grade),
            if failure.invite { "INVITE" } else { "REGISTER" }.to_owned(),
            failure.user.clone().unwrap_or_else(aged_out),
            failure.user_agent.clone().unwrap_or_else(aged_out),
        ]);
    }
    write!(out, "\n{}", table.render(width))?;
    match report.seen.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => writeln!(out, "and {more} more; --json shows them"),
        Some(_) | None => Ok(()),
    }
}

fn past(report: &SourceReport, width: Option<usize>, out: &mut String) -> std::fmt::Result {
    if let Some(error) = &report.history_error {
        return writeln!(out, "\nThe history is unavailable: {}", Plain(error));
    }
    if report.history.is_empty() {
        return Ok(());
    }
    let shown = report.history.get(..SHOWN).unwrap_or(&report.history);
    write!(out, "\n{}", history::table(shown, width))
}
