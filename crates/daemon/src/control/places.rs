//! Where failures and bans come from, by the files of `[geo]`.
//!
//! Nothing is looked up when a failure is judged or a ban made: the engine's task has no part in it. Addresses are
//! looked up on request, on a thread for what takes time. The failures that are remembered are few. Bans may be a
//! million: what they come to is kept, and not counted anew before twenty times as long as that took.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::Timestamp;
use tokio::sync::Mutex;

use super::attacks::{memory, of_memory};
use super::bounds::limit;
use super::error::ControlError;
use super::hosts::location;
use super::{Control, aside};
use crate::EngineHandle;
use crate::activity::Remembered;
use crate::geo::{Finder, Origin};
use sipward_model::text::Time;
use sipward_model::wire::{Ban, Memory, Place, PlaceBy, PlaceList, PlaceQuery};

/// Bans read in one call to the engine: well under a millisecond.
const PART: usize = 4_096;

/// Bans are not counted anew before so many times as long as that took.
const REST: u32 = 20;

/// Bans by origin, as they were counted last.
#[derive(Clone, Default)]
pub(super) struct BanOrigins(Arc<Mutex<Option<Counted>>>);

struct Counted {
    at: Instant,
    took: Duration,
    finder: Finder,
    bans: Arc<HashMap<Origin, Bans>>,
}

/// Bans of one origin.
#[derive(Clone, Copy)]
struct Bans {
    count: u64,
    /// The address of one of them, to look up names by.
    one: IpAddr,
}

/// What is counted of a place.
struct Tally {
    failures: u64,
    proved: u64,
    counted: u64,
    sources: u64,
    bans: u64,
    last: Option<Timestamp>,
    one: IpAddr,
}

impl Control {
    /// Whether files say where addresses are.
    pub fn knows_places(&self) -> bool {
        !self.lookups.geo.is_empty()
    }

    /// The countries or networks that failures and bans come from, by the failures that are remembered and the bans
    /// now.
    pub async fn places(&self, query: PlaceQuery) -> Result<PlaceList, ControlError> {
        let limit = limit(query.limit)?;
        let by = query.by.unwrap_or_default();
        self.located(move |located| located.list(by, limit)).await
    }

    /// The countries and the networks, looked up once.
    pub async fn countries_and_networks(
        &self,
        countries: u16,
        networks: u16,
    ) -> Result<(PlaceList, PlaceList), ControlError> {
        let (countries, networks) = (limit(Some(countries))?, limit(Some(networks))?);
        self.located(move |located| {
            (located.list(PlaceBy::Country, countries), located.list(PlaceBy::Network, networks))
        })
        .await
    }

    async fn located<T: Send + 'static>(
        &self,
        make: impl FnOnce(&Located<'_>) -> T + Send + 'static,
    ) -> Result<T, ControlError> {
        let finder = self.lookups.geo.finder();
        let bans = if finder.is_empty() {
            Arc::default()
        } else {
            self.ban_origins.count(&self.engine, &finder).await?
        };
        of_memory(self, move |seen| make(&Located::new(&finder, seen, &bans))).await
    }

    /// Adds to each ban where it is.
    pub(super) async fn locate(&self, mut bans: Vec<Ban>) -> Result<Vec<Ban>, ControlError> {
        let finder = self.lookups.geo.finder();
        if finder.is_empty() {
            return Ok(bans);
        }
        aside(move || {
            for ban in &mut bans {
                ban.location = finder.look_up(ban.net.addr()).map(location);
            }
            bans
        })
        .await
    }
}

impl BanOrigins {
    /// Bans by origin. Who asks meanwhile waits for the same count.
    async fn count(
        &self,
        engine: &EngineHandle,
        finder: &Finder,
    ) -> Result<Arc<HashMap<Origin, Bans>>, ControlError> {
        let mut counted = self.0.lock().await;
        if let Some(last) = counted.as_ref()
            && last.finder.is_same(finder)
            && last.at.elapsed() < last.took * REST
        {
            return Ok(Arc::clone(&last.bans));
        }
        let began = Instant::now();
        let (mut bans, mut last) = (HashMap::new(), None);
        loop {
            let nets = engine.call(move |task| {
                task.engine().bans_after(last).take(PART).map(|ban| ban.net).collect::<Vec<_>>()
            });
            let nets = nets.await?;
            last = nets.last().copied().filter(|_| nets.len() >= PART);
            let finder = finder.clone();
            bans = aside(move || add(bans, &finder, &nets)).await?;
            if last.is_none() {
                break;
            }
        }
        let bans = Arc::new(bans);
        let (at, took) = (Instant::now(), began.elapsed());
        *counted = Some(Counted { at, took, finder: finder.clone(), bans: Arc::clone(&bans) });
        Ok(bans)
    }
}

