//! Counts by the minute, in a ring of a day.

use std::collections::VecDeque;

use sipward_engine::{Grade, Timestamp};

use sipward_model::clock::moved;

/// What one place of the ring counts, in microseconds.
pub(crate) const MINUTE_MICROS: u64 = 60_000_000;

/// Minutes remembered: a day, in 40 kB.
pub(crate) const MINUTES: usize = 24 * 60;

/// A day of minutes, the oldest of which falls out.
#[derive(Debug)]
pub struct Series {
    /// The newest minute is last.
    ring: VecDeque<Minute>,
    /// Its number, counted from the epoch.
    newest: u64,
    failures_since: Timestamp,
    decisions_since: Timestamp,
}

/// What happened within a minute, or within several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Failures judged, in the order of [`Grade::ALL`].
    pub failures: [u32; Grade::ALL.len()],
    pub bans: u32,
    pub unbans: u32,
}

impl Minute {
    fn add(&mut self, other: &Self) {
        for (sum, more) in self.failures.iter_mut().zip(other.failures) {
            *sum = sum.saturating_add(more);
        }
        self.bans = self.bans.saturating_add(other.bans);
        self.unbans = self.unbans.saturating_add(other.unbans);
    }
}

impl Series {
    /// Counts from `start` on.
    pub fn new(start: Timestamp) -> Self {
        let ring = VecDeque::from(vec![Minute::default(); MINUTES]);
        Self { ring, newest: number(start), failures_since: start, decisions_since: start }
    }

    /// Since when failures are counted.
    pub fn failures_since(&self) -> Timestamp {
        self.failures_since
    }

    /// Since when bans and unbans are counted.
    pub fn decisions_since(&self) -> Timestamp {
        self.decisions_since
    }

    pub fn failure(&mut self, grade: Grade, now: Timestamp) {
        let count = self.minute(now).and_then(|minute| minute.failures.get_mut(grade as usize));
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
    }

    pub fn ban(&mut self, now: Timestamp) {
        if let Some(minute) = self.minute(now) {
            minute.bans = minute.bans.saturating_add(1);
        }
    }

    pub fn unban(&mut self, now: Timestamp) {
        if let Some(minute) = self.minute(now) {
            minute.unbans = minute.unbans.saturating_add(1);
        }
    }

    /// Adds what was decided before the start: the number of each minute, its bans and unbans. `from` is
    /// how far back that reaches.
    pub fn fill(&mut self, from: Timestamp, minutes: &[(u64, u32, u32)]) {
        for (number, bans, unbans) in minutes.iter().copied() {
            if let Some(minute) = self.at(number) {
                minute.add(&Minute { bans, unbans, ..Minute::default() });
            }
        }
        self.decisions_since = self.decisions_since.min(from);
    }

    /// Moves all minutes by so many µs, as far as those are whole minutes.
    pub(super) fn shift(&mut self, by: i64) {
        let minutes = by / MINUTE_MICROS.cast_signed();
        self.newest = self.newest.saturating_add_signed(minutes);
        self.failures_since = moved(self.failures_since, by);
        self.decisions_since = moved(self.decisions_since, by);
    }

    /// `count` spans of `minutes` each, the oldest first, the last of which ends with the minute of `now`;
    /// each with its beginning.
    pub fn read(&mut self, now: Timestamp, minutes: u32, count: u32) -> Vec<(Timestamp, Minute)> {
        self.advance(number(now));
        let width = u64::from(minutes);
        let end = self.newest + 1;
        let first = end.saturating_sub(width * u64::from(count));
        let span = |from: u64| {
            let mut sum = Minute::default();
            for number in from..from + width {
                if let Some(minute) = self.at(number) {
                    sum.add(&*minute);
                }
            }
            (Timestamp::from_micros(from * MINUTE_MICROS), sum)
        };
        (0..u64::from(count)).map(|n| first + n * width).map(span).collect()
    }

    /// The minute of `now`, which is the newest from now on; of an earlier time that one.
    fn minute(&mut self, now: Timestamp) -> Option<&mut Minute> {
        let number = number(now);
        self.advance(number);
        self.at(number)
    }

    fn advance(&mut self, to: u64) {
        let passed = usize::try_from(to.saturating_sub(self.newest)).unwrap_or(MINUTES);
        for _ in 0..passed.min(MINUTES) {
            self.ring.pop_front();
            self.ring.push_back(Minute::default());
        }
        self.newest = self.newest.max(to);
    }

    /// The minute of this number, unless it has fallen out or is not yet.
    fn at(&mut self, number: u64) -> Option<&mut Minute> {
        let age = usize::try_from(self.newest.checked_sub(number)?).ok()?;
        let place = self.ring.len().checked_sub(age + 1)?;
        self.ring.get_mut(place)
    }
}

/// The minute of a time, counted from the epoch.
fn number(time: Timestamp) -> u64 {
    time.as_micros() / MINUTE_MICROS
}

#[cfg(test)]
mod tests;
