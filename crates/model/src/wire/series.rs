//! Failures, bans and unbans over time.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Grades;
use crate::text::Time;

/// The time span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesSpan {
    /// The last hour: 60 buckets of a minute.
    #[default]
    Hour,
    /// The last day: 96 buckets of 15 minutes.
    Day,
}

/// Which series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SeriesQuery {
    /// The time span; default `hour`.
    #[param(inline)]
    pub span: Option<SeriesSpan>,
}

/// What happened when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Series {
    /// The time span.
    pub span: SeriesSpan,
    /// Length of a bucket.
    pub bucket_seconds: u32,
    /// Equal buckets, the oldest first; the last one holds the present minute. What did not happen is 0.
    #[schema(min_items = 60, max_items = 96)]
    pub buckets: Vec<Bucket>,
    /// Failures before this were not counted: the daemon was started then.
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
