//! Event Socket clients side by side: the same storm over loopback TCP, to the same record.
//!
//! ```console
//! $ cargo run --release -- --rounds 5 20000 200000 2000000
//! ```
//!
//! One process plays FreeSWITCH: it sends the recorded storm of `register_failure` events as often as it
//! takes. Each client is a process of its own, so that none inherits another's memory, and they take turns,
//! so that a noisy machine is noisy for all. Each runs on one thread, as the daemon does, and turns every event
//! into a [`Record`]. What they read is added up and compared: a client that skips work is found out.

mod clients;
mod record;
mod server;
mod storm;

use std::{
    env, fmt,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    clients::{Client, Outcome},
    storm::Storm,
};

/// Streams that are measured without arguments.
const DEFAULT_EVENTS: [usize; 3] = [20_000, 200_000, 2_000_000];

const DEFAULT_ROUNDS: usize = 5;

/// Beyond this many events two rounds are enough: a slow client takes half a minute for each.
const LONG: usize = 1_000_000;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [mode, client, port, events] = &args[..]
        && mode == "client"
    {
        return clients::child(client.parse()?, port.parse()?, events.parse()?);
    }
    let (rounds, streams) = parse(&args)?;
    let storm = Storm::load()?;
    for events in streams {
        let rounds = if events > LONG { rounds.min(2) } else { rounds };
        compare(&storm, events, rounds)?;
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<(usize, Vec<usize>)> {
    let (rounds, events) = match args {
        [flag, rounds, events @ ..] if flag == "--rounds" => (rounds.parse()?, events),
        events => (DEFAULT_ROUNDS, events),
    };
    ensure!(rounds > 0, "--rounds must be 1 or more");
    let events: Vec<usize> = events
        .iter()
        .map(|events| events.parse().with_context(|| format!("{events:?} is no number of events")))
        .collect::<Result<_>>()?;
    ensure!(events.iter().all(|&events| events > 1), "a stream has 2 events or more");
    Ok((rounds, if events.is_empty() { DEFAULT_EVENTS.into() } else { events }))
}

/// All clients over one length of stream, in turns.
fn compare(storm: &Storm, events: usize, rounds: usize) -> Result<()> {
    let mut outcomes = Client::ALL.map(|client| (client, Vec::new()));
    for _ in 0..rounds {
        for (client, outcomes) in &mut outcomes {
            outcomes.push(run(storm, *client, events)?);
        }
    }
    println!("\n{events} events, {rounds} rounds: median (least..most)");
    println!(
        "{:25} {:>9} {:>20} {:>21} {:>17} {:>8}",
        "", "events/s", "times ours", "processor ns/event", "times ours", "grew KiB"
    );
    let [(_, ours), ..] = outcomes.clone();
    for (client, outcomes) in &outcomes {
        let elapsed = Figures::of(outcomes, &ours, events, |outcome| outcome.elapsed);
        let processor = Figures::of(outcomes, &ours, events, |outcome| outcome.processor);
        let grown = outcomes.iter().map(|outcome| outcome.grown_kib).max().unwrap_or_default();
        println!(
            "{:25} {:>9.0} {:>20} {:>21} {:>17} {grown:>8}",
            client.name(),
            1e9 / elapsed.nanos.median,
            format!("{:.1}", elapsed.ratios),
            format!("{:.0}", processor.nanos),
            format!("{:.1}", processor.ratios),
        );
    }
    Ok(())
}

/// What a client took for an event, and how often as much as ours.
struct Figures {
    nanos: Spread,
    ratios: Spread,
}

impl Figures {
    #[allow(clippy::cast_precision_loss)] // Nanoseconds of a minute fit 53 bits.
    fn of(of: &[Outcome], ours: &[Outcome], events: usize, time: fn(&Outcome) -> u64) -> Self {
        let nanos = of.iter().map(|outcome| time(outcome) as f64 / (events - 1) as f64);
        // Rounds are compared one by one: a neighbour's load changes from round to round.
        let ratios =
            of.iter().zip(ours).map(|(outcome, ours)| time(outcome) as f64 / time(ours) as f64);
        Self { nanos: Spread::of(nanos), ratios: Spread::of(ratios) }
    }
}

/// Of some figures of one kind.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        Self { least: at(0), median: at(last / 2), most: at(last) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let Self { least, median, most } = self;
        write!(f, "{median:.digits$} ({least:.digits$}..{most:.digits$})")
    }
}

/// One client, in a process of its own.
fn run(storm: &Storm, client: Client, events: usize) -> Result<Outcome> {
    let listener = server::listen()?;
    let port = listener.local_addr()?.port();
    let mut child = Command::new(env::current_exe()?)
        .args(["client", client.name(), &port.to_string(), &events.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let outcome = server::serve(&listener, storm, events);
    if outcome.is_err() {
        // It may wait for events that will not come.
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    outcome.with_context(|| format!("serving {}", client.name()))?;
    ensure!(output.status.success(), "{} failed", client.name());
    let outcome: Outcome = String::from_utf8(output.stdout)?.parse()?;
    ensure!(
        outcome.sum == storm.sum(events),
        "{} read other records than were sent",
        client.name()
    );
    Ok(outcome)
}
