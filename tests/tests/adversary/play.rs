//! Plays every member of a family with many seeds.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::world::DAY;

/// Seeds of each member, unless it says otherwise.
const SEEDS: u32 = 100;

/// Attacks of one kind.
#[derive(Clone)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) members: &'static [Member],
}

/// One attack; the seed chooses its rates, sizes, users, addresses, order and loss.
pub(crate) struct Member {
    /// What the attacker does.
    pub(crate) name: &'static str,
    pub(crate) play: fn(u64) -> Result<Played, String>,
    /// Part of the seeds that it is played with, where it takes long.
    pub(crate) every: u32,
}

/// What an attack came to. The bounds that are no numbers of the table were checked before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Played {
    /// Guesses that FreeSWITCH checked.
    pub(crate) guesses: u64,
    /// In how long. The attack could go on like that.
    pub(crate) span: Duration,
    /// The most that a healthy phone lost within an hour.
    pub(crate) lost: Duration,
}

/// The worst of a family.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worst {
    pub(crate) strategy: &'static str,
    pub(crate) guesses_a_day: u64,
    pub(crate) lost_minutes: u64,
}

/// The results of all families; each is played once.
#[derive(Clone)]
pub(crate) struct Results(Arc<Vec<OnceLock<FamilyResult>>>);

/// The worst of a family, and what its assertions say.
type FamilyResult = (Worst, Result<(), String>);

impl Member {
    pub(crate) const fn new(name: &'static str, play: fn(u64) -> Result<Played, String>) -> Self {
        Self { name, play, every: 1 }
    }

    /// It takes long: only every so many seeds.
    pub(crate) const fn every(mut self, seeds: u32) -> Self {
        self.every = seeds;
        self
    }
}

impl Played {
    pub(crate) fn new(guesses: u64, span: Duration, lost: Duration) -> Self {
        Self { guesses, span, lost }
    }

    fn guesses_a_day(&self) -> u64 {
        let span = self.span.as_millis().max(1);
        u64::try_from((u128::from(self.guesses) * DAY.as_millis()).div_ceil(span)).unwrap()
    }
}

impl Results {
    pub(crate) fn new(families: usize) -> Self {
        Self(Arc::new((0..families).map(|_| OnceLock::new()).collect()))
    }

    /// The worst of a family, and what went wrong.
    pub(crate) fn of(&self, index: usize, family: &Family) -> (Worst, Result<(), String>) {
        self.0[index].get_or_init(|| play(family)).clone()
    }
}

/// Seeds of each member: `ADVERSARY_SEEDS`, by default 100.
pub(crate) fn seeds() -> u32 {
    std::env::var("ADVERSARY_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

/// Attacks of full size, not scaled down.
pub(crate) fn at_length() -> bool {
    seeds() > SEEDS
}

fn play(family: &Family) -> (Worst, Result<(), String>) {
    let mut worst = Worst::default();
    let mut faults = Vec::new();
    for member in family.members {
        let (mut failed, mut first) = (0, None);
        let began = std::time::Instant::now();
        let seeds = (seeds() / member.every).max(1);
        for seed in 0..seeds {
            match (member.play)(u64::from(seed)) {
                Ok(played) => worst.take(member.name, &played),
                Err(fault) => {
                    failed += 1;
                    first.get_or_insert_with(|| format!("seed {seed}: {fault}"));
                }
            }
        }
        if std::env::var_os("ADVERSARY_TIMES").is_some() {
            eprintln!("{:>6} ms {} / {}", began.elapsed().as_millis(), family.name, member.name);
        }
        if let Some(first) = first {
            faults.push(format!("{}: {failed} of {seeds} seeds; {first}", member.name));
        }
    }
    let holds = if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) };
    (worst, holds)
}

impl Worst {
    fn take(&mut self, strategy: &'static str, played: &Played) {
        let guesses = played.guesses_a_day();
        if guesses > self.guesses_a_day || self.strategy.is_empty() {
            (self.guesses_a_day, self.strategy) = (guesses, strategy);
        }
        let minutes = u64::try_from(played.lost.as_millis().div_ceil(60_000)).unwrap();
        self.lost_minutes = self.lost_minutes.max(minutes);
    }
}
