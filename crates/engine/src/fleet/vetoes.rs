//! Networks that peers exempt.

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use super::peers::{PeerId, Peers};
use crate::Exemption;

/// The widest network that a peer may veto: IPv4, IPv6.
const WIDEST: (u8, u8) = (8, 32);

/// Vetoes by network and peer.
#[derive(Debug, Default)]
pub(crate) struct Vetoes {
    nets: JointPrefixMap<IpNet, Vec<(PeerId, Exemption)>>,
}

impl Vetoes {
    /// One peer must not exempt the whole Internet.
    pub(crate) fn is_too_wide(net: &IpNet) -> bool {
        net.prefix_len() < if net.addr().is_ipv4() { WIDEST.0 } else { WIDEST.1 }
    }

    /// The peer vetoes the network already.
    pub(crate) fn holds(&self, net: &IpNet, peer: PeerId) -> bool {
        self.nets.get(net).is_some_and(|held| held.iter().any(|(by, _)| *by == peer))
    }

    /// Takes a veto in, in place of that of the same peer.
    pub(crate) fn put(&mut self, net: IpNet, peer: PeerId, class: Exemption) {
        let mut held = self.nets.remove(&net).unwrap_or_default();
        held.retain(|(by, _)| *by != peer);
        held.push((peer, class));
        self.nets.insert(net, held);
    }

    /// Takes that of a peer out. True when it was there.
    pub(crate) fn end(&mut self, net: &IpNet, peer: PeerId) -> bool {
        let Some(held) = self.nets.get_mut(net) else { return false };
        let before = held.len();
        held.retain(|(by, _)| *by != peer);
        let gone = held.len() < before;
        if held.is_empty() {
            self.nets.remove(net);
        }
        gone
    }

    /// A veto that shares an address with `net`, of a peer that protects: of several the class that is named first.
    pub(crate) fn against(&self, net: &IpNet, peers: &Peers) -> Option<(Exemption, IpNet)> {
        let within = self.nets.children(net).filter(move |(inner, _)| inner != net);
        let touching = self.nets.cover(net).chain(within);
        let all = touching.flat_map(|(net, held)| held.iter().map(move |one| (net, one)));
        all.filter(|(_, (by, _))| peers.protects(*by)).map(|(net, (_, class))| (*class, net)).min()
    }
}
