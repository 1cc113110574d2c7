//! The wire format: the JSON bodies and queries of `/api/v1`, for the server and for clients.
//!
//! Times are RFC 3339 in UTC. Durations are seconds, with the unit in the name. Addresses are written as
//! IPv4 or IPv6, networks as `192.0.2.0/24`. Text that came from the network (users, user agents,
//! profiles) may contain any character and must be escaped before it is printed.
//!
//! Each list is a page: `items`, and `next` for the `cursor` of the page after it.

mod access;
mod alarm_kind;
mod alarms;
mod allow;
mod attacks;
mod bans;
mod doctor;
mod events;
mod fleet;
mod flood;
mod flows;
mod healthy;
mod history;
mod host_entry;
mod hosts;
mod mode;
mod mode_view;
mod places;
mod policy;
mod preview;
mod problem;
mod recent;
mod scope;
mod series;
mod sources;
mod stats;
mod status;
mod tokens;
mod what_if;
pub mod words;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use access::{AuthMethod, TokenEnd};
pub use alarm_kind::{AlarmKind, AlarmState};
pub use alarms::{AcknowledgeQuery, Acknowledged, Acknowledgement, Alarm, AlarmList};
pub use allow::{AllowChanged, AllowEntry, AllowOrigin, AllowPage, AllowQuery, NewAllow};
pub use attacks::{
    AttackedUser, AttackingSource, Memory, Phone, Top, TopBy, TopEntry, TopOnly, TopQuery,
    UserPage, UserQuery,
};
pub use bans::{
    Ban, BanFilter, BanMade, BanOrder, BanOrigin, BanPage, BanQuery, BanScope, BanState, By, Cause,
    Direction, Evidence, NewBan, RemoteCause, StillStopped, Unbanned,
};
pub use doctor::{Check, CheckState, DoctorQuery, Examination};
pub use events::{EventQuery, FailureEntry, FailurePage, FailureQuery, Line};
pub use fleet::{
    Fleet, FleetAssertion, FleetCounts, FleetLift, FleetLink, FleetNode, FleetWhy, NodeStanding,
};
pub use flood::{BusyStranger, Flood, FloodState, ProfileState};
pub use flows::{DeniedFlow, FlowAllowed, FlowPage, FlowQuery};
pub use healthy::{Healthy, HealthyHost, HealthyReason};
pub use history::{HistoryEntry, HistoryKind, HistoryPage, HistoryQuery};
pub use host_entry::HostEntry;
pub use host_entry::is_host_name;
pub use hosts::{Host, HostName, Location, WhoisReport};
pub use mode::Mode;
pub use mode_view::{ModeView, NewMode};
pub use places::{CountryCode, Place, PlaceBy, PlaceList, PlaceQuery};
pub use policy::MAX_PATTERN;
pub use policy::{
    PolicyChange, PolicyKey, PolicyOrigin, PolicyValue, PolicyView, Reloaded, RuleSetting,
};
pub use preview::{
    AllowPreview, NotMadeBecause, PolicyPreview, PolicyReplay, PreviewedBan, PreviewedSource,
    ReplayedBan, ReplayedLift, ValueChange,
};
pub use problem::{FieldError, Problem, ProblemKind, Refusal};
pub use recent::Recent;
pub use scope::RuleScope;
pub use series::{Bucket, Series, SeriesQuery, SeriesRange};
pub use sources::{Exempting, KernelRoute, RouteState, SeenFailure, SlowedSource, SourceReport};
pub use stats::{CountryStats, DayStats, Decisions, MAX_STATS_DAYS, RuleStats, Stats, StatsQuery};
pub use status::{
    AlarmBrief, BanCounts, EventSocket, FailedNow, Gate, Grades, PolicyBrief, SourceCounts, Status,
    StoreHealth, StoreState, Totals,
};
pub use tokens::{
    LinkMade, NewLink, NewToken, Scope, SessionsEnded, TokenEntry, TokenList, TokenMade,
    TokenRevoked,
};
pub use what_if::{Reading, WhatIf, WhatIfRequest};

/// Under this path everything is found.
pub const BASE: &str = "/api/v1";

/// Items of a page at most.
pub const MAX_LIMIT: u16 = 1_000;

/// Items of a page when nothing is said.
pub const DEFAULT_LIMIT: u16 = 100;

/// Most networks in an answer; it also contains their total number.
pub const MAX_LISTED: usize = 1_000;

/// An address or a network, as a person writes it: `192.0.2.7`, `192.0.2.0/24`. Host bits are cleared;
/// IPv4 mapped into IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net(pub IpNet);

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match net {
            Ok(net) => Ok(Self(sipward_engine::canonical_net(net))),
            Err(_) => Err("write an address (192.0.2.7, 2001:db8::7) or a network (192.0.2.0/24, \
                           2001:db8::/48)"
                .to_owned()),
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Net {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Net {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
