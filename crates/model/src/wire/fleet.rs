//! The fleet: what this node shares with others, and what it takes from them.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::Time;

/// The fleet as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fleet {
    /// Whether `[fleet]` names servers. Without them everything else is empty.
    pub enabled: bool,
    /// This node, as `SITE.NAME`.
    #[schema(example = "fra.pbx-1")]
    pub node: Option<String>,
    /// The way to the other nodes.
    pub link: FleetLink,
    /// What came and went.
    pub counts: FleetCounts,
    /// The nodes that were heard of, this one included, by name.
    #[schema(max_items = 1024)]
    pub nodes: Vec<FleetNode>,
}

/// The connection to the NATS servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetLink {
    /// Whether there is a connection to a server.
    pub connected: bool,
    /// Why there is none.
    pub error: Option<String>,
    /// Whether the stream is followed. Without it new bans still come by the fast way, which keeps nothing.
    pub stream: bool,
    /// Messages of the stream that this node has not read yet.
    pub behind: u64,
    /// Own messages that the servers have not acknowledged yet.
    pub unacknowledged: u64,
    /// Time that the latest message was under way, in seconds, by the server's clock and this one's.
    pub delay_seconds: Option<f64>,
}

/// What came and went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetCounts {
    /// Own bans that stand for all nodes.
    pub published: u64,
    /// Bans of other nodes in force here.
    pub taken: u64,
    /// Messages received since the start, by kind.
    pub received: BTreeMap<String, u64>,
    /// What was refused since the start, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetNode {
    /// `SITE.NAME`.
    #[schema(example = "fra.pbx-1")]
    pub node: String,
    /// Whether it is this one.
    pub own: bool,
    /// How far this node trusts it.
    pub standing: NodeStanding,
    /// Why it is shadowed.
    pub because: Option<String>,
    /// Its weight for a quorum.
    pub weight: u32,
    /// Its version of sipward; `null` while it has not said it.
    pub version: Option<String>,
    /// Its mode: `ban` or `observe`.
    pub mode: Option<String>,
    /// Whether it is connected to FreeSWITCH.
    pub connected: Option<bool>,
    /// When its status came last.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen: Option<Time>,
    /// Seconds that its clock is ahead of the servers'.
    pub clock_ahead_seconds: Option<f64>,
    /// Messages of the stream that it has not read yet, as it says itself.
    pub behind: Option<u64>,
    /// Its bans that stand.
    pub bans: u64,
    /// Those of them that are in force here.
    pub taken: u64,
    /// What was refused of it since the start.
    pub refused: u64,
}

/// How far a node is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeStanding {
    /// It is believed within the limits.
    #[default]
    Accept,
    /// Its bans are counted and none is in force: it went beyond a limit, or an operator said so.
    Shadow,
    /// It is not heard at all: an operator distrusts it.
    Ignore,
}

/// What the fleet says of an address, and what became of it here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetWhy {
    /// The network that was asked for.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: IpNet,
    /// One sentence.
    pub verdict: String,
    /// What nodes say of it.
    #[schema(max_items = 1024)]
    pub assertions: Vec<FleetAssertion>,
    /// An operator's lift that holds.
    pub lift: Option<FleetLift>,
}

/// What one node says of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetAssertion {
    /// `SITE.NAME`.
    #[schema(example = "fra.pbx-1")]
    pub node: String,
    /// The network.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: IpNet,
    /// `banned`, `banned_here` (by this node itself), or the reason why not.
    pub outcome: String,
    /// Until when it is believed here.
    #[schema(value_type = String, format = DateTime)]
    pub until: Time,
    /// The rule by which that node banned; `null` for a ban by hand.
    pub rule: Option<String>,
    /// The grade of its evidence.
    pub grade: Option<String>,
    /// Failures that it counted.
    pub failures: u32,
    /// Its text.
    pub why: String,
}

/// An operator's lift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetLift {
    /// Until when bans of other nodes do not count for the network.
    #[schema(value_type = String, format = DateTime)]
    pub until: Time,
    /// Why.
    pub reason: String,
}
