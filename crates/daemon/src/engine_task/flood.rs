//! How FreeSWITCH fares in a flood: what the shield drops, whether FreeSWITCH answers, which strangers send most.
//!
//! *Shielded*: the budgets of strangers have dropped packets for 5 s. *Deaf*: a profile has answered no OPTIONS
//! request for 3 s. Neither knows anything of the other: with the gate off FreeSWITCH goes deaf unshielded, and
//! behind a shield it should never.

mod overload;
mod profiles;
mod strangers;

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::Timestamp;
use sipward_route::ShieldCounts;

pub(crate) use overload::Overload;
pub use profiles::{Answers, Profiles};
pub(crate) use strangers::Strangers;

use crate::probe::Probed;
use sipward_model::record::Record;

/// The budgets must drop for so long before that is a state.
const SHIELDED_AFTER: Duration = Duration::from_secs(5);

/// A pause in what they drop that is shorter than this is none: counts come once a second, and late on a busy
/// machine.
const PAUSE: Duration = Duration::from_millis(2_500);

/// It is over when they have dropped nothing for so long.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// Counts older than this say nothing of the present: none come while nothing arrives.
const PRESENT: Duration = Duration::from_millis(2_500);

/// Part of what FreeSWITCH takes a second, in percent, from which it is asked whether it answers.
const NEAR_PERCENT: u64 = 50;

/// Packets to the SIP ports in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// What reached FreeSWITCH.
    pub passed: u64,
    /// What did not, of hosts that are not banned.
    pub dropped: u64,
    /// What the budgets of all strangers together dropped of that.
    pub by_budgets: u64,
}

/// What is remembered of it.
#[derive(Debug, Default)]
pub struct Flood {
    second: Second,
    counted_at: Option<Timestamp>,
    /// When the shield has counted last. Without a shield only what arrives is counted.
    shield_at: Option<Timestamp>,
    /// Since the start.
    totals: ShieldCounts,
    /// Packets dropped on the latest day (UTC) that any were counted on, and its number.
    today: (u64, u64),
    /// The budgets drop, or did a moment ago.
    dropping: Option<Dropping>,
    is_shielded: bool,
    pub profiles: Profiles,
    pub strangers: Strangers,
    pub overload: Overload,
}

/// The budgets drop without a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dropping {
    since: Timestamp,
    last: Timestamp,
    /// Packets dropped since then, by whatever limit.
    dropped: u64,
    /// The most in one second.
    most: u64,
}

impl Flood {
    /// Takes what has arrived in the last second, where no shield says what becomes of it.
    pub(super) fn arrived(&mut self, packets: u64, now: Timestamp) {
        if self.shield_at.is_none_or(|at| now.since(at) >= PRESENT) {
            self.note(Second { passed: packets, ..Second::default() }, now);
        }
    }

    /// Takes what the shield has counted in the last second; `requests` is what each profile takes a second.
    pub(super) fn counted(&mut self, counts: &ShieldCounts, requests: u32, now: Timestamp) {
        self.overload.counted(counts.unlimited, requests, now);
        self.shield_at = Some(now);
        self.totals += *counts;
        self.note(Second::from(counts), now);
    }

    /// Adds packets that were dropped at this wall time.
    pub(super) fn dropped_at(&mut self, wall: Timestamp, packets: u64) {
        let day = day_of(wall);
        let before = if self.today.0 == day { self.today.1 } else { 0 };
        self.today = (day, before.saturating_add(packets));
    }

    /// Packets dropped on the day of this wall time, since the start.
    pub fn dropped_today(&self, wall: Timestamp) -> u64 {
        if self.today.0 == day_of(wall) { self.today.1 } else { 0 }
    }

    /// What the shield has counted since the start.
    pub fn totals(&self) -> &ShieldCounts {
        &self.totals
    }

