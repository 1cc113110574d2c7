//! What the gate finds in its sets of bans and drops.

use super::chain::Chain;
use super::expression::{self as nft, End, List};
use super::family::{Family, Transport};
use super::sets::Set;
use crate::ban::Exact;

/// Packets that a set of bans or flows names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Banned {
    /// Of banned hosts.
    Hosts(Exact),
    /// To a SIP port, of hosts that are banned from these.
    SipHosts(Transport, Exact),
    /// To a SIP port, of networks that are banned from these.
    SipNets(Transport, Family),
    /// To a SIP port, of a denied flow.
    Flows(Transport, Family),
}

impl Banned {
    /// Whatever they are sent to.
    pub(super) fn everywhere() -> impl Iterator<Item = Self> {
        Exact::ALL.into_iter().map(Self::Hosts)
    }

    /// To a SIP port.
    pub(super) fn at_sip(transport: Transport) -> impl Iterator<Item = Self> {
        let hosts = Exact::ALL.into_iter().map(move |exact| Self::SipHosts(transport, exact));
        let nets = Family::BOTH.into_iter().map(move |family| Self::SipNets(transport, family));
        let flows = Family::BOTH.into_iter().map(move |family| Self::Flows(transport, family));
        hosts.chain(nets).chain(flows)
    }

    pub(super) fn chain(self) -> Chain {
        match self {
            Self::Hosts(_) => Chain::Gate,
            Self::SipHosts(transport, _)
            | Self::SipNets(transport, _)
            | Self::Flows(transport, _) => Chain::Sip(transport),
        }
    }

    /// For people.
    pub(super) fn comment(self) -> String {
        match self {
            Self::Hosts(exact) => format!("sipward: banned {}", hosts(exact)),
            Self::SipHosts(_, exact) => {
                format!("sipward: {} banned from the SIP ports", hosts(exact))
            }
            Self::SipNets(_, family) => {
                format!("sipward: {} networks banned from the SIP ports", family.name())
            }
            Self::Flows(_, family) => format!("sipward: denied {} flows", family.name()),
        }
    }

    /// Ends the rule for all other packets.
    pub(super) fn find(self, list: List<'_>) -> List<'_> {
        match self {
            Self::Hosts(exact) => in_set(list, exact, Set::Banned(exact)),
            Self::SipHosts(_, exact) => in_set(list, exact, Set::SipBanned(exact)),
            Self::SipNets(_, family) => {
                let list = nft::address(nft::family_is(list, family), family, End::Source);
                nft::is_in(list, Set::SipBannedNets(family).name())
            }
            Self::Flows(transport, family) => {
                let list = flow_in(list, family, Set::Denied(family));
                // Somebody who forges the port of a registered phone must not have it denied.
                nft::is_not_in(list, Set::KeptFlows(transport, family).name())
            }
        }
    }
}

fn hosts(exact: Exact) -> &'static str {
    match exact {
        Exact::Ipv4 => "IPv4 hosts",
        Exact::Ipv6 => "IPv6 hosts",
        Exact::Ipv6Net => "IPv6 /64s",
    }
}

fn in_set(list: List<'_>, exact: Exact, set: Set) -> List<'_> {
    let list = nft::exact_source(nft::family_is(list, Family::of(exact)), exact);
    nft::is_in(list, set.name())
}

/// Ends the rule for packets of flows that are not in a set.
pub(super) fn flow_in(list: List<'_>, family: Family, set: Set) -> List<'_> {
    nft::is_in(nft::flow(nft::family_is(list, family), family), set.name())
}
