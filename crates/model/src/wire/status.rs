//! The state of the daemon.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Mode;
use super::{AlarmState, Flood, words};
use crate::text::Time;

/// The state of the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of sipward.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// `ban`, or `observe`: nothing touches the kernel.
    #[schema(schema_with = words::mode)]
    pub mode: Mode,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    pub started: Time,
    /// Time since then.
    pub uptime_seconds: f64,
    /// The connection to FreeSWITCH.
    pub event_socket: EventSocket,
    /// Counts since the start.
    pub totals: Totals,
    /// Failures judged since the start, by grade.
    pub failures: Grades,
    /// Failures within the policy's window: what fail2ban calls `currently failed`.
    pub failed_now: FailedNow,
    /// Bans now.
    pub bans: BanCounts,
    /// Sources now.
    pub sources: SourceCounts,
    /// What the gate covers; `null` in observe mode.
    pub gate: Option<Gate>,
    /// How FreeSWITCH fares in a flood.
    pub flood: Flood,
    /// The three values of the policy that can be changed at run time, as they are in force.
    pub policy: PolicyBrief,
    /// The store.
    pub store: StoreHealth,
    /// What needs an operator.
    pub alarms: AlarmBrief,
    /// Sections of the configuration file that were changed and wait for a restart.
    pub needs_restart: Vec<String>,
}

/// The connection to FreeSWITCH.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventSocket {
    /// Connected, logged in and subscribed.
    pub connected: bool,
    /// The FreeSWITCH end, when connected.
    #[schema(example = "127.0.0.1:8021")]
    pub peer: Option<String>,
    /// Since when it is as it is.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// Why the last connection was lost or could not be made.
    pub error: Option<String>,
    /// Time since the start of which no events were seen, gaps that are over.
    pub blind_seconds: f64,
}

/// Failures within the window, whether they count or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedNow {
    /// Distinct addresses that failed.
    pub sources: u64,
    /// Their failures.
    pub failures: u64,
    /// Distinct addresses among them with failures that count: not forgeable, and no phone's that needs attention.
    #[serde(default)]
    pub attackers: u64,
    /// The failures that count.
    #[serde(default)]
    pub counted: u64,
    /// There were more than are remembered: all of these are at least so many.
    pub at_least: bool,
}

/// What needs an operator; `GET /alarms` has more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmBrief {
    /// The worst of what needs one now.
    pub state: AlarmState,
    /// Their log texts, the newest first; at most 20.
    #[schema(max_items = 20)]
    pub texts: Vec<String>,
    /// Alarms of the last day.
    pub last_day: u64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Events received.
    pub events: u64,
    /// Events dropped because they came faster than they could be judged.
    pub events_dropped: u64,
    /// Failures judged.
    pub failures: u64,
    /// Bans made, pieces of split ones included.
    pub bans: u64,
    /// Bans ended.
    pub unbans: u64,
    /// Bans refused.
    pub refused: u64,
}

/// A count for each grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grades {
    /// No attempt beside it.
    pub unjoined: u64,
    /// The nonce was never checked: forgeable.
    pub unproven: u64,
    /// The nonce was valid, but this address was not challenged.
    pub unchallenged: u64,
    /// This address was challenged, but for another dialog, or the challenge was used up.
    pub challenged: u64,
    /// An old FreeSWITCH that sends no attempts.
    pub assumed: u64,
    /// This dialog was challenged at this address.
    pub answered: u64,
    /// The dialog by which the user is registered from there.
    pub genuine: u64,
}

/// Bans now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BanCounts {
    /// Active bans.
    pub active: u64,
    /// Bans among them with scope `sip`: they stop packets to the SIP ports only. The others stop the host.
    pub sip: u64,
    /// Bans among them that the kernel refused, or that stop nothing because a rule or route of another program
    /// wins or the gate is missing.
    pub not_enforced: u64,
    /// The limit, `policy.max_bans`.
    pub max: u64,
    /// Denied flows: single ports of hosts that are not banned.
    pub flows: u64,
    /// Flows among them that the kernel does not drop.
    pub flows_not_enforced: u64,
}

/// Sources now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceCounts {
    /// Sources whose failures count.
    pub tracked: u64,
    /// Sources whose failures have no weight.
    pub weightless: u64,
    /// Sources that logged in lately.
    pub known: u64,
    /// Phones that need attention: they logged in before and fail now.
    pub attention: u64,
    /// Sources that were banned before.
    pub offenders: u64,
    /// Sources forgotten to make room, since the start.
    pub evicted: u64,
}

/// What the gate covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gate {
    /// IPv4 packets of banned hosts are dropped on arrival.
    pub ipv4_inbound: bool,
    /// IPv6 packets of banned hosts are dropped on arrival.
    pub ipv6_inbound: bool,
    /// The routing table that holds the bans; 254 is main.
    #[serde(default)]
    pub table: u32,
    /// What is not covered, and why.
    pub gaps: Vec<String>,
}

/// What can be changed at run time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyBrief {
    /// Failures within the window that ban.
    pub max_failures: u32,
    /// Length of the window.
    pub window_seconds: f64,
    /// Length of a first ban.
    pub ban_time_seconds: f64,
}

/// The state of the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoreHealth {
    /// Whether it stores changes.
    pub state: StoreState,
    /// What is wrong, and what to do.
    pub problem: Option<String>,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// The database; `null` when it is in memory.
    pub file: Option<String>,
    /// Its size, with its log.
    pub size_bytes: u64,
    /// Entries that wait to be written.
    pub behind_entries: u64,
    /// How long the oldest of them has waited.
    pub behind_seconds: f64,
    /// Entries that found no room since the start.
    pub dropped_entries: u64,
    /// A corrupt database that was set aside at start.
    pub set_aside: Option<String>,
}

/// Whether the store keeps changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreState {
    /// It does: what was answered outlives a restart.
    Ok,
    /// It does not at the moment: bans go on, but may be lost with the process.
    Degraded,
}
