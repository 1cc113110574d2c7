//! What a ban stops: a host, its packets to the SIP ports, or one flow.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use crate::net_set::NetSet;

/// What a ban stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything: a blackhole route stops what is sent to it, the gate what it sends.
    #[default]
    Host,
    /// What it sends to the SIP ports, over UDP and TCP (TLS and `WebSockets` included): the gate alone stops it.
    /// There is no route, and other ports stay reachable.
    Sip,
}

/// What carries SIP: UDP, or TCP also for TLS and `WebSockets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// One flow to the SIP ports: a phone among others behind one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The address that it comes from. An IPv4-mapped IPv6 address stands for the IPv4 address.
    pub source: IpAddr,
    /// How it comes.
    pub transport: Transport,
    /// The source port, 1 to 65,535.
    pub port: u16,
}

impl Transport {
    pub(crate) const BOTH: [Self; 2] = [Self::Udp, Self::Tcp];

    /// `IPPROTO_UDP`, `IPPROTO_TCP`.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Udp => 17,
            Self::Tcp => 6,
        }
    }
}

impl Flow {
    /// The same with an IPv4-mapped address as the IPv4 address that packets carry.
    pub(crate) fn canonical(self) -> Self {
        Self { source: self.source.to_canonical(), ..self }
    }
}

/// "203.0.113.7 udp 41234"
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.source, self.transport, self.port)
    }
}

/// "udp", "tcp"
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// Networks that a hash set holds: one key each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Exact {
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An IPv6 /64: most IPv6 sources are banned by it.
    Ipv6Net,
}

impl Exact {
    pub(crate) const ALL: [Self; 3] = [Self::Ipv4, Self::Ipv6, Self::Ipv6Net];

    /// The kind of a network and its key; `None` for networks that take a look-up by prefix.
    pub(crate) fn of(net: IpNet) -> Option<(Self, u128)> {
        match net {
            IpNet::V4(net) if net.prefix_len() == 32 => {
                Some((Self::Ipv4, net.addr().to_bits().into()))
            }
            IpNet::V6(net) if net.prefix_len() == 128 => Some((Self::Ipv6, net.addr().to_bits())),
            IpNet::V6(net) if net.prefix_len() == 64 => {
                Some((Self::Ipv6Net, net.network().to_bits()))
            }
            IpNet::V4(_) | IpNet::V6(_) => None,
        }
    }

    /// The network of a key.
    pub(crate) fn net(self, key: u128) -> IpNet {
        let v6 = Ipv6Addr::from_bits(key);
        match self {
            // These sets hold 32 bits.
            Self::Ipv4 => {
                let address: std::net::Ipv4Addr = u32::try_from(key).unwrap_or_default().into();
                ipnet::Ipv4Net::from(address).into()
            }
            Self::Ipv6 => ipnet::Ipv6Net::from(v6).into(),
            Self::Ipv6Net => ipnet::Ipv6Net::new_assert(v6, 64).trunc().into(),
        }
    }
}

/// Bans from the SIP ports.
#[derive(Debug, Default)]
pub(crate) struct SipBans {
    /// Those that a hash set holds.
    pub(crate) hosts: NetSet,
    /// The others.
    pub(crate) nets: BTreeSet<IpNet>,
}

impl SipBans {
    pub(crate) fn len(&self) -> usize {
        self.hosts.len() + self.nets.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.nets.is_empty()
    }

    pub(crate) fn contains(&self, net: IpNet) -> bool {
        self.hosts.contains(&net) || self.nets.contains(&net)
    }

    pub(crate) fn insert(&mut self, net: IpNet) {
        if Exact::of(net).is_some() {
            self.hosts.insert(net);
        } else {
            self.nets.insert(net);
        }
    }

    pub(crate) fn remove(&mut self, net: IpNet) {
        if self.is_empty() {
            // Most bans are from everything: then nothing is hashed.
            return;
        }
        self.hosts.remove(&net);
        self.nets.remove(&net);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = IpNet> {
        self.hosts.iter().chain(self.nets.iter().copied())
    }
}

#[cfg(test)]
mod tests;
