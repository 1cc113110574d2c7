//! `sipward status`.

use std::fmt::Write as _;

use super::out::{self as print, Tone};
use super::remote::{Exit, Remote};
use crate::client::NoQuery;
use sipward_config::Mode;
use sipward_model::text::{Plain, Span};
use sipward_model::wire::{AlarmState, BusyStranger, FloodState, Status, StoreState};

/// Show the state of the daemon.
#[derive(Debug, clap::Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    remote: Remote,
}

impl StatusCommand {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        self.remote.run(
            "asking the daemon",
            async |client| client.get("/status", &NoQuery {}).await,
            |status| text(status, print::width()),
        )
    }
}

/// Width of the names in front of the values.
const NAME: usize = 13;

/// One line for each part, on a terminal of `width` columns.
fn text(status: &Status, width: Option<usize>) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write(status, &mut out);
    print::hang(&out, NAME, width)
}

fn bad(text: &str) -> String {
    print::paint(text, Tone::Bad)
}

fn warning(text: &str) -> String {
    print::paint(text, Tone::Warning)
}

fn write(status: &Status, out: &mut String) -> std::fmt::Result {
    let mode = match status.mode {
        Mode::Ban => "bans are applied in the kernel",
        Mode::Observe => "observe mode: the kernel is not changed",
    };
    let uptime = Span(status.uptime_seconds.floor());
    writeln!(out, "sipward      {}, up {uptime}; {mode}", Plain(&status.version))?;
    let alarms = &status.alarms;
    match alarms.state {
        AlarmState::Ok => writeln!(out, "State        no alarms")?,
        AlarmState::Attention => writeln!(out, "State        {}", warning("MINOR ALARM"))?,
        AlarmState::Alarm => writeln!(out, "State        {}", bad("ALARM"))?,
    }
    alarms.texts.iter().try_for_each(|text| writeln!(out, "             {}", Plain(text)))?;
    writeln!(out, "FreeSWITCH   {}", event_socket(status))?;
    bans(status, out)?;
    flows(status, out)?;
    failures(status, out)?;
    events(status, out)?;
    sources(status, out)?;
    gate(status, out)?;
    flood(status, out)?;
    store(status, out)?;
    if !status.needs_restart.is_empty() {
        let sections = status.needs_restart.join(", ");
        writeln!(out, "Restart      needed for changes of {}", Plain(&sections))?;
    }
    Ok(())
}

fn sources(status: &Status, out: &mut String) -> std::fmt::Result {
    let (sources, policy) = (&status.sources, &status.policy);
    writeln!(
        out,
        "Sources      {} with failures, {} known, {} offenders{}",
        sources.tracked,
        sources.known,
        sources.offenders,
        match sources.attention {
            0 => String::new(),
            1 => ", 1 phone needs attention".to_owned(),
            phones => format!(", {} need attention", print::count(phones, "phone")),
        },
    )?;
    writeln!(
        out,
        "Policy       {} failures within {} ban for {}",
        policy.max_failures,
        Span(policy.window_seconds),
        Span(policy.ban_time_seconds)
    )
}

fn gate(status: &Status, out: &mut String) -> std::fmt::Result {
    let Some(gate) = &status.gate else { return Ok(()) };
    let covered = match (gate.ipv4_inbound, gate.ipv6_inbound) {
        (true, true) => "packets of banned hosts are dropped on arrival",
        (true, false) => "IPv4 is dropped on arrival, IPv6 is NOT",
        (false, true) => "IPv6 is dropped on arrival, IPv4 is NOT",
        (false, false) => "packets of banned hosts are NOT dropped on arrival",
    };
    let table = match gate.table {
        0 | 254 => String::new(),
        own => format!("; the bans are in routing table {own}"),
    };
    writeln!(out, "Gate         {covered}{table}")?;
    gate.gaps.iter().try_for_each(|gap| writeln!(out, "             {}", Plain(gap)))
}

fn bans(status: &Status, out: &mut String) -> std::fmt::Result {
    let bans = &status.bans;
    write!(out, "Bans         {} now", bans.active)?;
    if bans.not_enforced > 0 {
        write!(out, ", {} of them {}", bans.not_enforced, bad("NOT enforced"))?;
    }
    if bans.sip > 0 {
        write!(out, ", {} of them with scope sip", bans.sip)?;
    }
    let totals = &status.totals;
    writeln!(
        out,
        "; since the start {} made, {} ended, {} refused",
        totals.bans, totals.unbans, totals.refused
    )
}

