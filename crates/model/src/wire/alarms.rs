//! What needs an operator.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alarm_kind::{AlarmKind, AlarmState};
use crate::text::Time;

/// The alarms of the last day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlarmList {
    /// The worst of what stands, and of what has no end and is less than an hour old.
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
    /// How bad it is while it stands.
    pub severity: AlarmState,
    /// It is why `state` is not `ok`, or one of several reasons.
    pub counts: bool,
    /// Whether it stands; `null` for what happens and is over at once.
    pub standing: Option<bool>,
    /// When it was told of first.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// When it was told of last.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// How often it was told of.
    pub times: u32,
    /// When it ended, where that was told.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Time>,
    /// The line of the log for people; text that came from the network is escaped in it.
    pub text: String,
    /// The fields of the log line; empty where no line tells of it.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}
