//! What the kernel side knows about this host.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::Flow;

/// What was found when the kernel side was opened.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Our routes (table, type and protocol ours) that were there already, sorted. They are adopted: the
    /// enforcer keeps and heals them until it gets a change that unblocks them.
    pub routes: Vec<IpNet>,
    /// Bans from the SIP ports ([`Scope::Sip`](crate::Scope::Sip)) that the gate's sets held already, sorted. They are
    /// adopted like routes. Networks that touch are one.
    pub sip_bans: Vec<IpNet>,
    /// Flows that the gate denied already, sorted, with the time that each has left. They are adopted too.
    pub flows: Vec<(Flow, Duration)>,
    /// Routes with our protocol number that are not bans of these settings, in the words of
    /// `ip route`: not blackholes, or in another table (left by other settings; `sipward flush`
    /// removes those). Somebody else may use the number.
    pub foreign: Vec<String>,
    /// This host.
    pub host: HostFacts,
    /// What stands between a banned host and FreeSWITCH.
    pub coverage: Coverage,
}

/// Addresses that must never be banned, as the kernel knows them. Each list is sorted, without
/// duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Addresses of this host.
    pub own: Vec<IpAddr>,
    /// Gateways of default routes and other routes with an on-link next hop.
    pub gateways: Vec<IpAddr>,
    /// Networks this host is directly connected to. An equal IPv6 network cannot be blackholed (the
    /// connected route wins with metric 256 against 1024), an equal IPv4 network would cut the host
    /// off: narrow to the failing address.
    pub on_link: Vec<IpNet>,
}

impl HostFacts {
    /// Whom this host would lose by blackholing a network, in words: a gateway, or everybody on a
    /// network it is connected to. The engine narrows such bans; this is the last line.
    pub(crate) fn lost_by(&self, net: IpNet) -> Option<String> {
        if net.prefix_len() == 0 {
            return Some("everybody".to_owned());
        }
        // A connected network that is more specific than the ban keeps its gateway reachable.
        let outlives = |gateway: &IpAddr| {
            self.on_link
                .iter()
                .any(|link| link.contains(gateway) && link.prefix_len() > net.prefix_len())
        };
        let gateway =
            self.gateways.iter().find(|gateway| net.contains(*gateway) && !outlives(gateway));
        if let Some(gateway) = gateway {
            return Some(format!("its gateway {gateway}"));
        }
        // In IPv6 the connected network wins.
        let connected = matches!(net, IpNet::V4(_)) && self.on_link.contains(&net);
        connected.then(|| format!("the network {net}, to which it is connected"))
    }
}

/// What a ban covers with the present settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// IPv4 packets from a banned host are dropped on arrival, whichever of this host's addresses they are
    /// sent to.
    pub ipv4_inbound: bool,
    /// IPv6 packets from a banned host are dropped on arrival, or this host has no IPv6 address.
    pub ipv6_inbound: bool,
    /// The nftables gate stands.
    pub gate: bool,
    /// The routing table that holds the bans; 254 is main.
    pub table: u32,
    /// What is not covered and why; empty when all is.
    pub gaps: Vec<String>,
}

impl Coverage {
    /// Whether what a network sends is dropped on arrival.
    #[must_use]
    pub fn covers(&self, net: IpNet) -> bool {
        match net {
            IpNet::V4(_) => self.ipv4_inbound,
            IpNet::V6(_) => self.ipv6_inbound,
        }
    }
}

#[cfg(test)]
mod tests;
