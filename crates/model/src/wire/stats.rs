//! The history in numbers.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::text::Time;

/// Days that are counted at most.
pub const MAX_STATS_DAYS: u64 = 366;

/// Which decisions are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct StatsQuery {
    /// Not before this time, RFC 3339; 30 days ago when left out. At most 366 days are counted.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Time>,
    /// Not after this time, RFC 3339; now when left out.
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<Time>,
    /// Where days begin: minutes that local time is ahead of UTC, -1440 to 1440; 0 when left out.
    #[param(minimum = -1440, maximum = 1440)]
    pub utc_offset_minutes: Option<i16>,
}

/// The decisions of a span, counted. Pieces of split bans do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// Not before this time.
    #[schema(value_type = String, format = DateTime)]
    pub from: Time,
    /// Not after this time.
    #[schema(value_type = String, format = DateTime)]
    pub to: Time,
    /// The oldest decision that is stored; `null` without any. What was before is not counted.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest: Option<Time>,
    /// All of them.
    pub total: Decisions,
    /// By what decided, most bans first.
    pub rules: Vec<RuleStats>,
    /// Bans by country, most bans first; `null` if no file of `[geo]` is in use.
    pub countries: Option<Vec<CountryStats>>,
    /// By day, the oldest first. Days without a decision are left out.
    #[schema(max_items = 368)]
    pub days: Vec<DayStats>,
}

/// Decisions, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decisions {
    /// Bans made.
    pub bans: u64,
    /// Bans ended.
    pub unbans: u64,
    /// Bans that were due and were refused.
    pub refused: u64,
    /// Flows denied.
    pub flows_denied: u64,
}

/// What one rule decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleStats {
    /// The rule; `manual` for an operator, `adopted` for a route found at the start.
    #[schema(example = "failures")]
    pub rule: String,
    /// Bans made.
    pub bans: u64,
    /// Bans that were due and were refused.
    pub refused: u64,
    /// Flows denied.
    pub flows_denied: u64,
}

/// The bans of one country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountryStats {
    /// Its code of ISO 3166-1; `null` for networks that no file knows.
    #[schema(example = "NL")]
    pub country: Option<String>,
    /// Bans made.
    pub bans: u64,
    /// Different networks.
    pub networks: u64,
}

/// The decisions of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayStats {
    /// The day.
    #[schema(format = Date, example = "2026-11-29")]
    pub day: String,
    /// What was decided.
    #[serde(flatten)]
    pub decisions: Decisions,
}
