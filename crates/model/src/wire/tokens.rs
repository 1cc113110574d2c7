//! Tokens for the API on TCP.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StoreHealth;
use crate::text::Time;

/// What a token may do. Write includes read.
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
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look, and try what would happen.
    #[default]
    Read,
    /// Ban, unban, allow, change the policy too.
    Write,
}

impl Scope {
    /// `read` or `write`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenEntry {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Time,
    /// When it ends; `null` when it does not by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Time>,
    /// Whether it has ended.
    pub expired: bool,
    /// When it was last used, to some ten minutes; `null` when it was not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Time>,
    /// Its active browser sessions.
    pub sessions: u64,
}

/// All tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// The tokens, by name.
    #[schema(max_items = 64)]
    pub items: Vec<TokenEntry>,
    /// Active sessions of one-time links.
    pub link_sessions: u64,
    /// The state of the store.
    pub store: StoreHealth,
}

/// A token to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name: letters, digits, `.`, `_`, `-`, at most 64.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$", example = "prometheus")]
    pub name: String,
    /// What it may do. Read when left out.
    #[serde(default)]
    pub scope: Scope,
    /// Its life, 60 s to 10 years; until it is revoked when left out.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 315_360_000)]
    pub expires_seconds: Option<u64>,
}

/// A token was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// Its secret. It is shown here and nowhere else.
    pub token: String,
    /// The token.
    pub entry: TokenEntry,
    /// The state of the store after the change. If it is degraded or in memory, the token ends at the next restart.
    pub store: StoreHealth,
}

/// A token was revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenRevoked {
    /// Its name.
    pub name: String,
    /// Sessions that ended with it.
    pub sessions_ended: u64,
    /// The state of the store after the change.
    pub store: StoreHealth,
}

/// A one-time log-in link to make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// What its session may do. Read when left out.
    #[serde(default)]
    pub scope: Scope,
    /// How long it can be used, 10 s to a day; 600 when left out.
    #[serde(default)]
    #[schema(minimum = 10, maximum = 86_400)]
    pub seconds: Option<u32>,
}

/// A one-time log-in link was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkMade {
    /// The path to follow, with the code in it.
    pub path: String,
    /// The same with each address that the daemon listens on; empty where it listens on none.
    #[schema(max_items = 8)]
    pub urls: Vec<String>,
    /// What its session may do.
    pub scope: Scope,
    /// Until when it can be used.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Time,
}

/// Sessions of browsers were ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionsEnded {
    /// How many.
    pub count: u64,
}
