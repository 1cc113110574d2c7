//! Bans: listed, made, lifted.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sipward_engine::{Grade, Identity, PeerName, RuleName};
use utoipa::{IntoParams, ToSchema};

use super::{CountryCode, Location, Net, StoreHealth, words};
use crate::text::Time;

/// A standing ban.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ban {
    /// The banned network.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: IpNet,
    /// What of it is stopped.
    pub scope: BanScope,
    /// Its beginning.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// Its end; `null` for a ban without an end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
    /// Time from now to its end; `null` for a ban without an end.
    pub remaining_seconds: Option<f64>,
    /// What decided it, which determines what may lift it.
    pub origin: BanOrigin,
    /// What the kernel made of it.
    pub state: BanState,
    /// Why it stops nothing: what the kernel said when it refused the route, or the rule or route of another
    /// program that wins. It is tried again when that goes, and every few seconds.
    pub error: Option<String>,
    /// The route of another program that blocks it, where sipward's could not be set.
    pub enforced_by: Option<String>,
    /// Packets that the gate dropped because of this ban, since the ban or since the gate was put back, at most ten
    /// seconds old. `null` for networks, and for bans made while more than 8,192 hosts are banned.
    #[serde(default)]
    pub packets_dropped: Option<u64>,
    /// Why.
    pub cause: Cause,
    /// Where its first address is, by the files of `[geo]`; `null` when they say nothing of it, or there are none.
    #[serde(default)]
    pub location: Option<Location>,
}

/// What a ban stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BanScope {
    /// Everything, by a blackhole route and the gate.
    Host,
    /// Packets to the SIP ports (UDP, TCP, TLS, WebSocket), by the gate: web, mail and SSH stay reachable.
    Sip,
}

/// What decided a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BanOrigin {
    /// Another node of the fleet.
    Remote,
    /// A rule, or a route found at start.
    Automatic,
    /// An operator.
    Manual,
    /// An operator, with `force`.
    Forced,
}

/// What the kernel made of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BanState {
    /// Its answer is under way.
    Pending,
    /// Its packets are dropped on arrival: a look-up for each way in showed that a blackhole wins, or its set of the
    /// gate contains it, and the gate is active.
    Enforced,
    /// The route is set, but does not keep the packets out; in observe mode there is none.
    Ineffective,
    /// The kernel refused the route.
    Failed,
}

/// Why a ban was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// What decided it.
    pub by: By,
    /// The wider ban that it is left of, when that was split.
    #[schema(value_type = Option<String>)]
    pub split_of: Option<IpNet>,
    /// The operator's reason.
    pub comment: Option<String>,
    /// What was seen, when a rule decided.
    pub evidence: Option<Evidence>,
    /// What a node of the fleet says, when it decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteCause>,
}

/// A ban of another node of the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RemoteCause {
    /// The node, `SITE.NODE`. Of several that say the same, the one whose ban lasts longest.
    #[schema(value_type = String, example = "fra.pbx1")]
    pub peer: PeerName,
    /// An operator of that node banned it by hand.
    pub by_hand: bool,
    /// Its rule; `null` for a ban by hand, and for a rule that this version does not know.
    #[schema(schema_with = words::rule_or_null)]
    pub rule: Option<RuleName>,
    /// The weakest evidence among what it counted.
    #[schema(schema_with = words::grade_or_null)]
    pub grade: Option<Grade>,
    /// What the rule counted in its window.
    pub failures: u32,
    /// Sum of their weights.
    pub score: f64,
    /// Bans of the source at that node, this one included.
    pub ban_count: u32,
    /// Its words.
    pub why: String,
}

/// What decided a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A rule.
    Rule,
    /// An operator.
    Manual,
    /// A route of sipward was found in the kernel without a stored ban.
    Adopted,
    /// Another node of the fleet.
    Remote,
}

/// What was seen of a source within the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// The rule.
    #[schema(schema_with = words::rule)]
    pub rule: RuleName,
    /// Address of the event that crossed the threshold.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Whether a user logged in from there lately.
    #[schema(schema_with = words::identity)]
    pub identity: Identity,
    /// What the rule counted in the window: failures, users, hosts.
    pub failures: u32,
    /// Sum of their weights, which is held against the threshold.
    pub score: f64,
    /// The threshold in force for this source.
    pub max_failures: u32,
    /// Length of the window.
    pub window_seconds: f64,
    /// Weakest grade among what was counted.
    #[schema(schema_with = words::grade)]
    pub grade: Grade,
    /// Bans of this source, this one included.
    pub ban_count: u32,
    /// The readable part (`users`, `profile`, `user_agent`, `report`) has aged out of memory.
    pub details_aged_out: bool,
    /// Users tried, each once, newest last; bounded, so it may be a part.
    pub users: Vec<String>,
    /// Profile of the last failure.
    pub profile: Option<String>,
    /// User agent of the last failure.
    pub user_agent: Option<String>,
    /// What the dialplan said, where it reported the source.
    pub report: Option<String>,
}

