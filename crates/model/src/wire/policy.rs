//! The policy: its values, where each comes from, and what can be changed at run time.

mod key;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use key::MAX_PATTERN;
pub use key::{PolicyKey, RuleSetting};

use super::StoreHealth;

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Every value, by key.
    pub values: Vec<PolicyValue>,
    /// The state of the store after the change.
    pub store: StoreHealth,
}

/// One value of the policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyValue {
    /// Its name in `[policy]` of the configuration file; durations have `_seconds` behind it.
    #[schema(example = "rules.users.window_seconds")]
    pub key: String,
    /// A number, a text, or a list of texts.
    #[schema(value_type = serde_json::Value)]
    pub value: serde_json::Value,
    /// What holds when nothing sets it.
    #[schema(value_type = serde_json::Value)]
    pub default: serde_json::Value,
    /// Where it comes from.
    pub origin: PolicyOrigin,
    /// What would hold without the override; `null` when there is none.
    #[schema(value_type = Option<serde_json::Value>)]
    pub overridden: Option<serde_json::Value>,
}

/// Where a value comes from: the last of these that says something.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOrigin {
    /// It was not set.
    Default,
    /// The configuration file.
    File,
    /// Changed at run time and stored: it outlives a restart.
    Stored,
    /// Changed at run time until the daemon ends.
    Runtime,
}

/// New values; what is left out stays as it is. At least one must be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// Failures within the window that ban, 1 to 1000.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    pub max_failures: Option<u32>,
    /// Length of the window, 1 s to 7 d.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 604_800)]
    pub window_seconds: Option<u64>,
    /// Length of a first ban, 1 s to 365 d, and not above `escalation.max_seconds`.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub ban_time_seconds: Option<u64>,
    /// Any value that can be changed, by its key in `GET /policy`: `{"rules.users.mode": "shadow"}`. The
    /// ranges are those of the configuration file; `rules.user_agents.patterns` are at most 256 parts of user
    /// agents of 3 to 62 bytes each.
    #[serde(default)]
    #[schema(schema_with = key::values)]
    pub values: BTreeMap<String, serde_json::Value>,
    /// Whether it outlives a restart. True when left out.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub stored: bool,
}

impl Default for PolicyChange {
    /// Changes nothing, for good.
    fn default() -> Self {
        Self {
            max_failures: None,
            window_seconds: None,
            ban_time_seconds: None,
            values: BTreeMap::new(),
            stored: true,
        }
    }
}

fn yes() -> bool {
    true
}

/// The configuration file was reloaded. Overrides still take precedence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// Sections that differ from those in force and wait for a restart.
    pub needs_restart: Vec<String>,
    /// The problem of the certificate of the API on TCP; then the previous one remains in use.
    #[serde(default)]
    pub certificate_problem: Option<String>,
}
