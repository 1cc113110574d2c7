//! `/series`: what happened when.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::activity::Minute;
use crate::http::error::{self, Answer};
use crate::http::extract::Query;
use crate::model::{Bucket, Grades, Series, SeriesQuery, SeriesSpan};
use crate::text::Time;

/// Failures, bans and unbans over the last hour or day, in equal buckets.
#[utoipa::path(
    get, path = "/api/v1/series", tag = "events", params(SeriesQuery),
    responses(
        (status = 200, description = "What happened when", body = Series), error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Query(query): Query<SeriesQuery>,
) -> Answer<Series> {
    let span = query.span.unwrap_or_default();
    let (minutes, count) = match span {
        SeriesSpan::Hour => (1, 60),
        SeriesSpan::Day => (15, 96),
    };
    Ok(Json(api.metrics.recall(|activity, now| Series {
        span,
        bucket_seconds: minutes * 60,
        buckets: activity.series.read(now, minutes, count).into_iter().map(bucket).collect(),
        failures_since: Time(activity.series.failures_since()),
        decisions_since: Time(activity.series.decisions_since()),
    })))
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