    fn note(&mut self, second: Second, now: Timestamp) {
        self.second = second;
        self.counted_at = Some(now);
        // Within the state a pause ends nothing: it may be over soon, or come again.
        let goes_on = |dropping: &Dropping| self.is_shielded || now.since(dropping.last) < PAUSE;
        match (&mut self.dropping, second.by_budgets) {
            (Some(dropping), drops) if goes_on(dropping) => {
                dropping.dropped = dropping.dropped.saturating_add(second.dropped);
                dropping.most = dropping.most.max(second.dropped);
                if drops > 0 {
                    dropping.last = now;
                }
            }
            (Some(_) | None, 0) => {}
            (dropping, _) => {
                let (since, last, most) = (now, now, second.dropped);
                *dropping = Some(Dropping { since, last, dropped: second.dropped, most });
            }
        }
    }

    /// Packets of the last second; none when nothing arrives.
    pub fn second(&self, now: Timestamp) -> Second {
        let is_present = self.counted_at.is_some_and(|at| now.since(at) < PRESENT);
        if is_present { self.second } else { Second::default() }
    }

    /// Since when the shield is at work.
    pub fn shielded_since(&self) -> Option<Timestamp> {
        self.dropping.filter(|_| self.is_shielded).map(|dropping| dropping.since)
    }

    /// Looks whether a state has begun or is over. `phones` is how many are registered.
    pub(super) fn beat(&mut self, phones: usize, now: Timestamp) -> Option<Record> {
        let Dropping { since, last, dropped, most } = self.dropping?;
        let is_present = now.since(last) < PAUSE;
        if !self.is_shielded && is_present && last.since(since) >= SHIELDED_AFTER {
            self.is_shielded = true;
            return Some(Record::Shielded { dropped_per_second: self.second(now).dropped, phones });
        }
        if self.is_shielded && now.since(last) >= OVER_AFTER {
            self.is_shielded = false;
            self.dropping = None;
            let seconds = last.since(since).as_secs_f64();
            return Some(Record::ShieldOver { seconds, dropped, most_per_second: most });
        }
        None
    }

    /// Whether FreeSWITCH is to be asked whether it answers: the shield drops, or what passes is not far from
    /// the `requests` a second that a profile takes, or it did not answer last.
    pub(super) fn wants_probe(&self, requests: u32, now: Timestamp) -> bool {
        let drops = self.dropping.is_some_and(|dropping| now.since(dropping.last) < OVER_AFTER);
        let near = self.second(now).passed * 100 >= u64::from(requests) * NEAR_PERCENT;
        drops || near || self.profiles.is_deaf()
    }

    /// Takes what a probe has found.
    pub(super) fn probed(&mut self, probed: Probed, now: Timestamp) -> Option<Record> {
        self.profiles.probed(probed, now)
    }

    /// Looks whether unlimited hosts send too much, or no longer.
    pub(super) fn overload_beat(&mut self, now: Timestamp) -> Option<Record> {
        self.overload.beat(now)
    }

    /// Takes the strangers that send most: each with its packets, and whether it is slowed. `limit` is what each
    /// may send a second that is not.
    pub(super) fn busy(
        &mut self,
        list: impl IntoIterator<Item = (IpNet, u64, bool)>,
        limit: u32,
        now: Timestamp,
    ) -> Vec<Record> {
        self.strangers.take(list, limit, now)
    }

    /// From now on only `targets` are probed.
    pub(super) fn rests(&mut self, targets: &[SocketAddr]) {
        self.profiles.keep(targets);
    }
}

/// The number of a day in UTC, counted from the epoch.
fn day_of(wall: Timestamp) -> u64 {
    wall.as_micros() / 86_400_000_000
}

impl From<&ShieldCounts> for Second {
    fn from(counts: &ShieldCounts) -> Self {
        let ShieldCounts { unlimited, healthy, strangers, newcomers: _, dropped } = counts;
        // Slowed hosts are dropped before anything else is counted.
        let judged = unlimited.saturating_add(*healthy).saturating_add(*strangers);
        let of_judged = dropped.total().saturating_sub(dropped.slowed.total());
        Self {
            passed: judged.saturating_sub(of_judged),
            dropped: dropped.total(),
            by_budgets: dropped.by_budgets(),
        }
    }
}

#[cfg(test)]
mod tests;
