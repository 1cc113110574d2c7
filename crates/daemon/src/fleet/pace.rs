//! How fast this node may say new bans, so that the others go on believing it.

use std::time::Duration;

use sipward_engine::MAX_ASSERTIONS_PER_MINUTE;
use tokio::time::Instant;

/// A sixth below the bound of the others, whose minutes are not this node's.
const PER_MINUTE: u32 = MAX_ASSERTIONS_PER_MINUTE / 6 * 5;

/// Counts new bans by the minute.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many may be said now.
    room: f64,
    at: Instant,
}

/// What may be said at once. The rest of the minute's number comes evenly.
const AT_ONCE: u32 = PER_MINUTE / 2;

impl Default for Pace {
    fn default() -> Self {
        Self { room: f64::from(AT_ONCE), at: Instant::now() }
    }
}

impl Pace {
    /// Whether one more may be said now.
    pub(super) fn has_room(&mut self) -> bool {
        let now = Instant::now();
        let more = now.duration_since(self.at).as_secs_f64() * f64::from(PER_MINUTE - AT_ONCE)
            / Duration::from_secs(60).as_secs_f64();
        self.room = (self.room + more).min(f64::from(AT_ONCE));
        self.at = now;
        self.room >= 1.0
    }

    /// The same, and it is said.
    pub(super) fn may(&mut self) -> bool {
        let may = self.has_room();
        if may {
            self.room -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_minute_has_more_than_the_others_believe() {
        let mut pace = Pace::default();
        let mut said = Vec::new();
        for second in 0..180_u32 {
            while pace.may() {
                said.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let in_minute_from =
            |from: u32| said.iter().filter(|at| (from..from + 60).contains(at)).count();
        let most = (0..120).map(in_minute_from).max().unwrap();
        assert!(most < MAX_ASSERTIONS_PER_MINUTE as usize, "{most} within a minute");
        assert!(in_minute_from(100) > 200, "it goes on: {}", in_minute_from(100));
    }
}
