//! What a change would mean.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sipward_engine::RuleName;
use utoipa::ToSchema;

use super::HostEntry;
use super::words;
use crate::text::Time;

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

/// What a changed policy would have done in the last week, as far as that is known. Networks are counted once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyReplay {
    /// Values that would differ from those in force.
    pub changes: Vec<ValueChange>,
    /// The oldest ban that was looked at; `null` when there is none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub bans_from: Option<Time>,
    /// The history holds no older ban of this week. Else there were more than 100,000, or reading took too long.
    pub bans_whole: bool,
    /// Bans by rules since then.
    pub bans: u64,
    /// Networks that they banned.
    pub banned: u64,
    /// Networks among them that would have been banned as well.
    pub banned_again: u64,
    /// Networks for which the evidence is not sufficient.
    pub unsure: u64,
    /// Networks that would not have been banned.
    pub not_banned_total: u64,
    /// Networks among these with known, registered or exempt hosts.
    pub not_banned_healthy: u64,
    /// The first of them, those with such hosts before all others.
    #[schema(max_items = 100)]
    pub not_banned: Vec<ReplayedLift>,
    /// Failures that were judged again: those that are remembered.
    pub failures: u64,
    /// From then on none of them is missing.
    #[schema(value_type = String, format = DateTime)]
    pub failures_from: Time,
    /// Networks that would have been banned besides, by these failures.
    pub added_total: u64,
    /// Networks among these with known, registered or exempt hosts.
    pub added_healthy: u64,
    /// The first of them, those with such hosts before all others.
    #[schema(max_items = 100)]
    pub added: Vec<ReplayedBan>,
}

/// A network that was banned and would not have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayedLift {
    /// The network.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: IpNet,
    /// The rule that banned it.
    #[schema(schema_with = words::rule)]
    pub rule: RuleName,
    /// Why it would not.
    pub because: NotMadeBecause,
    /// It holds known, registered or exempt hosts now.
    pub healthy: bool,
}

/// A network that would have been banned and was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayedBan {
    /// The network.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: IpNet,
    /// The rule that would have banned it.
    #[schema(schema_with = words::rule)]
    pub rule: RuleName,
    /// It holds known, registered or exempt hosts now.
    pub healthy: bool,
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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
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