fn failures(status: &Status, out: &mut String) -> std::fmt::Result {
    let (totals, grades) = (&status.totals, &status.failures);
    writeln!(
        out,
        "Failures     {} since the start: {} answered, {} unchallenged, {} unproven, {} unjoined{}",
        totals.failures,
        grades.answered,
        grades.unchallenged,
        grades.unproven,
        grades.unjoined,
        if grades.assumed > 0 { format!(", {} assumed", grades.assumed) } else { String::new() },
    )?;
    let (failed, policy) = (&status.failed_now, &status.policy);
    writeln!(
        out,
        "Failing now  {}{} within {}, {} failures",
        if failed.at_least { "at least " } else { "" },
        print::count(failed.sources, "source"),
        Span(policy.window_seconds),
        failed.failures,
    )
}

fn events(status: &Status, out: &mut String) -> std::fmt::Result {
    let totals = &status.totals;
    write!(out, "Events       {} since the start", totals.events)?;
    if totals.events_dropped > 0 {
        write!(
            out,
            ", {} {}: they arrived faster than the engine could judge them",
            totals.events_dropped,
            bad("DROPPED")
        )?;
    }
    writeln!(out)
}

fn flows(status: &Status, out: &mut String) -> std::fmt::Result {
    let bans = &status.bans;
    if bans.flows == 0 {
        return Ok(());
    }
    let denied = print::count(bans.flows, "flow");
    write!(
        out,
        "Flows        {denied} denied; the other phones of these addresses are not affected"
    )?;
    if bans.flows_not_enforced > 0 {
        write!(out, "; {} {}", bans.flows_not_enforced, bad("NOT enforced"))?;
    }
    writeln!(out, " (`sipward flows` lists them)")
}

fn flood(status: &Status, out: &mut String) -> std::fmt::Result {
    let flood = &status.flood;
    let state = match flood.state {
        FloodState::Quiet => String::new(),
        FloodState::Shielded => warning("SHIELDED: "),
        FloodState::Deaf => bad("DEAF: "),
    };
    writeln!(out, "Flood        {state}{}", Plain(&flood.summary))?;
    let stopped = |one: &&BusyStranger| one.slowed || one.limited_since.is_some();
    for stranger in flood.strangers.iter().filter(stopped) {
        let rate = stranger.packets_per_second.unwrap_or_default();
        let word = if stranger.slowed { "slowed to 1/s" } else { "limited" };
        let until = stranger
            .slowed_until
            .map_or_else(String::new, |at| format!(" until {}", print::time(at)));
        let source = stranger.net;
        writeln!(out, "             {source} sends {rate:.0} packets/s and is {word}{until}")?;
    }
    Ok(())
}

fn event_socket(status: &Status) -> String {
    let socket = &status.event_socket;
    let (since, lost) = (print::time(socket.since), bad("NOT connected"));
    match (&socket.peer, &socket.error) {
        (Some(peer), _) if socket.connected => {
            format!("connected to {} since {since}", Plain(peer))
        }
        (_, Some(error)) => format!("{lost} since {since}: {}", Plain(error)),
        (_, None) => format!("{lost} since {since}"),
    }
}

fn store(status: &Status, out: &mut String) -> std::fmt::Result {
    let store = &status.store;
    let place = store.file.as_deref().unwrap_or("in memory");
    match store.state {
        StoreState::Ok => {
            writeln!(out, "Store        {}, {} kB", Plain(place), store.size_bytes / 1000)?;
        }
        StoreState::Degraded => writeln!(
            out,
            "Store        {}: {} ({})",
            bad("DEGRADED"),
            Plain(store.problem.as_deref().unwrap_or("no reason given")),
            Plain(place)
        )?,
    }
    if store.dropped_entries > 0 {
        writeln!(out, "             {} entries were lost", store.dropped_entries)?;
    }
    if let Some(file) = &store.set_aside {
        writeln!(out, "             a corrupt database was set aside as {}", Plain(file))?;
    }
    Ok(())
}
