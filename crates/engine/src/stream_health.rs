//! The health of the whole stream of events: deafness, forged failures, storms of bans.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::{Deafness, Timestamp};

/// No event for this long after a burst is silence: sofia drops whole windows of one second.
const SILENCE: Duration = Duration::from_millis(1_200);

/// A burst is the cause of a silence that follows within this time.
const BURST_LIFE: Duration = Duration::from_secs(5);

/// Deafness that no probe follows is over when it was not seen for this long. FreeSWITCH stays deaf for
/// 1.3 s after a flood and hears a second now and then during one.
const DEAF_FOR: Duration = Duration::from_secs(30);

/// Deafness that a probe has found lasts for so long after the last burst, unless the probe is answered.
const PROBED_DEAF_FOR: Duration = Duration::from_secs(60);

/// An answer to a probe is news for so long: FreeSWITCH is asked once a second.
const ANSWER_LIFE: Duration = Duration::from_secs(2);

const MINUTE: Duration = Duration::from_secs(60);

/// Victims named by an alarm.
const MAX_VICTIMS: usize = 8;

/// Bans within a minute on forgeable evidence (`report` over UDP, `flood` and the like):
/// further ones are only reported.
pub const MAX_FORGEABLE_PER_MINUTE: u32 = 60;

/// Counts over all sources.
#[derive(Debug, Default)]
pub(crate) struct StreamHealth {
    second: Tumbling,
    burst: Option<(Timestamp, u32)>,
    last_event: Option<Timestamp>,
    deaf_until: Option<Timestamp>,
    packets_at: Option<Timestamp>,
    probe: Option<Probe>,
    bans: Tumbling,
    forgeable: Tumbling,
    victims: VecDeque<IpAddr>,
    forgeable_bans: Tumbling,
}

/// A count within a window that begins with the first event after the last window.
#[derive(Debug, Default)]
struct Tumbling {
    begin: Timestamp,
    count: u32,
}

/// What a probe has found last.
#[derive(Clone, Copy, Debug)]
enum Probe {
    Answered(Timestamp),
    Deaf,
}

/// FreeSWITCH fell silent under a flood.
#[derive(Debug, PartialEq)]
pub(crate) struct Deaf {
    pub(crate) burst: u32,
    /// Packets a second; `None` where a probe has found it.
    pub(crate) packets: Option<u32>,
}

impl StreamHealth {
    /// Any event about a source.
    pub(crate) fn event(&mut self, now: Timestamp) {
        self.last_event = Some(now);
    }

    /// A failure was judged.
    pub(crate) fn failure(&mut self, settings: &Deafness, now: Timestamp) {
        let count = self.second.add(Duration::from_secs(1), now);
        if count >= settings.burst {
            self.burst = Some((now, count));
        }
    }

    /// The kernel's count of packets since the last call. Gives deafness when it begins.
    pub(crate) fn packets(
        &mut self,
        count: u64,
        settings: &Deafness,
        now: Timestamp,
    ) -> Option<Deaf> {
        let since = self.packets_at.replace(now)?;
        let elapsed = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX).max(1);
        let packets = u32::try_from(count.saturating_mul(1_000) / elapsed).unwrap_or(u32::MAX);
        let silent = self.last_event.is_some_and(|last| now.since(last) >= SILENCE);
        let (at, burst) = self.burst?;
        let recent = now.since(at) < BURST_LIFE || self.is_deaf(now);
        match self.probe {
            // The probe knows better.
            Some(Probe::Deaf) => return None,
            Some(Probe::Answered(at)) if now.since(at) < ANSWER_LIFE => return None,
            Some(Probe::Answered(_)) | None => {}
        }
        if packets < settings.packets || !silent || !recent {
            return None;
        }
        let begins = !self.is_deaf(now);
        self.deaf_until = Some(now + DEAF_FOR);
        begins.then_some(Deaf { burst, packets: Some(packets) })
    }

    /// What a probe has found: for how long FreeSWITCH has been deaf, `None` when it answers. Gives deafness
    /// when it begins.
    pub(crate) fn probed(&mut self, deaf_for: Option<Duration>, now: Timestamp) -> Option<Deaf> {
        let Some(silence) = deaf_for else {
            self.probe = Some(Probe::Answered(now));
            self.deaf_until = None;
            return None;
        };
        self.probe = Some(Probe::Deaf);
        let (at, burst) = self.burst?;
        // A burst long before the silence is not its cause.
        if now.earlier(silence).since(at) >= BURST_LIFE {
            return None;
        }
        let begins = !self.is_deaf(now);
        let until = at + PROBED_DEAF_FOR;
        self.deaf_until = Some(until);
        (begins && until > now).then_some(Deaf { burst, packets: None })
    }

    /// FreeSWITCH was seen deaf lately.
    pub(crate) fn is_deaf(&self, now: Timestamp) -> bool {
        self.deaf_until.is_some_and(|until| until > now)
    }

    /// A ban was decided. Gives the count when it reaches the limit for a minute.
    pub(crate) fn ban(&mut self, limit: u32, now: Timestamp) -> Option<u32> {
        let bans = self.bans.add(MINUTE, now);
        (bans == limit).then_some(bans)
    }

    /// A ban on forgeable evidence is due. True if it may be made; gives the count with it
    /// when it is the first that may not.
    pub(crate) fn forgeable_ban(&mut self, now: Timestamp) -> (bool, Option<u32>) {
        let bans = self.forgeable_bans.add(MINUTE, now);
        let first = bans == MAX_FORGEABLE_PER_MINUTE + 1;
        (bans <= MAX_FORGEABLE_PER_MINUTE, first.then_some(bans))
    }

    /// A forgeable failure, or one that names a known or protected host. Gives count and victims when it reaches the
    /// limit
    /// for a minute.
    pub(crate) fn forgeable(
        &mut self,
        victim: IpAddr,
        limit: u32,
        now: Timestamp,
    ) -> Option<(u32, Vec<IpAddr>)> {
        if !self.victims.contains(&victim) {
            if self.victims.len() >= MAX_VICTIMS {
                self.victims.pop_front();
            }
            self.victims.push_back(victim);
        }
        let count = self.forgeable.add(MINUTE, now);
        (count == limit).then(|| (count, self.victims.iter().copied().collect()))
    }
}

impl Tumbling {
    /// Counts one, and gives the count within the window.
    fn add(&mut self, window: Duration, now: Timestamp) -> u32 {
        if self.count == 0 || now.since(self.begin) >= window {
            *self = Self { begin: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}
