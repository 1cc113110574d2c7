//! The ways in: which look-ups prove a ban.
//!
//! The gate looks up a packet's source *with the packet's destination as source address*, so a rule like
//! `ip rule from ADDRESS lookup TABLE` may answer before the bans are read. A ban is proved for each kind
//! of packet that the rules before it tell apart: by the own address it is sent to, by VRF, by type of
//! service, by transport. Without such rules, which is the rule, one look-up proves it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;

use crate::links::Links;
use crate::policy_rules::{self, PolicyRule};
use crate::way::Way;

/// Ways looked up at most; each costs every ban one more look-up. A host has an uplink or two, and a way
/// for each.
const MOST_WAYS: usize = 64;
/// Rules before the bans that are looked at.
const MOST_BEFORE: usize = 256;

/// The ways in of one address family, and what is read before the bans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ways {
    /// At least one.
    pub(crate) all: Vec<Way>,
    /// The rules before the bans that may end the look-up of one of them, in order.
    pub(crate) rules: Vec<PolicyRule>,
    /// There are more ways than are looked up.
    pub(crate) is_partial: bool,
    /// What an IPv4 look-up carries as mark.
    mark: u32,
}

/// What tells the ways of a host apart.
pub(crate) struct Host<'a> {
    pub(crate) rules: &'a [PolicyRule],
    /// This host's addresses.
    pub(crate) own: &'a [IpAddr],
    pub(crate) links: &'a Links,
    /// The mark of sipward's rules.
    pub(crate) protocol: u8,
}

/// What tells the ways of this host apart.
pub(crate) fn host<'a>(
    rules: &'a [PolicyRule],
    own: &'a [IpAddr],
    links: &'a Links,
    protocol: u8,
) -> Host<'a> {
    Host { rules, own, links, protocol }
}

impl Default for Ways {
    fn default() -> Self {
        Self { all: vec![Way::default()], rules: Vec::new(), is_partial: false, mark: 0 }
    }
}

impl Ways {
    /// The ways to a ban in `table`.
    pub(crate) fn new(host: &Host<'_>, family: AddressFamily, table: u32, mark: u32) -> Self {
        let before = host.before(family, table);
        if before.is_empty() {
            return Self { mark, ..Self::default() };
        }
        let mut told_apart: BTreeMap<Vec<bool>, Way> = BTreeMap::new();
        let mut is_partial = before.len() >= MOST_BEFORE;
        for way in host.candidates(family, &before) {
            let held: Vec<bool> = before.iter().map(|rule| rule.may_hold_for(&way, mark)).collect();
            if told_apart.len() < MOST_WAYS {
                told_apart.entry(held).or_insert(way);
            } else if !told_apart.contains_key(&held) {
                is_partial = true;
            }
        }
        let mut all: Vec<Way> = told_apart.into_values().collect();
        all.sort_unstable();
        let rules = before
            .into_iter()
            .filter(|rule| all.iter().any(|way| rule.may_hold_for(way, mark)))
            .cloned()
            .collect();
        Self { all, rules, is_partial, mark }
    }

    /// The rule that ended the look-up of a way in a table (`None`: the answer does not say which).
    pub(crate) fn rule_of(&self, way: &Way, table: Option<u32>) -> Option<&PolicyRule> {
        self.rules
            .iter()
            .find(|rule| rule.may_hold_for(way, self.mark) && rule.may_have_led_to(table, way))
    }
}

/// The rules before `table` that may answer for some packet, no matter who marks it, in order.
pub(crate) fn all_before<'a>(
    host: &Host<'a>,
    family: AddressFamily,
    table: u32,
) -> Vec<&'a PolicyRule> {
    let before = host.before(family, table);
    if before.is_empty() {
        return before;
    }
    let ways = host.candidates(family, &before);
    let may_answer = |rule: &&PolicyRule| ways.iter().any(|way| rule.may_hold_for_marked(way));
    before.into_iter().filter(may_answer).collect()
}

impl<'a> Host<'a> {
    fn before(&self, family: AddressFamily, table: u32) -> Vec<&'a PolicyRule> {
        let mut before = policy_rules::before(self.rules, family, table, self.protocol);
        before.truncate(MOST_BEFORE);
        before
    }

    /// Every combination of what the rules select by; bounded.
    fn candidates(&self, family: AddressFamily, before: &[&PolicyRule]) -> Vec<Way> {
        let mut sources: BTreeSet<Option<IpAddr>> = self.representatives(family, before);
        sources.insert(None);
        let vrfs = before.iter().any(|rule| rule.selects_vrfs());
        let vrfs = self.links.vrfs.iter().filter(|_| vrfs).cloned().map(Some);
        let services: BTreeSet<u8> = before.iter().map(|rule| rule.tos()).chain([0]).collect();
        let selects_transport = before.iter().any(|rule| rule.transport.is_some());
        // A look-up without one is one for UDP in IPv4: where it matters, each is named.
        let transports: Vec<Option<u8>> =
            if selects_transport { vec![Some(6), Some(17)] } else { vec![None] };
        let mut all = Vec::new();
        for vrf in [None].into_iter().chain(vrfs) {
            for destination in &sources {
                for tos in &services {
                    for transport in &transports {
                        if all.len() >= MOST_WAYS * MOST_WAYS {
                            return all;
                        }
                        let (tos, transport) = (*tos, *transport);
                        all.push(Way {
                            destination: *destination,
                            vrf: vrf.clone(),
                            tos,
                            transport,
                        });
                    }
                }
            }
        }
        all
    }

    /// One own address for each set of rules that name it.
    fn representatives(
        &self,
        family: AddressFamily,
        before: &[&PolicyRule],
    ) -> BTreeSet<Option<IpAddr>> {
        let nets: BTreeSet<IpNet> = before.iter().filter_map(|rule| rule.source()).collect();
        let mut named: BTreeMap<Vec<bool>, IpAddr> = BTreeMap::new();
        for own in self.own.iter().filter(|own| is_of(family, own)) {
            let by: Vec<bool> = nets.iter().map(|net| net.contains(own)).collect();
            if by.contains(&true) && named.len() < MOST_WAYS {
                named.entry(by).or_insert(*own);
            }
        }
        named.into_values().map(Some).collect()
    }
}

/// Whether packets of strangers are sent to an own address.
fn is_of(family: AddressFamily, own: &IpAddr) -> bool {
    let link_local = match own {
        IpAddr::V4(_) => false,
        IpAddr::V6(own) => own.is_unicast_link_local(),
    };
    own.is_ipv6() == (family == AddressFamily::Inet6) && !own.is_loopback() && !link_local
}

#[cfg(test)]
mod tests;
