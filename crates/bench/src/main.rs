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
    env,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

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

/// All clients over one length of stream, in turns; the medians are compared.
fn compare(storm: &Storm, events: usize, rounds: usize) -> Result<()> {
    let mut outcomes = Client::ALL.map(|client| (client, Vec::new()));
    for _ in 0..rounds {
        for (client, outcomes) in &mut outcomes {
            outcomes.push(run(storm, *client, events)?);
        }
    }
    println!("\n{events} events, {rounds} rounds");
    println!(
        "{:28} {:>10} {:>17} {:>9} {:>12} {:>7}",
        "", "events/s", "ns/event", "", "memory KiB", "ratio"
    );
    let mut ours = None;
    for (client, outcomes) in &mut outcomes {
        outcomes.sort_by_key(|outcome| outcome.nanos);
        let (Some(best), Some(median), Some(worst)) =
            (outcomes.first(), outcomes.get(outcomes.len() / 2), outcomes.last())
        else {
            bail!("no rounds");
        };
        let ours = *ours.get_or_insert(median.nanos);
        let memory = outcomes.iter().map(|outcome| outcome.grown_kib).max().unwrap_or_default();
        println!(
            "{:28} {:>10.0} {:>8.0} ({:.0}..{:.0}) {:>12} {:>7.1}",
            client.name(),
            1e9 / median.per_event(events),
            median.per_event(events),
            best.per_event(events),
            worst.per_event(events),
            memory,
            ratio(median.nanos, ours),
        );
    }
    Ok(())
}

/// One client, in a process of its own.
fn run(storm: &Storm, client: Client, events: usize) -> Result<Outcome> {
    let server = server::listen()?;
    let port = server.port()?;
    let mut child = Command::new(env::current_exe()?)
        .args(["client", client.name(), &port.to_string(), &events.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let served = server.serve(storm, events);
    if served.is_err() {
        // It may wait for events that will not come.
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    served.with_context(|| format!("serving {}", client.name()))?;
    ensure!(output.status.success(), "{} failed", client.name());
    let outcome: Outcome = String::from_utf8(output.stdout)?.parse()?;
    ensure!(
        outcome.sum == storm.sum(events),
        "{} read other records than were sent",
        client.name()
    );
    Ok(outcome)
}

#[allow(clippy::cast_precision_loss)] // Nanoseconds of a minute fit 53 bits.
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}
