//! Where a packet came from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{percent, text::Text};

/// `network-ip` and `network-port`: the source of the packet. `Via` and `received=` have no effect on
/// it, but over UDP its sender chooses it, and the event does not show whether it was UDP or TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
        if let Some(ip) = dotted(raw) {
            return Some(Self { ip: ip.into(), port, zone: None });
        }
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

/// An IPv4 address as `Ipv4Addr` would read it, without asking whether it is UTF-8 first: nearly every record
/// has one.
fn dotted(text: &[u8]) -> Option<Ipv4Addr> {
    /// `255.255.255.255`.
    const LONGEST: usize = 15;
    if text.len() > LONGEST {
        return None;
    }
    let (mut address, mut dots, mut octet, mut digits) = (0, 0, 0, 0);
    for &byte in text {
        if byte == b'.' {
            if digits == 0 {
                return None;
            }
            address = address << 8 | octet;
            (dots, octet, digits) = (dots + 1, 0, 0);
            continue;
        }
        let digit = u32::from(byte.wrapping_sub(b'0'));
        let leading_zero = digits == 1 && octet == 0;
        octet = octet * 10 + digit;
        digits += 1;
        if digit > 9 || leading_zero || octet > 255 {
            return None;
        }
    }
    (dots == 3 && digits > 0).then(|| Ipv4Addr::from_bits(address << 8 | octet))
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::{Endpoint, dotted};

    #[test]
    fn a_bracket_that_closes_none_is_no_address() {
        assert!(Endpoint::parse(b"[2001:db8::7]", 5060).is_some());
        for raw in ["2001:db8::7]", "192.0.2.7]", "[2001:db8::7x"] {
            assert_eq!(Endpoint::parse(raw.as_bytes(), 5060), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn reads_ipv4_as_the_standard_library_does(
            text in "[0-9]{0,4}(\\.[0-9]{0,4}){0,4}|[0-9.:/%a-f\\[ -]{0,20}"
        ) {
            prop_assert_eq!(dotted(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn reads_every_ipv4_address(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(dotted(ip.to_string().as_bytes()), Some(ip));
        }
    }
}
