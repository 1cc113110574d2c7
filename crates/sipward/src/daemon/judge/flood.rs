//! How FreeSWITCH fares in a flood: what the shield drops, whether FreeSWITCH answers, which strangers send most.
//!
//! *Shielded*: the budgets of strangers have dropped packets for 5 s. *Deaf*: a profile has answered no OPTIONS
//! request for 3 s. Neither knows anything of the other: with the gate off FreeSWITCH goes deaf unshielded, and
//! behind a shield it should never.

mod profiles;
mod strangers;

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::Timestamp;
use sipward_route::ShieldCounts;

pub(crate) use profiles::{Answers, Profiles};
pub(crate) use strangers::Strangers;

use crate::daemon::probe::Probed;
use crate::record::Record;

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
pub(crate) struct Second {
    /// What reached FreeSWITCH.
    pub(crate) passed: u64,
    /// What did not, of hosts that are not banned.
    pub(crate) dropped: u64,
    /// What the budgets of all strangers together dropped of that.
    pub(crate) by_budgets: u64,
}

/// What is remembered of it.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    second: Second,
    counted_at: Option<Timestamp>,
    /// When the shield has counted last. Without a shield only what arrives is counted.
    shield_at: Option<Timestamp>,
    /// Since the start.
    totals: ShieldCounts,
    /// Since when the budgets drop without a pause, and when they did last.
    dropping: Option<(Timestamp, Timestamp)>,
    shielded: Option<Shielded>,
    pub(crate) profiles: Profiles,
    pub(crate) strangers: Strangers,
}

/// The shield is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shielded {
    /// Since when the budgets drop.
    pub(crate) since: Timestamp,
    /// Packets dropped since then.
    pub(crate) dropped: u64,
    /// The most in one second.
    pub(crate) most: u64,
}

impl Flood {
    /// Takes what has arrived in the last second, where no shield says what becomes of it.
    pub(super) fn arrived(&mut self, packets: u64, now: Timestamp) {
        if self.shield_at.is_none_or(|at| now.since(at) >= PRESENT) {
            self.note(Second { passed: packets, ..Second::default() }, now);
        }
    }

    /// Takes what the shield has counted in the last second.
    pub(super) fn counted(&mut self, counts: &ShieldCounts, now: Timestamp) {
        self.shield_at = Some(now);
        self.totals += *counts;
        self.note(Second::from(counts), now);
    }

    /// What the shield has counted since the start.
    pub(crate) fn totals(&self) -> &ShieldCounts {
        &self.totals
    }

    fn note(&mut self, second: Second, now: Timestamp) {
        self.second = second;
        self.counted_at = Some(now);
        if let Some(shielded) = &mut self.shielded {
            shielded.dropped = shielded.dropped.saturating_add(second.dropped);
            shielded.most = shielded.most.max(second.dropped);
        }
        if second.by_budgets == 0 {
            return;
        }
        let since = match self.dropping {
            Some((since, last)) if now.since(last) < PAUSE => since,
            Some(_) | None => now,
        };
        self.dropping = Some((since, now));
    }

    /// Packets of the last second; none when nothing arrives.
    pub(crate) fn second(&self, now: Timestamp) -> Second {
        let is_present = self.counted_at.is_some_and(|at| now.since(at) < PRESENT);
        if is_present { self.second } else { Second::default() }
    }

    /// Since when the shield is at work, and what it did.
    pub(crate) fn shielded(&self) -> Option<Shielded> {
        self.shielded
    }

    /// Looks whether a state has begun or is over. `phones` is how many are registered.
    pub(super) fn beat(&mut self, phones: usize, now: Timestamp) -> Option<Record> {
        let (since, last) = self.dropping?;
        match self.shielded {
            None if now.since(last) < PAUSE && last.since(since) >= SHIELDED_AFTER => {
                let dropped = self.second(now).dropped;
                self.shielded = Some(Shielded { since, dropped, most: dropped });
                Some(Record::Shielded { dropped_per_second: dropped, phones })
            }
            Some(Shielded { since, dropped, most }) if now.since(last) >= OVER_AFTER => {
                self.shielded = None;
                self.dropping = None;
                let seconds = last.since(since).as_secs_f64();
                Some(Record::ShieldOver { seconds, dropped, most_per_second: most })
            }
            _ => None,
        }
    }

    /// Whether FreeSWITCH is to be asked whether it answers: the shield drops, or what passes is not far from
    /// the `requests` a second that a profile takes, or it did not answer last.
    pub(super) fn wants_probe(&self, requests: u32, now: Timestamp) -> bool {
        let drops = self.dropping.is_some_and(|(_, last)| now.since(last) < OVER_AFTER);
        let near = self.second(now).passed * 100 >= u64::from(requests) * NEAR_PERCENT;
        drops || near || self.profiles.is_deaf()
    }

    /// Takes what a probe has found.
    pub(super) fn probed(&mut self, probed: Probed, now: Timestamp) -> Option<Record> {
        self.profiles.probed(probed, now)
    }

    /// Takes the strangers that send most: each with its packets. `limit` is what each may send a second.
    pub(super) fn busy(
        &mut self,
        list: impl IntoIterator<Item = (IpNet, u64)>,
        limit: u32,
        now: Timestamp,
    ) -> Vec<Record> {
        self.strangers.take(list, limit, now)
    }

    /// Nobody but `targets` is asked any more.
    pub(super) fn rests(&mut self, targets: &[SocketAddr]) {
        self.profiles.keep(targets);
    }
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
