//! Counts over time: by the minute for an hour, and by the quarter of an hour for a month.

use std::collections::BTreeMap;
use std::time::Duration;

use sipward_engine::{Grade, Timestamp};

use sipward_model::clock::moved;
use sipward_store::{COUNTS_KEPT, Counts, QUARTER};

const MINUTE: Duration = Duration::from_secs(60);

/// How far back minutes are remembered; the buckets of the last hour need them.
const MINUTES_KEPT: Duration = Duration::from_secs(3_600);

/// What happened when. The quarters outlive the process: [`Series::take_unsaved`], [`Series::fill`].
#[derive(Debug)]
pub struct Series {
    minutes: Slots,
    quarters: Slots,
    /// What is counted from then on happened in this run.
    start: Timestamp,
    /// How far back what was stored reaches, and what the history has.
    stored_from: Option<Timestamp>,
    decided_from: Option<Timestamp>,
    /// The oldest quarter that is not stored as it is here.
    unsaved: Option<u64>,
}

/// Counts of equal times, numbered from the epoch. Those in which nothing happened are left out.
#[derive(Debug)]
struct Slots {
    /// Of each, in µs.
    width: u64,
    /// Between the oldest and the newest at most. A month of quarters takes at most 200 kB.
    most: u64,
    counts: BTreeMap<u64, Counts>,
}

impl Series {
    /// Counts from `start` on.
    pub fn new(start: Timestamp) -> Self {
        let (minutes, quarters) =
            (Slots::new(MINUTE, MINUTES_KEPT), Slots::new(QUARTER, COUNTS_KEPT));
        let unsaved = Some(quarters.number(start));
        let (stored_from, decided_from) = (None, None);
        let mut series = Self { minutes, quarters, start, stored_from, decided_from, unsaved };
        // It says since when is counted, also where nothing happens.
        series.add(start, &Counts::default());
        series
    }

    /// Since when failures are counted.
    pub fn failures_since(&self) -> Timestamp {
        self.stored_from.unwrap_or(self.start).min(self.start)
    }

    /// Since when bans and unbans are counted.
    pub fn decisions_since(&self) -> Timestamp {
        let since = self.failures_since();
        self.decided_from.unwrap_or(since).min(since)
    }

    pub fn failure(&mut self, grade: Grade, now: Timestamp) {
        let mut counts = Counts::default();
        if let Some(count) = counts.failures.get_mut(grade as usize) {
            *count = 1;
        }
        self.add(now, &counts);
    }

    pub fn ban(&mut self, now: Timestamp) {
        self.add(now, &Counts { bans: 1, ..Counts::default() });
    }

    pub fn unban(&mut self, now: Timestamp) {
        self.add(now, &Counts { unbans: 1, ..Counts::default() });
    }

    fn add(&mut self, now: Timestamp, counts: &Counts) {
        self.minutes.add(self.minutes.number(now), counts);
        let quarter = self.quarters.number(now);
        self.quarters.add(quarter, counts);
        self.changed(quarter);
    }

    fn changed(&mut self, quarter: u64) {
        self.unsaved = Some(self.unsaved.map_or(quarter, |unsaved| unsaved.min(quarter)));
    }

    /// Adds what was counted before the start. `stored` has the number of each quarter with its counts; `decided`
    /// the number of each minute with its bans and unbans, complete from `from` on: after a crash it has more of
    /// them than was stored.
    pub fn fill(&mut self, stored: &[(u64, Counts)], from: Timestamp, decided: &[(u64, u32, u32)]) {
        let mut in_quarters: BTreeMap<u64, Counts> = BTreeMap::new();
        for (number, bans, unbans) in decided.iter().copied() {
            let counts = Counts { bans, unbans, ..Counts::default() };
            self.minutes.add(number, &counts);
            let quarter = number / (QUARTER.as_secs() / MINUTE.as_secs());
            in_quarters.entry(quarter).or_default().add(&counts);
        }
        let mut before: BTreeMap<u64, Counts> = stored.iter().copied().collect();
        self.stored_from = before.keys().next().map(|quarter| self.quarters.beginning(*quarter));
        self.decided_from = Some(from);
        for (quarter, Counts { bans, unbans, .. }) in in_quarters {
            let counts = before.entry(quarter).or_default();
            if counts.bans < bans || counts.unbans < unbans {
                counts.bans = counts.bans.max(bans);
                counts.unbans = counts.unbans.max(unbans);
                self.changed(quarter);
            }
        }
        for (quarter, counts) in &before {
            self.quarters.add(*quarter, counts);
        }
    }

    /// The quarters to be stored from the oldest that changed on; `None` when nothing did since the last call.
    pub fn take_unsaved(&mut self) -> Option<(u64, Vec<(u64, Counts)>)> {
        let from = self.unsaved.take()?;
        let counts = self.quarters.counts.range(from..);
        Some((from, counts.map(|(quarter, counts)| (*quarter, *counts)).collect()))
    }

    /// Moves what was counted in this run by so many µs, as far as those are whole slots.
    pub(super) fn shift(&mut self, by: i64) {
        self.minutes.shift(self.start, by);
        self.quarters.shift(self.start, by);
        self.changed(self.quarters.number(self.start));
        self.start = moved(self.start, by);
        self.changed(self.quarters.number(self.start));
    }

    /// `count` spans of so many seconds each, which are whole minutes and, beyond the last hour, whole quarters of
    /// an hour. They begin at round times, the oldest first; `now` is within the last one.
    pub fn read(&self, now: Timestamp, seconds: u32, count: u32) -> Vec<(Timestamp, Counts)> {
        let span = u64::from(seconds.max(1)) * 1_000_000;
        let slots = if span < self.quarters.width { &self.minutes } else { &self.quarters };
        let end = now.as_micros() / span + 1;
        let spans = end.saturating_sub(count.into())..end;
        let sum = |span_number: u64| {
            let (from, to) = (span_number * span, (span_number + 1) * span);
            let mut sum = Counts::default();
            for counts in slots.counts.range(from / slots.width..to / slots.width) {
                sum.add(counts.1);
            }
            (Timestamp::from_micros(from), sum)
        };
        spans.map(sum).collect()
    }
}

impl Slots {
    fn new(width: Duration, kept: Duration) -> Self {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let width = micros(width);
        Self { width, most: micros(kept) / width, counts: BTreeMap::new() }
    }

    /// The slot of a time.
    fn number(&self, time: Timestamp) -> u64 {
        time.as_micros() / self.width
    }

    fn beginning(&self, number: u64) -> Timestamp {
        Timestamp::from_micros(number.saturating_mul(self.width))
    }

    /// Adds counts to a slot, and forgets what is too old then.
    fn add(&mut self, number: u64, counts: &Counts) {
        self.counts.entry(number).or_default().add(counts);
        let newest = self.counts.keys().next_back().copied().unwrap_or(number);
        let oldest = newest.saturating_sub(self.most);
        while self.counts.first_entry().is_some_and(|first| *first.key() < oldest) {
            self.counts.pop_first();
        }
    }

    /// Moves what is counted from `start` on.
    fn shift(&mut self, start: Timestamp, by: i64) {
        let slots = by / self.width.cast_signed();
        if slots == 0 {
            return;
        }
        for (number, counts) in self.counts.split_off(&self.number(start)) {
            self.add(number.saturating_add_signed(slots), &counts);
        }
    }
}

#[cfg(test)]
mod tests;
