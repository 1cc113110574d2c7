//! What would happen.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Line;

/// An event or a line of FreeSWITCH's log to try. Exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatIfRequest {
    /// Events as the Event Socket sends them in plain form: `Name: value` lines. Several are separated by
    /// a blank line: the attempt, then the failure. At most 16.
    #[serde(default)]
    #[schema(
        max_length = 32768,
        example = "Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Aregister_failure\n"
    )]
    pub event: Option<String>,
    /// One message of FreeSWITCH's log, as the log file has it.
    #[serde(default)]
    #[schema(max_length = 32768)]
    pub log_line: Option<String>,
}

/// What would happen. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WhatIf {
    /// What was read, one for each event or line.
    pub read: Vec<Reading>,
    /// What would follow, as the log would report it. No route is set, so a ban's `enforced` is false.
    pub effects: Vec<Line>,
    /// What the answer is based on.
    pub basis: String,
}

/// What an event or a line was read as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reading {
    /// Its kind, such as `auth_failure`, `auth_attempt`, `challenge`, `registered`, `report`, `log_parser`;
    /// `nothing` when it means nothing to sipward, `unusable` when it cannot be used.
    pub kind: String,
    /// The address it names.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// Why it cannot be used, or what it means.
    pub detail: Option<String>,
}
