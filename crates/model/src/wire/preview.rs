//! What a change would mean.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sipward_engine::RuleName;
use utoipa::ToSchema;

use super::HostEntry;
use super::words;

/// What a change of the policy would mean. A changed policy ends no ban.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyPreview {
    /// Values that would differ from those in force.
    pub changes: Vec<ValueChange>,
    /// Active bans by rules.
    pub bans_looked_at: u64,
    /// Bans among them that would not have been made by what was seen then.
    pub not_made_total: u64,
    /// The first of them.
    #[schema(max_items = 100)]
    pub not_made: Vec<PreviewedBan>,
    /// Bans that cannot be judged from their evidence: the window is shorter, only better evidence counts, or the
    /// user agent has aged out of memory.
    pub unsure_total: u64,
    /// Bans that would be made again and last longer than they do.
    pub longer: u64,
    /// Bans that would be made again and last shorter than they do.
    pub shorter: u64,
    /// Sources that are at a threshold at once: their next failure bans them.
    pub due_total: u64,
    /// Those of them that failed last.
    #[schema(max_items = 100)]
    pub due: Vec<PreviewedSource>,
    /// Sources that were looked at: those of the failures that are remembered.
    pub sources_looked_at: u64,
    /// Sources whose failures count.
    pub sources_tracked: u64,
}

/// A value that would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ValueChange {
    /// Its key.
    #[schema(example = "rules.users.mode")]
    pub key: String,
    /// As it is.
    #[schema(value_type = serde_json::Value)]
    pub from: serde_json::Value,
    /// As it would be.
    #[schema(value_type = serde_json::Value)]
    pub to: serde_json::Value,
}

/// A ban that would not have been made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewedBan {
    /// The banned network.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: IpNet,
    /// The rule that made it.
    #[schema(schema_with = words::rule)]
    pub rule: RuleName,
    /// Why it would not.
    pub because: NotMadeBecause,
}

/// Why a ban would not have been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotMadeBecause {
    /// The rule would not ban.
    Mode,
    /// It takes more than was seen.
    Threshold,
    /// What was seen is too weak.
    Grade,
    /// The user agent is not on the list.
    UserAgent,
}

/// A source that is at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewedSource {
    /// The address that failed last.
    #[schema(value_type = String, example = "203.0.113.7")]
    pub address: IpAddr,
    /// The rule.
    #[schema(schema_with = words::rule)]
    pub rule: RuleName,
    /// Failures that count.
    pub failures: u32,
    /// Sum of their weights.
    pub score: f64,
}

/// What allowing a host would mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllowPreview {
    /// The host.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub host: HostEntry,
    /// It is already on the list: nothing would change.
    pub already: bool,
    /// Its networks.
    #[schema(value_type = Vec<String>)]
    pub nets: Vec<IpNet>,
    /// Why its name could not be looked up; it would be allowed when that succeeds.
    pub name_error: Option<String>,
    /// Bans that would end: lifted, or split around it.
    pub ended_total: u64,
    /// The first of them.
    #[schema(value_type = Vec<String>, max_items = 100)]
    pub ended: Vec<IpNet>,
    /// Bans that would remain as parts of split ones.
    pub left_total: u64,
    /// The first of them.
    #[schema(value_type = Vec<String>, max_items = 100)]
    pub left: Vec<IpNet>,
    /// Bans by an operator that cover a part of it and would stay: they outrank the allow list.
    pub staying_total: u64,
    /// The first of them.
    #[schema(value_type = Vec<String>, max_items = 100)]
    pub staying: Vec<IpNet>,
}
