//! What happens at the door of the API and the page on TCP.

use std::fmt;

use crate::record::Record;
use crate::text::{Plain, count};
use crate::wire::TokenEnd;

pub(super) fn line(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    match record {
        Record::HttpOpened { address, tls } => {
            write!(f, "console and API at {}://{address}/", if *tls { "https" } else { "http" })
        }
        Record::HttpFailed { address, error } => {
            write!(f, "no console and API at {address}: {}", Plain(error))
        }
        Record::CertificateFailed { error } => {
            write!(f, "the previous certificate remains in use: {}", Plain(error))
        }
        Record::TokenAdded { name, scope, expires } => {
            write!(f, "token {} added, may {scope}", Plain(name))?;
            expires.map_or(Ok(()), |expires| write!(f, " until {expires}"))
        }
        Record::TokenRevoked { name, sessions_ended } => {
            write!(f, "token {} revoked; {} ended", Plain(name), count(*sessions_ended, "session"))
        }
        Record::LoggedIn { address, name, scope } => {
            write!(f, "log-in from {address} by {}, may {scope}", Plain(name))
        }
        Record::Changed { name, way, address, method, path, body, status } => {
            write!(f, "{} ({way}", Plain(name))?;
            address.map_or(Ok(()), |source| write!(f, " from {source}"))?;
            write!(f, "): {} {}", Plain(method), Plain(path))?;
            let said = body.as_deref().filter(|body| !body.is_empty());
            said.map_or(Ok(()), |body| write!(f, " {}", Plain(body)))?;
            write!(f, ", answered {status}")
        }
        Record::LoginFailed { address, what } => {
            write!(f, "failed log-in from {address} ({what})")
        }
        Record::TokenRefused { address, name, because, count } => {
            let times = if *count == 1 { String::new() } else { format!(", {count} times") };
            write!(
                f,
                "{address} used the token {}{times}, but it {}; give that client a new one",
                Plain(name),
                match because {
                    TokenEnd::Expired => "has expired",
                    TokenEnd::Revoked => "is revoked",
                }
            )
        }
        Record::ConnectionsShed { count, limit } => write!(
            f,
            "{count} connections to the console and API closed or refused: more than the limit of \
             {limit}"
        ),
        other => write!(f, "{:?}", other.kind()),
    }
}
