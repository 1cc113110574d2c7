//! The clients that are compared, each with as little code as its own documentation asks for.

mod esl_tokio;
mod eslrs;
pub(crate) mod sipward;

use std::{
    fs,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::time::ClockId;

use crate::record::{Record, Sum};

/// What the subscription asks for; the server sends the storm whatever it is.
const EVENTS: &str = "CUSTOM sofia::register_failure";

const PASSWORD: &str = "ClueCon";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// `sipward_esl::session`: supervised, with its queue.
    Session,
    /// `sipward_esl::client::Connection`.
    Connection,
    Eslrs,
    EslTokio,
}

/// What a client's process tells the one that started it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// From the first record to the last.
    pub(crate) elapsed: u64,
    /// Time of the processor meanwhile, the kernel's share included.
    pub(crate) processor: u64,
    /// By how much the process grew meanwhile at most, in KiB.
    pub(crate) grown_kib: u64,
    pub(crate) sum: Sum,
}

impl Client {
    /// The one that the others are compared with comes first.
    pub(crate) const ALL: [Self; 4] =
        [Self::Session, Self::Connection, Self::Eslrs, Self::EslTokio];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Session => "sipward-esl-session",
            Self::Connection => "sipward-esl-connection",
            Self::Eslrs => "eslrs-0.1.0-rc.3",
            Self::EslTokio => "freeswitch-esl-tokio-2.8",
        }
    }
}

impl FromStr for Client {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|client| client.name() == name);
        found.with_context(|| format!("no client {name:?}"))
    }
}

/// Counts and adds up what a client reads.
pub(crate) struct Tally {
    wanted: usize,
    seen: usize,
    sum: Sum,
    start: Option<Start>,
}

/// How things stood at the first record.
struct Start {
    at: Instant,
    processor: Duration,
    kib: u64,
}

impl Tally {
    /// Takes a record; says whether it was the last.
    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<bool> {
        if self.start.is_none() {
            let (kib, processor) = (most_memory()?, processor()?);
            self.start = Some(Start { at: Instant::now(), processor, kib });
        }
        self.seen += 1;
        self.sum.add(record);
        Ok(self.seen == self.wanted)
    }

    fn outcome(self) -> Result<Outcome> {
        let start = self.start.context("no event came")?;
        Ok(Outcome {
            elapsed: u64::try_from(start.at.elapsed().as_nanos())?,
            processor: u64::try_from(processor()?.saturating_sub(start.processor).as_nanos())?,
            grown_kib: most_memory()?.saturating_sub(start.kib),
            sum: self.sum,
        })
    }
}

/// Runs one client against the server on `port` and prints its outcome.
pub(crate) fn child(client: Client, port: u16, wanted: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut tally = Tally { wanted, seen: 0, sum: Sum::default(), start: None };
    runtime.block_on(async {
        match client {
            Client::Session => sipward::session(port, &mut tally).await,
            Client::Connection => sipward::connection(port, &mut tally).await,
            Client::Eslrs => eslrs::read(port, &mut tally).await,
            Client::EslTokio => esl_tokio::read(port, &mut tally).await,
        }
    })?;
    let Outcome { elapsed, processor, grown_kib, sum } = tally.outcome()?;
    println!("{elapsed} {processor} {grown_kib} {}", sum.0);
    Ok(())
}

impl FromStr for Outcome {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let numbers: Vec<u64> =
            line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [elapsed, processor, grown_kib, sum] = numbers[..] else {
            bail!("{line:?} is no outcome");
        };
        Ok(Self { elapsed, processor, grown_kib, sum: Sum(sum) })
    }
}

/// The most memory that this process has had, in KiB.
fn most_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kib.parse()?)
}

fn processor() -> Result<Duration> {
    Ok(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?.into())
}
