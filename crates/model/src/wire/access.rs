//! Authentication of people and programs.

use std::fmt;

use serde::Serialize;

/// The way of a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// By the control socket, where the kernel reports the user of the other end.
    Socket,
    /// By a bearer token.
    Token,
    /// By the cookie of a session.
    Session,
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Token => "token",
            Self::Session => "session",
        })
    }
}

/// Why a token opens nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenEnd {
    /// Its end has come.
    Expired,
    /// It was revoked.
    Revoked,
}
