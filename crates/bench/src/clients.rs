//! The clients that are compared, each with as little code as its own documentation asks for.

mod esl_tokio;
mod eslrs;
pub(crate) mod sipward;

use std::{fs, str::FromStr, time::Instant};

use anyhow::{Context as _, Result, bail};

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
    pub(crate) nanos: u64,
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
    /// When the first record was there, and the memory of the process then.
    start: Option<(Instant, u64)>,
}

impl Tally {
    /// Takes a record; says whether it was the last.
    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<bool> {
        if self.start.is_none() {
            self.start = Some((Instant::now(), memory("VmHWM:")?));
        }
        self.seen += 1;
        self.sum.add(record);
        Ok(self.seen == self.wanted)
    }

    fn outcome(self) -> Result<Outcome> {
        let (start, before) = self.start.context("no event came")?;
        let nanos = u64::try_from(start.elapsed().as_nanos())?;
        let grown_kib = memory("VmHWM:")?.saturating_sub(before);
        Ok(Outcome { nanos, grown_kib, sum: self.sum })
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
    let Outcome { nanos, grown_kib, sum } = tally.outcome()?;
    println!("{nanos} {grown_kib} {}", sum.0);
    Ok(())
}

impl Outcome {
    #[allow(clippy::cast_precision_loss)] // Nanoseconds of a minute fit 53 bits.
    pub(crate) fn per_event(&self, events: usize) -> f64 {
        self.nanos as f64 / (events - 1) as f64
    }
}

impl FromStr for Outcome {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let numbers: Vec<u64> =
            line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [nanos, grown_kib, sum] = numbers[..] else {
            bail!("{line:?} is no outcome");
        };
        Ok(Self { nanos, grown_kib, sum: Sum(sum) })
    }
}

/// A line of `/proc/self/status`, in KiB.
fn memory(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    let kib = line.trim().strip_suffix(" kB").context("no unit")?;
    Ok(kib.parse()?)
}
