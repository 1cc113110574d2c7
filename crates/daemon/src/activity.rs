//! Recent activity, collected from the records: counts by the minute, alarms, failures.
//!
//! | module | holds |
//! |---|---|
//! | `series` | failures, bans and unbans: an hour by the minute, a month by the quarter of an hour |
//! | `alarms` | alarms of a day, and which of them are over |
//! | `ticker` | the latest decisions and failures, for a short list |
//! | `attacks` | the latest failures, and the tables made from them: users, sources, user agents |
//!
//! The task that counts for Prometheus keeps it ([`crate::metrics`]), so the engine's task has no part in it.
//! Nothing here knows the time: it is handed in. Everything is bounded. Of what was before the start the store
//! has the counts of a month.

mod alarms;
mod attacks;
mod series;
mod ticker;

use std::sync::Arc;

use sipward_engine::Timestamp;

pub use alarms::{ActiveState, Alarms, Kept, Report, Seen};
pub use attacks::{
    Attacked, Attacks, Column, MOST_FAILURES, Patient, Remembered, Row, patients, rows, users,
    within,
};
pub use series::Series;
pub use ticker::{Tick, Ticker};

use sipward_model::clock;
use sipward_model::record::Record;

/// Everything that is remembered.
#[derive(Debug)]
pub struct Activity {
    pub series: Series,
    pub alarms: Alarms,
    pub attacks: Attacks,
    pub ticker: Ticker,
}

impl Activity {
    /// Remembers what comes from `start` on.
    pub fn new(start: Timestamp) -> Self {
        Self {
            series: Series::new(start),
            alarms: Alarms::default(),
            attacks: Attacks::new(start),
            ticker: Ticker::default(),
        }
    }

    /// Adds a record of the time `now`. Gives what the store is to keep of an alarm.
    pub fn note(&mut self, record: &Arc<Record>, now: Timestamp) -> Option<Kept> {
        match &**record {
            Record::ClockStepped { by_seconds, .. } => self.shift(clock::micros(*by_seconds)),
            Record::AuthFailure(judgement) => {
                self.series.failure(judgement.grade, now);
                self.attacks.failure(judgement, now);
            }
            Record::Ban(_) => self.series.ban(now),
            Record::Unban { .. } => self.series.unban(now),
            Record::NeedsAttention { .. } => self.attacks.attention(record, now),
            _ => {}
        }
        self.ticker.note(record, now);
        self.alarms.note(record, now)
    }

    /// The system's clock was set: what was remembered happened at other times than it seemed.
    fn shift(&mut self, by: i64) {
        self.series.shift(by);
        self.alarms.shift(by);
        self.attacks.shift(by);
        self.ticker.shift(by);
    }
}
