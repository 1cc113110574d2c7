//! What happened when.

use super::Control;
use sipward_model::text::Time;
use sipward_model::wire::{Bucket, Grades, Series, SeriesQuery, SeriesRange};
use sipward_store::Counts;

impl Control {
    /// Failures, bans and unbans over the last hour, day, week or month, in equal buckets.
    pub fn series(&self, query: &SeriesQuery) -> Series {
        let range = query.range.unwrap_or_default();
        let (seconds, count) = match range {
            SeriesRange::Hour => (60, 60),
            SeriesRange::Day => (900, 96),
            SeriesRange::Week => (3_600, 168),
            SeriesRange::Month => (86_400, 30),
        };
        self.metrics.recall(|activity, now| Series {
            range,
            bucket_seconds: seconds,
            buckets: activity.series.read(now, seconds, count).into_iter().map(bucket).collect(),
            failures_since: Time(activity.series.failures_since()),
            decisions_since: Time(activity.series.decisions_since()),
        })
    }
}

fn bucket((at, sum): (sipward_engine::Timestamp, Counts)) -> Bucket {
    let counts = sum.failures.map(u64::from);
    let [unjoined, unproven, unchallenged, challenged, assumed, answered, genuine] = counts;
    Bucket {
        at: Time(at),
        failures: counts.iter().sum(),
        failures_by_grade: Grades {
            unjoined,
            unproven,
            unchallenged,
            challenged,
            assumed,
            answered,
            genuine,
        },
        bans: sum.bans.into(),
        unbans: sum.unbans.into(),
    }
}
