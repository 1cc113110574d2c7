//! What happens: server-sent events, and the latest failures.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sipward_engine::{Exemption, Grade, Identity};
use utoipa::{IntoParams, ToSchema};

use super::{Net, words};
use crate::text::Time;

/// One event, as in the log: the fields besides `event` depend on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// When it was reported.
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// What happened: `auth_failure`, `ban`, `unban`, `refused`, `esl_connected`, `esl_disconnected`, …; or
    /// `missed`, when this listener was too slow: `count` says how many it missed.
    #[schema(example = "ban")]
    pub event: String,
    /// With `message=true`: how urgent it is, as in the log: `ERROR`, `WARN`, `INFO`, `DEBUG`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "WARN")]
    pub level: Option<String>,
    /// With `message=true`: the line of the text log, without time and level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Only these, separated by commas: `ban,unban`. All when left out.
    #[param(example = "ban,unban", max_length = 500)]
    pub event: Option<String>,
    /// Whether each event comes with the line of the text log (`message`) and its `level`; false when left out.
    pub message: Option<bool>,
}

/// Which failures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct FailureQuery {
    /// Only of addresses inside this network.
    #[param(value_type = Option<String>, example = "203.0.113.0/24", max_length = 64)]
    pub inside: Option<Net>,
    /// Only of this grade.
    #[param(schema_with = words::grade)]
    pub grade: Option<Grade>,
    /// Failures on the page, 1 to 1000; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 128)]
    pub cursor: Option<String>,
}

/// A page of the latest failures, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FailurePage {
    /// The failures.
    #[schema(max_items = 1000)]
    pub items: Vec<FailureEntry>,
    /// Failures that are remembered at most; older ones are gone.
    pub remembered_at_most: u64,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// One failed authentication and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FailureEntry {
    /// Counts up from 1 since the start.
    pub id: u64,
    /// When it was judged.
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// The address in the event.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// The user tried.
    pub user: String,
    /// The profile.
    pub profile: String,
    /// The user agent; empty when there was none.
    pub user_agent: String,
    /// How sure the address is.
    #[schema(schema_with = words::grade)]
    pub grade: Grade,
    /// Whether a user logged in from there lately.
    #[schema(schema_with = words::identity)]
    pub identity: Identity,
    /// Taken for a phone with an old password: not counted towards a ban.
    pub attention: bool,
    /// Failures counted then in the window of this source.
    pub failures: u32,
    /// Exempt, and why: it was not counted towards a ban.
    #[schema(schema_with = words::exemption_or_null)]
    pub exempt: Option<Exemption>,
    /// Already banned when this came.
    pub banned: bool,
}
