//! Addresses and networks: one spelling for each, and arithmetic on prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Prefix length that turns `::ffff:a.b.c.d/n` into `a.b.c.d/(n - 96)` (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// The one spelling of an address: IPv4-mapped IPv6 is IPv4.
///
/// Other embeddings (6to4, Teredo, NAT64) are different hosts on the wire and stay as they are.
pub(crate) fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}

/// The one spelling of a network, in which the engine keeps and tells it: host bits cleared,
/// IPv4-mapped IPv6 is IPv4.
#[must_use]
pub fn canonical_net(net: IpNet) -> IpNet {
    let net = net.trunc();
    let IpNet::V6(v6) = net else { return net };
    let Some(prefix) = v6.prefix_len().checked_sub(MAPPED_PREFIX) else {
        return net;
    };
    let Some(v4) = v6.addr().to_ipv4_mapped() else {
        return net;
    };
    Ipv4Net::new(v4, prefix).map_or(net, IpNet::V4)
}

/// The network of `prefix` bits that holds `addr`; the host itself when `prefix` is too long.
pub(crate) fn net_of(addr: IpAddr, prefix: u8) -> IpNet {
    IpNet::new(addr, prefix).map_or_else(|_| IpNet::from(addr), |net| net.trunc())
}

/// The network that a busy attacker gets hold of whole: what registries assign to one customer, an IPv4
/// /24 or an IPv6 /48.
pub(crate) fn wide_net(addr: IpAddr) -> IpNet {
    net_of(addr, if addr.is_ipv4() { 24 } else { 48 })
}

/// True when one network holds the other. Two networks are nested or disjoint, nothing between.
pub(crate) fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// True when `net` is wider than one host and touches IPv6 link-local addresses.
///
/// Blocking `fe80::/64` would cut neighbour discovery for the whole link.
pub(crate) fn cuts_link_local(net: &IpNet) -> bool {
    let link_local = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);
    net.prefix_len() < net.max_prefix_len() && overlap(net, &IpNet::V6(link_local))
}

/// Networks that can be no sender of a packet worth an answer, and loopback: banning one could
/// only hurt this host.
pub(crate) fn never_bannable() -> [IpNet; 7] {
    let v4 = |a, b, c, d, prefix| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix));
    let v6 = |addr, prefix| IpNet::V6(Ipv6Net::new_assert(addr, prefix));
    [
        v4(127, 0, 0, 0, 8),
        v4(0, 0, 0, 0, 32),
        v4(224, 0, 0, 0, 4),
        v4(255, 255, 255, 255, 32),
        v6(Ipv6Addr::LOCALHOST, 128),
        v6(Ipv6Addr::UNSPECIFIED, 128),
        v6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    ]
}

/// What is left of `net` without `hole`: at most one network per prefix length between the two
/// (so 128 at most), disjoint, widest first. Empty when `hole` covers `net`; `net` itself when the
/// two are disjoint.
pub(crate) fn pieces_around(net: IpNet, hole: IpNet) -> Vec<IpNet> {
    if hole.contains(&net) {
        return Vec::new();
    }
    if !net.contains(&hole) {
        return vec![net];
    }
    let mut pieces = Vec::with_capacity(usize::from(hole.prefix_len() - net.prefix_len()));
    let mut rest = net;
    while rest.prefix_len() < hole.prefix_len() {
        let Ok(halves) = rest.subnets(rest.prefix_len() + 1) else {
            break;
        };
        for half in halves {
            if half.contains(&hole) {
                rest = half;
            } else {
                pieces.push(half);
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests;
