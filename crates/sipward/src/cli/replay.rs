//! `sipward replay`.

use std::io::{self, BufWriter, StdoutLock, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipnet::IpNet;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;
use sipward_engine::Exemption;

use super::remote::Exit;
use sipward_config::{Config, DEFAULT_PATH, HostEntry};
use sipward_daemon::names::Names;
use sipward_model::text::Plain;
use sipward_replay::Kind;
use sipward_replay::report::Report;
use sipward_replay::source::MAX_SOURCES;
use sipward_replay::table::Outcome;
use sipward_replay::{Comparison, Simulation, Source, Tally, play};

/// Items between two moves of the progress bar: some thousandths of a second.
const PROGRESS_EVERY: u64 = 4_096;

/// Test a policy with recordings or log files: show what it would have banned, and why.
///
/// Reads recordings of the Event Socket (`sipward record`) and log files of FreeSWITCH, plain or gzip,
/// and tells them apart by their content. All of them are played together, in the order of their
/// times. Nothing is banned, and no FreeSWITCH is needed. What docker, compose, the journal, rsyslog or grep put before
/// each row of a log is taken off. Rows that cannot be read are counted, and the first of each kind is shown; the exit
/// status is 3 when more than half of a file was not understood.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// Recordings and log files, in any order.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The policy: a configuration file; without it, /etc/sipward/sipward.toml if it exists.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A second policy, to compare with.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Offset of the log files' local time from UTC: `+02:00`, `-05:00`. Default: this host's time zone.
    /// Recordings do not need it.
    #[arg(long, value_name = "HH:MM", value_parser = offset, allow_hyphen_values = true)]
    utc_offset: Option<Offset>,
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
}

/// The whole outcome as JSON.
#[derive(Serialize)]
struct Outcomes<'r> {
    files: &'r [Tally],
    log_time_zone: &'r str,
    /// One report, or two to compare.
    policies: &'r [Report],
    comparison: Option<&'r Comparison>,
}

pub(super) fn run(replay: &Replay) -> anyhow::Result<Exit> {
    anyhow::ensure!(
        replay.files.len() <= MAX_SOURCES,
        "{} files, more than {MAX_SOURCES}: replay them in several runs, or join them first",
        replay.files.len()
    );
    let policies =
        [replay.config.as_deref()].into_iter().chain(replay.compare.as_deref().map(Some));
    let mut simulations = policies.map(simulation).collect::<anyhow::Result<Vec<Simulation>>>()?;
    let (zone, zone_name) = zone(replay.utc_offset);
    let read = Arc::new(AtomicU64::new(0));
    let open = |path: &PathBuf| Source::open(path, zone.clone(), Arc::clone(&read));
    let mut sources = replay.files.iter().map(open).collect::<Result<Vec<Source>, _>>()?;

    play_with_bar(&mut sources, &mut simulations, replay, &read);

    let tallies: Vec<Tally> = sources.iter().map(Source::tally).collect();
    let reports: Vec<Report> = simulations.into_iter().map(Simulation::finish).collect();
    let (first, second) = (reports.first().context("there is no policy")?, reports.get(1));
    let comparison = second.map(|second| Comparison::of(first, second));
    let exit =
        if tallies.iter().any(Tally::is_mostly_unread) { Exit::MOSTLY_UNREAD } else { Exit::Done };
    if replay.json {
        print(|out| {
            let outcomes = Outcomes {
                files: &tallies,
                log_time_zone: &zone_name,
                policies: &reports,
                comparison: comparison.as_ref(),
            };
            serde_json::to_writer_pretty(&mut *out, &outcomes)?;
            writeln!(out)
        })?;
        return Ok(exit);
    }
    let has_log = tallies.iter().any(|source| source.kind == Kind::Log);
    let zone = has_log.then_some(zone_name.as_str());
    let second = second.zip(comparison.as_ref());
    print(|out| write!(out, "{}", Outcome { sources: &tallies, zone, first, second }))?;
    Ok(exit)
}

