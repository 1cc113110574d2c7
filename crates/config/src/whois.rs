//! How to query the owner of an address.

use std::time::Duration;

/// Port of the protocol (RFC 3912 section 2).
pub const WHOIS_PORT: u16 = 43;

/// How to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhoisSettings {
    /// Where every question begins.
    pub server: WhoisServer,
    /// Time for one address, all servers together.
    pub timeout: Duration,
    /// Addresses asked for within a minute.
    pub per_minute: u32,
}

/// A whois server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhoisServer {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Default for WhoisSettings {
    fn default() -> Self {
        Self {
            // It refers to the registry of each address, worldwide.
            server: WhoisServer { host: "whois.iana.org".to_owned(), port: WHOIS_PORT },
            timeout: Duration::from_secs(10),
            per_minute: 10,
        }
    }
}

/// `host`, `host:port` or `[address]:port`; `port` where none is named.
pub fn host_and_port(place: &str, port: u16) -> Option<(String, u16)> {
    let (host, named) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
        }
        None => match place.split_once(':') {
            Some((host, named)) => (host, Some(named)),
            None => (place, None),
        },
    };
    let port = match named {
        Some(named) => named.parse().ok().filter(|port| *port != 0)?,
        None => port,
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let is_host = (1..=253).contains(&host.len()) && host.bytes().all(fits);
    is_host.then(|| (host.to_ascii_lowercase(), port))
}
