//! The strangers that send most, and which of them are above their own limit for long.

use std::collections::HashMap;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::{SLOWED_PER_SECOND, Timestamp};

use sipward_model::record::Record;

/// A stranger above its own limit for so long is reported.
const LONG: Duration = Duration::from_secs(60);

/// Strangers reported at once at most; the list has the others.
const REPORTED: usize = 10;

/// What a slowed stranger may send a second, with some room for packets that come in pairs.
const SLOWED_LIMIT: f64 = 1.5;

/// How long a stranger is remembered that is on no list: the kernel counts each for ten minutes and then anew, and
/// names it again from 300 packets on.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How long a list is valid without a new one: there is none while no host sends enough.
const STANDS: Duration = Duration::from_secs(30);

/// Most strangers that are followed: as many as the kernel side reports.
const MOST: usize = 1_024;

/// The strangers of the latest list.
#[derive(Debug, Default)]
pub struct Strangers {
    at: Option<Timestamp>,
    all: HashMap<IpNet, Busy>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Busy {
    /// Packets in at most the last ten minutes.
    pub packets: u64,
    /// Packets a second between the last two lists; `None` on its first.
    pub rate: Option<f64>,
    /// Since when it is above its own limit.
    pub limited: Option<Timestamp>,
    /// It may send one packet a second only: rule `scan`, or an insider.
    pub is_slowed: bool,
    reported: bool,
    /// When it was on a list last.
    seen: Timestamp,
}

impl Strangers {
    /// Takes a new list of sources, their packets and whether they are slowed, `limit` being what each may send
    /// a second that is not. Gives the records of those that are newly limited for long.
    pub(super) fn take(
        &mut self,
        list: impl IntoIterator<Item = (IpNet, u64, bool)>,
        limit: u32,
        now: Timestamp,
    ) -> Vec<Record> {
        let before = std::mem::take(&mut self.all);
        self.at = Some(now);
        let mut records = Vec::new();
        for (source, packets, is_slowed) in list.into_iter().take(MOST) {
            let known = before.get(&source);
            let rate = known.and_then(|known| {
                let span = now.since(known.seen).as_secs_f64();
                // A count that has begun anew meanwhile.
                let more = packets.checked_sub(known.packets).unwrap_or(packets);
                let more = u32::try_from(more).unwrap_or(u32::MAX);
                (span > 0.0).then(|| f64::from(more) / span)
            });
            // A host whose time is over is slowed again soon, if it continues.
            let was_slowed = known.is_some_and(|known| known.is_slowed);
            let most = if is_slowed || was_slowed { SLOWED_LIMIT } else { f64::from(limit) };
            let is_limited = rate.is_some_and(|rate| rate > most);
            let limited = is_limited.then(|| known.and_then(|known| known.limited).unwrap_or(now));
            let for_long = limited.is_some_and(|since| now.since(since) >= LONG);
            let mut reported = limited.is_some() && known.is_some_and(|known| known.reported);
            if for_long && !reported && records.len() < REPORTED {
                reported = true;
                let packets_per_second = rounded(rate.unwrap_or_default());
                let limit = if is_slowed { SLOWED_PER_SECOND } else { limit };
                records.push(Record::Limited { net: source, packets_per_second, limit });
            }
            self.all
                .insert(source, Busy { packets, rate, limited, is_slowed, reported, seen: now });
        }
        let kept = before.into_iter().filter(|(_, busy)| now.since(busy.seen) < REMEMBERED);
        for (source, busy) in kept {
            if self.all.len() < MOST {
                self.all.entry(source).or_insert(busy);
            }
        }
        records
    }

    /// What is known of one; `None` when the list is old.
    pub fn one(&self, source: IpNet, now: Timestamp) -> Option<Busy> {
        let is_fresh = self.at.is_some_and(|at| now.since(at) < STANDS);
        self.all.get(&source).copied().filter(|_| is_fresh)
    }

    /// The busiest first; empty if the list is old.
    pub fn busiest(&self, count: usize, now: Timestamp) -> Vec<(IpNet, Busy)> {
        if self.at.is_none_or(|at| now.since(at) >= STANDS) {
            return Vec::new();
        }
        let mut all: Vec<(IpNet, Busy)> =
            self.all.iter().map(|(source, busy)| (*source, *busy)).collect();
        all.retain(|(_, busy)| Some(busy.seen) == self.at);
        let rate = |busy: &Busy| busy.rate.unwrap_or_default();
        all.sort_by(|(net, a), (other, b)| {
            rate(b).total_cmp(&rate(a)).then(b.packets.cmp(&a.packets)).then(net.cmp(other))
        });
        all.truncate(count);
        all
    }
}

/// A rate as a whole number.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that is cast stays within the range"
)]
pub(crate) fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}
