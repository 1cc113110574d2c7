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
        // The zone's own percent sign is encoded like any other.
        let (address, zone) = match memchr::memmem::find(raw, b"%25") {
            Some(at) => (raw.get(..at)?, raw.get(at + 3..)),
            None => (raw, None),
        };
        let mut buffer = [0; MAX_ADDRESS];
        let address = percent::decode_into(address, &mut buffer)?;
        let address = address.strip_prefix(b"[").unwrap_or(address);
        let (address, zone) = match (address.strip_suffix(b"]"), zone) {
            (Some(address), _) => (address, zone),
            (None, Some(zone)) => (address, Some(zone.strip_suffix(b"%5D").unwrap_or(zone))),
            (None, None) => (address, None),
        };
        let ip = std::str::from_utf8(address).ok()?.parse().ok()?;
        let zone = zone.filter(|zone| !zone.is_empty()).map(Text::decode);
        Some(Self { ip, port, zone })
    }

    /// Address and port, without the zone.
    #[must_use]
    pub const fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}
