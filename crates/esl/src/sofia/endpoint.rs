//! Where a packet came from.

use std::net::{IpAddr, SocketAddr};

use crate::{percent, text::Text};

/// `network-ip` and `network-port`: the source of the packet. `Via` and `received=` have no effect on
/// it, but over UDP its sender chooses it, and nothing in the event tells UDP from TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<'e> {
    /// The address. IPv4-mapped IPv6 is left as it came.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
    /// The interface of a link-local address (`fe80::1%eth0`).
    pub zone: Option<Text<'e>>,
}

/// Longest decoded address in bytes: IPv4-mapped IPv6 and brackets.
const MAX_ADDRESS: usize = 47;

impl<'e> Endpoint<'e> {
    /// From the raw header: percent-encoded, IPv6 without brackets (with them is accepted too).
    pub(super) fn parse(raw: &'e [u8], port: u16) -> Option<Self> {
        if raw.contains(&b'%') || raw.starts_with(b"[") {
            return Self::parse_encoded(raw, port);
        }
        Some(Self { ip: address(raw)?, port, zone: None })
    }

    fn parse_encoded(raw: &'e [u8], port: u16) -> Option<Self> {
        // The zone's own percent sign is encoded like any other.
        let (raw_address, zone) = match memchr::memmem::find(raw, b"%25") {
            Some(at) => (raw.get(..at)?, raw.get(at + 3..)),
            None => (raw, None),
        };
        let mut buffer = [0; MAX_ADDRESS];
        let decoded = percent::decode_into(raw_address, &mut buffer)?;
        let decoded = decoded.strip_prefix(b"[").unwrap_or(decoded);
        let (decoded, zone) = match (decoded.strip_suffix(b"]"), zone) {
            (Some(decoded), _) => (decoded, zone),
            (None, Some(zone)) => (decoded, Some(zone.strip_suffix(b"%5D").unwrap_or(zone))),
            (None, None) => (decoded, None),
        };
        let zone = zone.filter(|zone| !zone.is_empty()).map(Text::decode);
        Some(Self { ip: address(decoded)?, port, zone })
    }

    /// Address and port, without the zone.
    #[must_use]
    pub const fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
