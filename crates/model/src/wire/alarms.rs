//! What needs an operator.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alarm_kind::{AlarmKind, AlarmState};
use crate::text::Time;

/// The alarms of the last day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlarmList {
    /// The worst of the active alarms, and of those without an end in the last hour (`guessed`: in the last day).
    pub state: AlarmState,
    /// The alarms, newest first; at most 262.
    #[schema(max_items = 262)]
    pub items: Vec<Alarm>,
}

/// Something that needs an operator, or needed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// Its severity while it is active.
    pub severity: AlarmState,
    /// It is why `state` is not `ok`, or one of several reasons.
    pub counts: bool,
    /// Whether it is active; `null` for a single event.
    pub standing: Option<bool>,
    /// When it was first reported.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// When it was last reported.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// How often it was reported.
    pub times: u32,
    /// When it ended, if that was reported.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Time>,
    /// The line of the log for people; text that came from the network is escaped in it.
    pub text: String,
    /// The fields of the log line; empty if there is none.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}
