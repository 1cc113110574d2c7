//! What was decided before.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sipward_engine::Flow;
use utoipa::{IntoParams, ToSchema};

use super::{BanScope, Cause, CountryCode, Net, Refusal};
use crate::text::Time;

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// What.
    pub event: HistoryKind,
    /// The network.
    #[schema(value_type = String, example = "203.0.113.7/32")]
    pub net: IpNet,
    /// Decided in observe mode: nothing was blocked.
    pub observed: bool,
    /// Of a ban: what of the network is stopped.
    pub scope: Option<BanScope>,
    /// Of a denial: the flow, as `203.0.113.7 udp 41234`. `net` is its address then.
    #[schema(value_type = Option<String>, example = "203.0.113.7 udp 41234")]
    pub flow: Option<Flow>,
    /// Of a ban: its end; `null` for one without an end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
    /// Of an unban: why (`expired`, `manual`, `exempted`, `split`, `superseded`, `not_adopted`).
    pub reason: Option<String>,
    /// Of a refusal: why.
    pub refusal: Option<Refusal>,
    /// Of a ban or a refusal: what made it due.
    pub cause: Option<Cause>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// A ban.
    Ban,
    /// A ban ended.
    Unban,
    /// A ban was due and was not done.
    Refused,
    /// A flow was denied, where the host stays.
    FlowDenied,
    /// A flow was allowed again.
    FlowAllowed,
}

/// Which decisions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only of this address or network, of those inside it, and of those that cover it.
    #[param(value_type = Option<String>, example = "203.0.113.7", max_length = 64)]
    pub net: Option<Net>,
    /// Only of this kind.
    #[param(inline)]
    pub event: Option<HistoryKind>,
    /// Not before this time, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<Time>,
    /// Not after this time, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<Time>,
    /// Only of networks in this country (ISO 3166-1), by the files of `[geo]` as they are now.
    #[param(value_type = Option<String>, example = "DE", min_length = 2, max_length = 2)]
    pub country: Option<CountryCode>,
    /// Only of networks in this one, by the number of its autonomous system and the files of `[geo]`.
    #[serde(rename = "as")]
    #[param(rename = "as", example = 64500)]
    pub as_number: Option<u32>,
    /// Entries on the page, 1 to 1000; 100 when left out. With `country` or `as` a page may have fewer, and none, though
    /// there are more: for each 50,000 entries are looked at.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 128)]
    pub cursor: Option<String>,
}

/// A page of the history, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPage {
    /// The entries.
    #[schema(max_items = 1000)]
    pub items: Vec<HistoryEntry>,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}
