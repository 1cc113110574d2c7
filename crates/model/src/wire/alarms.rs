//! What needs an operator.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::StoreHealth;
use super::alarm_kind::{AlarmKind, AlarmState};
use crate::text::Time;

/// The alarms of the last day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlarmList {
    /// The worst of the active alarms, and of those without an end in the last hour (`guessed`: in the last day).
    pub state: AlarmState,
    /// The alarms, newest first, with those of before a restart that were acknowledged; at most 520.
    #[schema(max_items = 520)]
    pub items: Vec<Alarm>,
}

/// Something that needs an operator, or needed one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// Its severity while it is active.
    pub severity: AlarmState,
    /// Which of several of this kind: the user, the address or the name that it is about; `null` where there is one.
    #[serde(default)]
    pub about: Option<String>,
    /// It is why `state` is not `ok`, or one of several reasons. One that is acknowledged is not.
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
    /// Who has acknowledged it, and when; `null` when nobody has.
    #[serde(default)]
    pub acknowledged: Option<Acknowledgement>,
    /// The fields of the log line; empty if there is none.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}

/// Who has acknowledged an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledgement {
    /// Name of the token, `link` for a one-time link, `root` or `uid N` on the Unix socket.
    pub name: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

/// Which alarms of a kind are acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AcknowledgeQuery {
    /// Only the one with this `about`; all of the kind when left out.
    #[param(max_length = 1024)]
    pub about: Option<String>,
}

/// What was acknowledged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledged {
    /// Alarms.
    pub count: u64,
    /// Whether that outlives a restart.
    pub store: StoreHealth,
}
