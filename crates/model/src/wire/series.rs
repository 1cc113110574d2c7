//! Failures, bans and unbans over time.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Grades;
use crate::text::Time;

/// How far back a series goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesRange {
    /// The last hour: 60 buckets of a minute.
    #[default]
    Hour,
    /// The last day: 96 buckets of 15 minutes.
    Day,
    /// The last week: 168 buckets of an hour.
    Week,
    /// The last month: 30 buckets of a day (UTC).
    Month,
}

/// Which series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SeriesQuery {
    /// How far back; default `hour`.
    #[param(inline)]
    pub range: Option<SeriesRange>,
}

/// What happened when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Series {
    /// How far back it goes.
    pub range: SeriesRange,
    /// Length of a bucket.
    pub bucket_seconds: u32,
    /// Equal buckets that begin at round times, the oldest first; the last one holds the present minute. What did not
    /// happen is 0.
    #[schema(min_items = 30, max_items = 168)]
    pub buckets: Vec<Bucket>,
    /// Failures before this were not counted. Counts are stored for 31 days; while the daemon does not run, nothing
    /// is counted. In the range `hour`, failures before the start of the daemon are left out.
    #[schema(value_type = String, format = DateTime)]
    pub failures_since: Time,
    /// Bans and unbans before this were not counted. Earlier than `failures_since` if the history has them.
    #[schema(value_type = String, format = DateTime)]
    pub decisions_since: Time,
}

/// What happened within one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// Its beginning.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// Failures judged.
    pub failures: u64,
    /// The same by grade.
    pub failures_by_grade: Grades,
    /// Bans made, pieces of split ones included.
    pub bans: u64,
    /// Bans ended.
    pub unbans: u64,
}
