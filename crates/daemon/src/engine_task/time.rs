//! What the engine's task makes of time: steps of the system's clock, suspension, stalls.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Expiry, Timestamp};

use super::{EngineTask, HEARTBEAT};
use sipward_model::clock::{BOOT, moved};
use sipward_model::record::Record;
use sipward_model::text::Time;
use sipward_store::{Entry, SavedBan, Stepped};

/// Two turns are never further apart than a heartbeat. What is twice as long is a stall.
const STALL: Duration = Duration::from_secs(2 * HEARTBEAT.as_secs());

/// What the store follows at least, in µs: rows are not moved for the milliseconds of an NTP client.
const WORTH_MOVING: u64 = 1_000_000;

/// How what is stored differs from what holds.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Steps of the clock that it has not followed, in µs.
    by: i64,
    /// It must follow them for all bans, not only for those of this run.
    all_bans: bool,
    /// Bans whose end had passed at the start are still in it: the clock may have been ahead.
    pub(super) keeps_ended: bool,
    /// Bans about to end by a time that was set a moment ago: they stay in it as well.
    pub(super) ending: HashSet<IpNet>,
}

impl EngineTask {
    /// Was the clock set, the machine suspended?
    pub(super) fn look_at_clock(&mut self) {
        let found = self.clock.look();
        if !found.suspended.is_zero() {
            self.publish(Record::Suspended { seconds: found.suspended.as_secs_f64() });
        }
        if found.stepped == 0 {
            return;
        }
        self.standing.shift(found.stepped);
        self.stored.by = self.stored.by.saturating_add(found.stepped);
        self.stored.all_bans |= !found.corrected;
        if found.corrected || self.stored.by.unsigned_abs() >= WORTH_MOVING {
            self.move_stored();
        }
        if found.corrected {
            self.store.read_again();
        }
        let micros = Duration::from_micros(found.stepped.unsigned_abs()).as_secs_f64();
        self.publish(Record::ClockStepped {
            by_seconds: if found.stepped < 0 { -micros } else { micros },
            now: Time(self.clock.now()),
            corrected: found.corrected,
        });
    }

    fn move_stored(&mut self) {
        let by = std::mem::take(&mut self.stored.by);
        let all_bans = std::mem::take(&mut self.stored.all_bans);
        // As the rows have it.
        let from = moved(self.clock.at_start(), by.saturating_neg());
        let to = moved(self.clock.now(), by.saturating_neg());
        self.store.put(Entry::Stepped(Stepped { from, to, by, all_bans }));
    }

    /// A turn has ended: did it take too long to come to it, or to do it?
    pub(super) fn end_turn(&mut self) {
        let now = Instant::now();
        let gap = now.duration_since(std::mem::replace(&mut self.turned, now));
        if gap >= STALL {
            self.publish(Record::Stalled { seconds: gap.as_secs_f64() });
        }
    }

    /// Bans that had ended at the start leave the store when the clock has had its time to be set right.
    pub(super) fn forget_ended(&mut self) {
        if self.stored.keeps_ended && self.clock.uptime() >= BOOT {
            self.stored.keeps_ended = false;
            self.store.put(Entry::EndPast { at: self.clock.now() });
        }
    }

    /// Beginning and end of a stored ban in steady time. Whatever the clock was, no ban has more left than its
    /// length.
    pub(super) fn restored_times(&self, ban: &SavedBan) -> (Timestamp, Expiry) {
        let now = self.clock.steady();
        let since = self.clock.restored(ban.since, ban.since).min(now);
        let until = match ban.until {
            Expiry::Never => Expiry::Never,
            Expiry::At(end) => {
                let length = end.since(ban.since);
                Expiry::At(self.clock.restored(end, ban.since).min(now + length))
            }
        };
        (since, until)
    }
}

#[cfg(test)]
mod tests;
