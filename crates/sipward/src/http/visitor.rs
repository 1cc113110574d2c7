//! Who asks.

use std::fmt;

use serde::Serialize;

pub(crate) use crate::api::model::Scope;

/// Who asks, as an extension of every request that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// Name of the token that opened, `link` for a one-time link, `root` or `uid N` on the Unix socket.
    pub(crate) name: String,
    /// What he may do.
    pub(crate) scope: Scope,
    /// How he came in.
    pub(crate) way: Way,
}

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By the control socket, where the kernel says who is at the other end.
    Socket,
    /// By a bearer token.
    Token,
    /// By the cookie of a session.
    Session,
}

impl Visitor {
    /// A user who may use the control socket.
    pub(crate) fn on_socket(user: u32) -> Self {
        let name = if user == 0 { "root".to_owned() } else { format!("uid {user}") };
        Self { name, scope: Scope::Write, way: Way::Socket }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Token => "token",
            Self::Session => "session",
        })
    }
}
