//! Accounts under attack, sources and user agents: tables of the latest failures.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::text::Time;

/// Which accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Only users with this in their name, letter case ignored.
    #[param(max_length = 128)]
    pub search: Option<String>,
    /// Accounts on the page, 1 to 1000; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(max_length = 128)]
    pub cursor: Option<String>,
}

/// A page of the accounts under attack, and the healthy phones that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserPage {
    /// The accounts, those with the most failures first.
    #[schema(max_items = 1000)]
    pub items: Vec<AttackedUser>,
    /// Accounts in all, on this page and others.
    pub total: u64,
    /// `cursor` of the next page; `null` on the last one. New failures move accounts between pages.
    pub next: Option<String>,
    /// Previously working phones that failed within the last day, most likely because their password was changed. The
    /// latest first, at most 100.
    #[schema(max_items = 100)]
    pub attention: Vec<Phone>,
    /// Such phones in all.
    pub attention_total: u64,
    /// What this was counted from.
    pub memory: Memory,
}

/// An account under attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttackedUser {
    /// The user tried; whether there is such a user is not known.
    pub user: String,
    /// Failures.
    pub failures: u64,
    /// Failures among them that are not forgeable: `answered` and `assumed`.
    pub proved: u64,
    /// Distinct addresses that failed.
    pub sources: u64,
    /// The first of the failures.
    #[schema(value_type = String, format = DateTime)]
    pub first: Time,
    /// The last of them.
    #[schema(value_type = String, format = DateTime)]
    pub last: Time,
    /// The addresses that failed most, at most 10.
    #[schema(max_items = 10)]
    pub top_sources: Vec<AttackingSource>,
    /// Profiles that it was tried on, at most 10.
    #[schema(max_items = 10)]
    pub profiles: Vec<String>,
}

/// An address that failed for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttackingSource {
    /// The address.
    #[schema(value_type = String, example = "203.0.113.7")]
    pub address: IpAddr,
    /// Its failures for this user.
    pub failures: u64,
    /// It is banned now.
    pub banned: bool,
}

/// A phone that logged in before and fails now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Phone {
    /// Its user.
    pub user: String,
    /// Its address.
    #[schema(value_type = String, example = "203.0.113.7")]
    pub address: IpAddr,
    /// Its user agent.
    pub user_agent: String,
    /// When it last logged in; `null` where this user never did from there, but another is registered there.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success: Option<Time>,
    /// When it was reported: once a day while it fails.
    #[schema(value_type = String, format = DateTime)]
    pub told: Time,
    /// Its failures, as far as they are remembered.
    pub failures: u64,
    /// The last of them; `null` when it is no longer remembered.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last: Option<Time>,
    /// Its address is banned now.
    pub banned: bool,
}

/// What a table was counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// Failures that are remembered.
    pub failures: u64,
    /// At most so many are, and for at most a day.
    pub remembered_at_most: u64,
    /// From then on none is missing.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
}

/// What a table of the most frequent is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopBy {
    /// Addresses.
    #[default]
    Address,
    /// Users tried.
    User,
    /// User agents.
    UserAgent,
}

/// Which lines of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopOnly {
    /// Those with failures that count.
    Counted,
    /// Those all of whose failures are forgeable: whom they name need not have sent them.
    Forgeable,
}

/// Which table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct TopQuery {
    /// What it is about; `source` when left out.
    #[param(inline)]
    pub by: Option<TopBy>,
    /// Which lines; all when left out.
    #[param(inline)]
    pub only: Option<TopOnly>,
    /// Lines, 1 to 1000; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
}

/// What failed most often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Top {
    /// What it is about.
    pub by: TopBy,
    /// Those with the most failures that count first, and among equals those with the most failures.
    #[schema(max_items = 1000)]
    pub items: Vec<TopEntry>,
    /// Different ones in all, of those that `only` selects.
    pub total: u64,
    /// What this was counted from.
    pub memory: Memory,
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopEntry {
    /// The address, the user or the user agent.
    pub name: String,
    /// Failures.
    pub failures: u64,
    /// Failures among them that are not forgeable: `answered` and `assumed`.
    pub proved: u64,
    /// Failures among these that are no phone's that needs attention and no exempt host's: attacks, as far as anybody
    /// can know.
    #[serde(default)]
    pub counted: u64,
    /// Distinct users that an address tried; `null` for the others.
    pub users: Option<u64>,
    /// Distinct addresses that a user was tried from, or that sent a user agent; `null` for addresses.
    pub sources: Option<u64>,
    /// The last failure.
    #[schema(value_type = String, format = DateTime)]
    pub last: Time,
    /// Whether an address is banned now; `null` for the others.
    pub banned: Option<bool>,
}