/// Writes to standard output. The reader may close it early (`| head`).
fn print(
    what: impl FnOnce(&mut BufWriter<StdoutLock<'_>>) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match what(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// An engine with the policy and the exemptions of a configuration file.
fn simulation(path: Option<&Path>) -> anyhow::Result<Simulation> {
    let config = Config::load(path)?;
    let exempt = exempt(&config)?;
    let name = match path {
        Some(path) => path.display().to_string(),
        None if Path::new(DEFAULT_PATH).exists() => DEFAULT_PATH.to_owned(),
        None => "the defaults".to_owned(),
    };
    Ok(Simulation::new(name, config.policy, exempt)?)
}

/// The networks of `allow` and `proxies`. Names are resolved as in the daemon; failures are reported.
fn exempt(config: &Config) -> anyhow::Result<Vec<(Exemption, Vec<IpNet>)>> {
    let mut names = Names::default();
    let is_name = |entry: &HostEntry| matches!(entry, HostEntry::Name(_));
    if !config.allow.iter().chain(&config.proxies).any(is_name) {
        return Ok(names.classes(config));
    }
    let config = config.clone();
    let (classes, failed) = super::on_runtime(async move { Ok(names.refresh(&config).await) })?;
    for record in failed {
        eprintln!("sipward: {record}");
    }
    Ok(classes)
}

/// The time zone of local times, and its name.
fn zone(offset: Option<Offset>) -> (TimeZone, String) {
    if let Some(offset) = offset {
        return (TimeZone::fixed(offset), format!("UTC{offset}"));
    }
    let zone = TimeZone::system();
    let name = zone.iana_name().unwrap_or("this host's time zone").to_owned();
    (zone, name)
}

/// `+02:00`, `-0530`, `2`, `Z`.
fn offset(text: &str) -> Result<Offset, String> {
    let wrong = || format!("`{}` is not an offset from UTC; write +02:00 or -05:30", Plain(text));
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..).unwrap_or_default()),
        [b'+', ..] => (false, text.get(1..).unwrap_or_default()),
        [b'Z' | b'z'] => return Ok(Offset::UTC),
        _ => (false, text),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2).ok_or_else(wrong)?,
        None => (digits, "0"),
    };
    let number = |text: &str| text.parse::<u8>().map_err(|_| wrong());
    let (hours, minutes) = (i32::from(number(hours)?), i32::from(number(minutes)?));
    // Zones reach from -12 to +14 hours.
    if hours > 14 || minutes > 59 {
        return Err(wrong());
    }
    let seconds = hours * 3_600 + minutes * 60;
    Offset::from_seconds(if negative { -seconds } else { seconds }).map_err(|_| wrong())
}

/// On a terminal a bar shows how far it is, by the bytes read; not beside JSON.
fn play_with_bar(
    sources: &mut [Source],
    simulations: &mut [Simulation],
    replay: &Replay,
    read: &AtomicU64,
) {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
    let bar = ProgressBar::new(replay.files.iter().map(size).sum());
    if replay.json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_secs(1));
    let mut items: u64 = 0;
    play(sources, simulations, || {
        items += 1;
        if items.is_multiple_of(PROGRESS_EVERY) {
            bar.set_position(read.load(Ordering::Relaxed));
        }
    });
    bar.finish_and_clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("+02:00", 7_200),
            ("-05:30", -19_800),
            ("-0530", -19_800),
            ("2", 7_200),
            ("+14:00", 50_400),
            ("Z", 0),
            ("00:00", 0),
        ] {
            assert_eq!(offset(text).map(Offset::seconds), Ok(seconds), "{text}");
        }
        for text in
            ["", "+", "15:00", "01:60", "1:2:3", "+-1", "Europe/Berlin", "ä234", "\u{1b}[2J"]
        {
            let error = offset(text).unwrap_err();
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }
}
