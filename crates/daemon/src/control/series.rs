//! What happened when.

use super::Control;
use crate::activity::Minute;
use sipward_model::text::Time;
use sipward_model::wire::{Bucket, Grades, Series, SeriesQuery, SeriesSpan};

impl Control {
    /// Failures, bans and unbans over the last hour or day, in equal buckets.
    pub fn series(&self, query: &SeriesQuery) -> Series {
        let span = query.span.unwrap_or_default();
        let (minutes, count) = match span {
            SeriesSpan::Hour => (1, 60),
            SeriesSpan::Day => (15, 96),
        };
        self.metrics.recall(|activity, now| Series {
            span,
            bucket_seconds: minutes * 60,
            buckets: activity.series.read(now, minutes, count).into_iter().map(bucket).collect(),
            failures_since: Time(activity.series.failures_since()),
            decisions_since: Time(activity.series.decisions_since()),
        })
    }
}

fn bucket((at, sum): (sipward_engine::Timestamp, Minute)) -> Bucket {
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