fn add(mut bans: HashMap<Origin, Bans>, finder: &Finder, nets: &[IpNet]) -> HashMap<Origin, Bans> {
    for net in nets {
        let one = net.addr();
        bans.entry(finder.origin(one)).or_insert(Bans { count: 0, one }).count += 1;
    }
    bans
}

/// Failures by source and bans by origin, looked up.
struct Located<'a> {
    finder: &'a Finder,
    memory: Memory,
    /// What each source did; none without files.
    sources: Vec<(Origin, Tally)>,
    bans: &'a HashMap<Origin, Bans>,
}

impl<'a> Located<'a> {
    fn new(finder: &'a Finder, seen: &Remembered, bans: &'a HashMap<Origin, Bans>) -> Self {
        let sources = if finder.is_empty() {
            Vec::new()
        } else {
            sources(seen).into_iter().map(|(one, failed)| (finder.origin(one), failed)).collect()
        };
        Self { finder, memory: memory(seen), sources, bans }
    }

    fn list(&self, by: PlaceBy, limit: usize) -> PlaceList {
        let Self { finder, memory, sources, bans } = self;
        let mut unlocated = Tally::new([0; 4].into());
        let mut places: HashMap<Origin, Tally> = HashMap::new();
        let mut of = |origin: Origin, one: IpAddr, add: &dyn Fn(&mut Tally)| match key(by, origin) {
            Some(key) => add(places.entry(key).or_insert_with(|| Tally::new(one))),
            None => add(&mut unlocated),
        };
        for (origin, failed) in sources {
            of(*origin, failed.one, &|tally| tally.add(failed));
        }
        for (origin, bans) in *bans {
            of(*origin, bans.one, &|tally| tally.bans += bans.count);
        }
        let total = places.len() as u64;
        let mut ranked: Vec<(Origin, Tally)> = places.into_iter().collect();
        ranked.sort_unstable_by_key(|(origin, tally)| {
            (Reverse((tally.counted, tally.bans, tally.failures)), *origin)
        });
        ranked.truncate(limit);
        let items =
            ranked.into_iter().map(|(origin, tally)| place(origin, finder, &tally)).collect();
        let (unlocated_failures, unlocated_bans) = (unlocated.failures, unlocated.bans);
        let (located, memory) = (!finder.is_empty(), *memory);
        PlaceList { by, located, items, total, unlocated_failures, unlocated_bans, memory }
    }
}

/// The part of an origin that a table is about; `None` where the files do not say it.
fn key(by: PlaceBy, origin: Origin) -> Option<Origin> {
    let Origin { country, as_number } = origin;
    match by {
        PlaceBy::Country => country.map(|_| Origin { country, as_number: None }),
        PlaceBy::Network => as_number.map(|_| Origin { country: None, as_number }),
    }
}

/// The failures of each address.
fn sources(seen: &Remembered) -> HashMap<IpAddr, Tally> {
    let mut sources: HashMap<IpAddr, Tally> = HashMap::new();
    let counts = seen.counting();
    for (at, failure) in seen.failures() {
        let tally = sources.entry(failure.address).or_insert_with(|| Tally::new(failure.address));
        tally.sources = 1;
        tally.failures += 1;
        tally.proved += u64::from(failure.grade.is_proved());
        tally.counted += u64::from(counts(failure));
        tally.last = tally.last.max(Some(at));
    }
    sources
}

impl Tally {
    fn new(one: IpAddr) -> Self {
        Self { failures: 0, proved: 0, counted: 0, sources: 0, bans: 0, last: None, one }
    }

    fn add(&mut self, other: &Self) {
        self.failures += other.failures;
        self.proved += other.proved;
        self.counted += other.counted;
        self.sources += other.sources;
        self.last = self.last.max(other.last);
    }
}

fn place(Origin { country, as_number }: Origin, finder: &Finder, tally: &Tally) -> Place {
    let found = finder.look_up(tally.one).unwrap_or_default();
    let name = if country.is_some() { found.country_name } else { found.as_name };
    let Tally { failures, proved, counted, sources, bans, last, one: _ } = *tally;
    let last = last.map(Time);
    Place { country, as_number, name, failures, proved, counted, sources, bans, last }
}

#[cfg(test)]
mod tests;
