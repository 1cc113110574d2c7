//! Denied flows: listed, allowed again.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sipward_engine::Flow;
use utoipa::{IntoParams, ToSchema};

use super::{BanState, Cause, Net, StoreHealth};
use crate::text::Time;

/// A denied flow: one port of one address, whose other ports are not affected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeniedFlow {
    /// Address, protocol and source port.
    #[schema(value_type = String, example = "203.0.113.7 udp 41234")]
    pub flow: Flow,
    /// The address.
    #[schema(value_type = String, example = "203.0.113.7")]
    pub address: IpAddr,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Time,
    /// Time from now to its end.
    pub remaining_seconds: f64,
    /// What the kernel made of it.
    pub state: BanState,
    /// What the kernel said, where it refused.
    pub error: Option<String>,
    /// Why.
    pub cause: Cause,
}

/// Which flows. They are sorted by address, protocol and port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct FlowQuery {
    /// Only flows of addresses inside this network.
    #[param(value_type = Option<String>, example = "203.0.113.7", max_length = 64)]
    pub inside: Option<Net>,
    /// Flows on the page, 1 to 1000; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 128)]
    pub cursor: Option<String>,
}

/// A page of denied flows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlowPage {
    /// The flows.
    #[schema(max_items = 1000)]
    pub items: Vec<DeniedFlow>,
    /// Flows that the query matches in all, on this page and others.
    pub total: u64,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// A flow that is allowed again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlowAllowed {
    /// The flow.
    #[schema(value_type = String, example = "203.0.113.7 udp 41234")]
    pub flow: Flow,
    /// The state of the store after the change.
    pub store: StoreHealth,
}
