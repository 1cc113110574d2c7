//! Entries of `allow` and `proxies`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest host name (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

/// An address, a network, or a DNS name that is looked up again and again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostEntry {
    /// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/48`; host bits are cleared.
    Net(IpNet),
    /// `office.example.org`.
    Name(String),
}

impl FromStr for HostEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        if is_host_name(text) {
            return Ok(Self::Name(text.trim_end_matches('.').to_ascii_lowercase()));
        }
        Err(format!(
            "`{}` is neither an address (192.0.2.7), a network (192.0.2.0/24, 2001:db8::/48) nor \
             a DNS name (office.example.org)",
            text.escape_debug()
        ))
    }
}

/// Letters, digits, hyphens and underscores in labels of at most 63 (RFC 1035 section 2.3.1, RFC
/// 1123 section 2.1). A last label of digits would be a mistyped address (`192.0.2`), so it is not
/// a name.
pub fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= MAX_NAME
        && name.split('.').all(label)
        && name.rsplit('.').next().is_some_and(|l| !l.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for HostEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for HostEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for HostEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
