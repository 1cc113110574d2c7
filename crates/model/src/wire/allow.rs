//! The allow list.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::HostEntry;
use super::StoreHealth;
use crate::text::Time;

/// An entry of the allow list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllowEntry {
    /// An address, a network, or a DNS name.
    #[schema(value_type = String, example = "office.example.org")]
    pub host: HostEntry,
    /// Where it comes from.
    pub origin: AllowOrigin,
    /// The operator's comment.
    pub comment: Option<String>,
    /// When it was added; entries of the file do not say.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// When it leaves the list by itself; `null` for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
    /// Its networks now; empty while a name is not resolved yet.
    #[schema(value_type = Vec<String>)]
    pub nets: Vec<IpNet>,
}

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AllowOrigin {
    /// `allow` in the configuration file; only changed there.
    File,
    /// Added at run time, and stored.
    Runtime,
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AllowQuery {
    /// Only entries of this origin.
    #[param(inline)]
    pub origin: Option<AllowOrigin>,
    /// Entries on the page, 1 to 1000; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 300)]
    pub cursor: Option<String>,
}

/// A page of the allow list, sorted by host as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllowPage {
    /// The entries.
    #[schema(max_items = 1000)]
    pub items: Vec<AllowEntry>,
    /// Entries that the query matches in all.
    pub total: u64,
    /// `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// An entry to add.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAllow {
    /// An address, a network, or a DNS name that is looked up again and again.
    #[schema(value_type = String, example = "198.51.100.0/28", max_length = 253)]
    pub host: HostEntry,
    /// The operator's comment. At most 500 bytes.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub comment: Option<String>,
    /// When it leaves the list by itself; never when left out. An entry that was added before takes the new end.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
}

/// The allow list was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllowChanged {
    /// The entry that was added, was there already, or is gone.
    pub entry: AllowEntry,
    /// How many bans ended because they covered it: lifted, or split around it.
    pub count: u64,
    /// Their networks; at most the first 1000.
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub ended: Vec<IpNet>,
    /// Bans by an operator on a part of it, which take precedence over the list. `DELETE /bans/{net}` with a
    /// network of the entry lifts or splits them. None when an entry was removed.
    pub staying_total: u64,
    /// The first of them.
    #[schema(value_type = Vec<String>, max_items = 100)]
    pub staying: Vec<IpNet>,
    /// The state of the store after the change.
    pub store: StoreHealth,
}
