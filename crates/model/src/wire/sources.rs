//! Why an address is banned, or is not.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sipward_engine::{Exemption, Grade, Identity, RuleName};
use utoipa::ToSchema;

use super::{Ban, DeniedFlow, HistoryEntry, Location, words};
use crate::text::Time;

/// Everything that is known of an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SourceReport {
    /// The address.
    #[schema(value_type = String, example = "203.0.113.7")]
    pub address: IpAddr,
    /// The network it is counted and banned by.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: IpNet,
    /// Whether it is banned, and why or why not, in one sentence.
    #[schema(
        example = "not banned: 9 of 20 within 10m: known phone; forgeable failures do not count"
    )]
    pub verdict: String,
    /// Whether a user logged in from there lately.
    #[schema(schema_with = words::identity)]
    pub identity: Identity,
    /// Failures in the window that count.
    pub failures: u32,
    /// Sum of their weights, which is held against the threshold.
    pub score: f64,
    /// The threshold that holds for this identity; the policy's where no rule bans it for failures.
    pub max_failures: u32,
    /// Length of the window.
    pub window_seconds: f64,
    /// Weakest grade among the counted failures; `null` when there is none.
    #[schema(schema_with = words::grade_or_null)]
    pub grade: Option<Grade>,
    /// Failures without weight, because they are forgeable.
    pub unproven: u32,
    /// Failures that weigh nothing, because no attempt came beside them.
    pub unjoined: u32,
    /// Users tried, each once, newest last; at most 10, as far as they are remembered.
    pub users: Vec<String>,
    /// The counted failures, newest first; at most the latest 1000.
    #[schema(max_items = 1000)]
    pub seen: Vec<SeenFailure>,
    /// Counted failures whose details have aged out; in `seen` they only have a time and a grade.
    pub aged_out: u32,
    /// Why it is exempt: allow entries, proxies, protected addresses. Empty if it is not.
    pub exempt: Vec<Exempting>,
    /// What it is limited to, if a rule slowed it down; `null` when none did.
    #[serde(default)]
    pub slowed: Option<SlowedSource>,
    /// The bans that cover it, narrowest first.
    pub bans: Vec<Ban>,
    /// Flows of it that are denied: its other ports go on. At most 1000.
    #[schema(max_items = 1000)]
    pub flows: Vec<DeniedFlow>,
    /// Until when its new flows count as a stranger's, because many of its ports were denied within an hour; `null`
    /// when they do not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub distrusted_until: Option<Time>,
    /// Bans so far, as far as they are remembered.
    pub ban_count: u32,
    /// What became of it before: bans, unbans and refusals of it and of networks that cover it, newest
    /// first, at most 20. `GET /history` has more.
    #[schema(max_items = 20)]
    pub history: Vec<HistoryEntry>,
    /// Why the history cannot be read, if so.
    pub history_error: Option<String>,
    /// Where it is, by the files of `[geo]`; `null` when they say nothing of it, or there are none.
    pub location: Option<Location>,
    /// What the kernel does with packets to it.
    pub kernel: KernelRoute,
}

/// A source that may send one packet a second to the SIP ports (20 at once).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SlowedSource {
    /// The IPv4 address or the IPv6 /64 that has this limit.
    #[schema(value_type = String)]
    pub net: IpNet,
    /// The rule that slowed it down.
    #[schema(schema_with = words::rule)]
    pub rule: RuleName,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Time,
    /// Packets to the SIP ports in at most the last ten minutes, dropped ones included; `null` while it does not
    /// send much.
    pub packets: Option<u64>,
    /// Packets a second within the last ten seconds; `null` while it does not send much.
    pub packets_per_second: Option<f64>,
}

/// One failure that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeenFailure {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// How sure it is that the address sent it.
    #[schema(schema_with = words::grade)]
    pub grade: Grade,
    /// An INVITE; else a REGISTER or another method.
    pub invite: bool,
    /// The user tried; `null` when aged out.
    pub user: Option<String>,
    /// The profile; `null` when aged out.
    pub profile: Option<String>,
    /// The user agent; `null` when aged out, empty when there was none.
    pub user_agent: Option<String>,
}

/// A source that is not banned, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exempting {
    /// Why.
    #[schema(schema_with = words::exemption)]
    pub class: Exemption,
    /// The exempt network.
    #[schema(value_type = String)]
    pub net: IpNet,
}

/// What the kernel does with packets to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KernelRoute {
    /// Whether it is blackholed.
    pub state: RouteState,
    /// The route that wins instead, as `ip route` shows it, or why it is unknown.
    pub detail: Option<String>,
}

/// Whether a source is blackholed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteState {
    /// It does: what the address sends is dropped.
    Blackhole,
    /// Another route wins.
    Other,
    /// The kernel could not be queried.
    Unknown,
}
