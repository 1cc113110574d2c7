//! How FreeSWITCH fares in a flood.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::Time;

/// How FreeSWITCH fares in a flood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Flood {
    /// The worst of what is so.
    pub state: FloodState,
    /// Since when; `null` when it is quiet.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// All of it in one sentence.
    #[schema(
        example = "31,204 packets/s dropped; 212 phones registered; FreeSWITCH answers in 4 ms"
    )]
    pub summary: String,
    /// Packets to the SIP ports that reached FreeSWITCH in the last second, of hosts that are not banned.
    pub passed_per_second: u64,
    /// Packets to the SIP ports that were dropped in the last second, of hosts that are not banned.
    pub dropped_per_second: u64,
    /// Such packets that were dropped since midnight UTC, or since the start if that was later.
    #[serde(default)]
    pub dropped_today: u64,
    /// Phones that are registered.
    pub phones: u64,
    /// How long the slowest profile took for its latest answer; `null` while none is asked.
    pub answer_seconds: Option<f64>,
    /// The profiles that answer or have answered: they are asked only while a flood may deafen them.
    #[schema(max_items = 32)]
    pub profiles: Vec<ProfileState>,
    /// The strangers that send most to the SIP ports, from 300 packets in ten minutes on, the fastest first;
    /// at most 20.
    #[schema(max_items = 20)]
    pub strangers: Vec<BusyStranger>,
}

/// The state of a flood.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FloodState {
    /// There is none.
    #[default]
    Quiet,
    /// Strangers send more than they may all together, and have for 5 s: what is above is dropped, healthy
    /// hosts pass.
    Shielded,
    /// A profile of FreeSWITCH has answered no OPTIONS request for 3 s.
    Deaf,
}

/// A profile of FreeSWITCH.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileState {
    /// Where it listens.
    #[schema(example = "192.0.2.1:5060")]
    pub address: String,
    /// How long its latest answer took; `null` when it is not asked, or does not answer.
    pub answer_seconds: Option<f64>,
    /// Since when it is deaf; `null` when it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deaf_since: Option<Time>,
}

/// A stranger that sends much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BusyStranger {
    /// The IPv4 address or IPv6 /64.
    #[schema(value_type = String, example = "198.51.100.7/32")]
    pub net: IpNet,
    /// Packets to the SIP ports in at most the last ten minutes, dropped ones included.
    pub packets: u64,
    /// Packets a second within the last ten seconds; `null` when it is new here.
    pub packets_per_second: Option<f64>,
    /// Since when it sends more than its own limit; `null` when it does not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub limited_since: Option<Time>,
    /// It may send one packet a second only, for ten minutes: rule `scan` found that it sends many, or it guessed
    /// passwords of others.
    pub slowed: bool,
    /// Until when; `null` when it is not slowed, or was before the daemon started.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub slowed_until: Option<Time>,
}