/// Which bans, in which order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct BanQuery {
    /// Only bans inside this network, or of it.
    #[param(value_type = Option<String>, example = "203.0.113.0/24", max_length = 64)]
    pub inside: Option<Net>,
    /// Only bans that cover this address or network.
    #[param(value_type = Option<String>, example = "203.0.113.7", max_length = 64)]
    pub covering: Option<Net>,
    /// Only bans of this origin.
    #[param(inline)]
    pub origin: Option<BanOrigin>,
    /// Only bans in this state.
    #[param(inline)]
    pub state: Option<BanState>,
    /// Only bans of this scope.
    #[param(inline)]
    pub scope: Option<BanScope>,
    /// Only bans that this rule decided.
    #[param(schema_with = words::rule)]
    pub rule: Option<RuleName>,
    /// Only bans with this in their network, users, user agent, report or comment; the case of ASCII letters
    /// is ignored. Texts that have aged out of memory are not found.
    #[param(max_length = 128)]
    pub search: Option<String>,
    /// Only bans in this country (ISO 3166-1), by the files of `[geo]`.
    #[param(value_type = Option<String>, example = "DE", min_length = 2, max_length = 2)]
    pub country: Option<CountryCode>,
    /// Only bans in this network, by the number of its autonomous system and the files of `[geo]`.
    #[serde(rename = "as")]
    #[param(rename = "as", example = 64500)]
    pub as_number: Option<u32>,
    /// What to sort by; by network when left out.
    #[param(inline)]
    pub sort: Option<BanOrder>,
    /// Which way; `asc` when left out.
    #[param(inline)]
    pub order: Option<Direction>,
    /// Bans on the page, 1 to 1000; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 128)]
    pub cursor: Option<String>,
}

/// Which bans, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct BanFilter {
    /// Only bans inside this network, or of it.
    #[param(value_type = Option<String>, example = "203.0.113.0/24", max_length = 64)]
    pub inside: Option<Net>,
    /// Only bans that cover this address or network.
    #[param(value_type = Option<String>, example = "203.0.113.7", max_length = 64)]
    pub covering: Option<Net>,
    /// Only bans of this origin.
    #[param(inline)]
    pub origin: Option<BanOrigin>,
    /// Only bans in this state.
    #[param(inline)]
    pub state: Option<BanState>,
    /// Only bans of this scope.
    #[param(inline)]
    pub scope: Option<BanScope>,
    /// Only bans that this rule decided.
    #[param(schema_with = words::rule)]
    pub rule: Option<RuleName>,
    /// Only bans with this in their network, users, user agent, report or comment; the case of ASCII letters
    /// is ignored. Texts that have aged out of memory are not found.
    #[param(max_length = 128)]
    pub search: Option<String>,
    /// Only bans in this country (ISO 3166-1), by the files of `[geo]`.
    #[param(value_type = Option<String>, example = "DE", min_length = 2, max_length = 2)]
    pub country: Option<CountryCode>,
    /// Only bans in this network, by the number of its autonomous system and the files of `[geo]`.
    #[serde(rename = "as")]
    #[param(rename = "as", example = 64500)]
    pub as_number: Option<u32>,
}

impl BanQuery {
    /// Which bans, without their order and the page.
    #[must_use]
    pub fn filter(&self) -> BanFilter {
        let Self { inside, covering, origin, state, scope, rule, country, as_number, .. } = *self;
        let search = self.search.clone();
        BanFilter { inside, covering, origin, state, scope, rule, search, country, as_number }
    }
}

/// What bans are sorted by. Bans that are equal in it are sorted by network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BanOrder {
    /// The network: IPv4 before IPv6.
    #[default]
    Net,
    /// The beginning.
    Since,
    /// The end; those without one are the latest.
    Until,
    /// The code of the country; those whose country is not known are the last.
    Country,
    /// The number of the autonomous system; those without a known one are the last.
    As,
}

/// Ascending or descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The smallest or earliest first.
    #[default]
    Asc,
    /// The largest or latest first.
    Desc,
}

/// A page of bans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BanPage {
    /// The bans.
    #[schema(max_items = 1000)]
    pub items: Vec<Ban>,
    /// Bans that the query matches in all, on this page and others.
    pub total: u64,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
    /// Whether there are files that say where addresses are (`[geo] files`).
    #[serde(default)]
    pub located: bool,
}

/// A ban to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBan {
    /// An address or a network; host bits are cleared.
    #[schema(value_type = String, example = "203.0.113.7", max_length = 64)]
    pub net: Net,
    /// Its length, 1 s to ten years. Left out: the policy's `ban_time`.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 315_619_200_u64)]
    pub ban_time_seconds: Option<u64>,
    /// Without an end; then `ban_time_seconds` must be left out.
    #[serde(default)]
    pub permanent: bool,
    /// What it stops. Left out: the policy's `scope`.
    #[serde(default)]
    pub scope: Option<BanScope>,
    /// The operator's reason, kept with the ban. At most 500 bytes.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Also when it covers a gateway, the Event Socket peer, a name server, a trunk, an ACL-allowed host
    /// or an address in `spare`, or is wider than /16 (IPv4) or /32 (IPv6). Nothing overrides loopback and
    /// this host's own addresses.
    #[serde(default)]
    pub force: bool,
    /// Addresses that it must not cover: the SSH client that the command is typed over. At most 16.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 16)]
    pub spare: Vec<IpAddr>,
}

/// A ban that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BanMade {
    /// The ban. `state` is `pending` when the kernel has not answered within two seconds.
    pub ban: Ban,
    /// The state of the store after the change.
    pub store: StoreHealth,
}

/// A network that was unbanned but is still blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StillStopped {
    /// The network.
    #[schema(value_type = String)]
    pub net: IpNet,
    /// By what; it is not sipward's.
    pub by: String,
}

/// Bans that were lifted or split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Unbanned {
    /// How many bans ended: lifted, or split around what was unbanned.
    pub count: u64,
    /// Their networks; at most the first 1000.
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub ended: Vec<IpNet>,
    /// The remaining parts of split bans; at most the first 1000.
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub left: Vec<IpNet>,
    /// Bans whose routes the kernel has not removed yet; usually 0, because the answer waits for it.
    pub unfinished: u64,
    /// Denied flows of addresses in them that are allowed again.
    pub flows: u64,
    /// Networks among `ended` that a route of another program still blocks.
    #[schema(max_items = 1000)]
    pub still_stopped: Vec<StillStopped>,
    /// The state of the store after the change.
    pub store: StoreHealth,
}
