//! `xml_locate configuration configuration name acl.conf`: access control lists as networks.
//!
//! FreeSWITCH lets the node with the longest prefix decide, and of several equal ones the last
//! (`switch_utils.c`, `switch_network_list_validate_ip_token`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::xml::{Step, attribute, is_true, walk};
use super::{MAX_TEXT, beginning};

/// The question.
pub const QUESTION: &str = "xml_locate configuration configuration name acl.conf";

/// Shortest prefix of an `allow` node that counts, IPv4 and IPv6. What is wider names no carrier.
const WIDEST: (u8, u8) = (8, 32);

/// IPv4 addresses that one list may allow: sixteen /8 networks. More is (nearly) everybody.
const MAX_ADDRESSES: u64 = 1 << 28;

/// Nodes read of one list, and networks that they may come to.
const MAX_NODES: usize = 4_096;
const MAX_NETS: usize = 16_384;

/// Lists read at most.
const MAX_LISTS: usize = 256;

/// The lists of `acl.conf`, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLists {
    lists: BTreeMap<String, List>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct List {
    allows_by_default: bool,
    nodes: Vec<Node>,
    /// It has a node whose addresses are not in the file (`domain=`), or that cannot be read.
    asks: bool,
    left_out: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    allows: bool,
    net: IpNet,
}

/// What a list comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It allows these networks.
    Nets {
        /// The networks, sorted.
        nets: Vec<IpNet>,
        /// It may allow more, which only FreeSWITCH itself can say: `acl ADDRESS LIST`.
        asks: bool,
        /// What of it is not used, and why.
        unused: Option<String>,
    },
    /// It allows everybody, or nearly: it must not be used. Why.
    Everybody(String),
    /// The file does not have it. FreeSWITCH makes some lists itself (`localnet.auto`).
    Unknown,
}

/// Reads the answer.
///
/// # Errors
/// When it is not such a configuration.
pub fn read(text: &str) -> Result<AccessLists, String> {
    let mut found = AccessLists::default();
    let mut any = false;
    let mut list: Option<(String, List)> = None;
    walk(text, |step| match step {
        Step::Open(tag) => match tag.name().as_ref() {
            "network-lists" => any = true,
            "list" => {
                let name = attribute(tag, "name", MAX_TEXT).unwrap_or_default();
                let default = attribute(tag, "default", MAX_TEXT).unwrap_or_default();
                list =
                    Some((name, List { allows_by_default: is_true(&default), ..List::default() }));
            }
            "node" => {
                if let Some((_, list)) = &mut list {
                    list.add(tag);
                }
            }
            _ => {}
        },
        Step::Close("list") => {
            if let Some((name, list)) = list.take()
                && (found.lists.len() < MAX_LISTS || found.lists.contains_key(&name))
            {
                found.lists.insert(name, list);
            }
        }
        Step::Text(_) | Step::Close(_) => {}
    })?;
    if any { Ok(found) } else { Err(format!("no access lists: {}", beginning(text))) }
}

impl AccessLists {
    /// What the list of this name comes to.
    pub fn verdict(&self, name: &str) -> Verdict {
        self.lists.get(name).map_or(Verdict::Unknown, List::verdict)
    }
}

impl List {
    fn add(&mut self, tag: &quick_xml::events::BytesStart<'_>) {
        let text = |name: &str| attribute(tag, name, MAX_TEXT);
        let allows = text("type").map_or(self.allows_by_default, |word| is_true(&word));
        let bound_to_ports = text("port").is_some() || text("ports").is_some();
        let nets: Option<Vec<IpNet>> = match (text("cidr"), text("host"), text("mask")) {
            (Some(cidr), ..) => cidr.split(',').map(|cidr| read_net(cidr.trim())).collect(),
            (None, Some(host), Some(mask)) => masked(&host, &mask).map(|net| vec![net]),
            (None, ..) => None,
        };
        match nets {
            Some(nets) if !bound_to_ports => {
                for net in nets {
                    if self.nodes.len() < MAX_NODES {
                        self.nodes.push(Node { allows, net });
                    } else {
                        self.left_out += 1;
                    }
                }
            }
            // A `deny` for some ports only takes all of the network away: that errs on the side of a ban.
            Some(nets) if !allows => {
                self.nodes.extend(nets.into_iter().map(|net| Node { allows, net }));
                self.nodes.truncate(MAX_NODES);
                self.asks = true;
            }
            Some(_) | None => self.asks = true,
        }
    }

    fn verdict(&self) -> Verdict {
        if self.allows_by_default {
            return Verdict::Everybody("its default is `allow`".to_owned());
        }
        let (usable, wide): (Vec<Node>, Vec<Node>) =
            self.nodes.iter().partition(|node| !node.allows || is_narrow(&node.net));
        if let Some(all) = wide.iter().find(|node| node.net.prefix_len() == 0) {
            return Verdict::Everybody(format!("its node {} allows every address", all.net));
        }
        let Some(nets) = resolve(usable) else {
            return Verdict::Everybody(format!("its nodes give more than {MAX_NETS} networks"));
        };
        let allowed_by_wide: u64 = wide.iter().map(|node| addresses(&node.net)).sum();
        let allowed: u64 = nets.iter().map(addresses).sum::<u64>() + allowed_by_wide;
        if allowed > MAX_ADDRESSES {
            return Verdict::Everybody(format!(
                "it allows {allowed} IPv4 addresses, more than sixteen /8 networks"
            ));
        }
        let unused = match (wide.first(), self.left_out) {
            (Some(node), _) => Some(format!(
                "its node {} is wider than /{} (IPv6 /{}) and is not used",
                node.net, WIDEST.0, WIDEST.1
            )),
            (None, 0) => None,
            (None, left_out) => Some(format!("{left_out} nodes beyond {MAX_NODES} are not used")),
        };
        // FreeSWITCH would say yes to the wide node's addresses, too.
        let asks = self.asks && wide.is_empty();
        Verdict::Nets { nets, asks, unused }
    }
}

fn is_narrow(net: &IpNet) -> bool {
    let least = if net.addr().is_ipv4() { WIDEST.0 } else { WIDEST.1 };
    net.prefix_len() >= least
}

/// IPv4 addresses in a network.
fn addresses(net: &IpNet) -> u64 {
    match net {
        IpNet::V4(net) => 1 << (32 - u32::from(net.prefix_len())),
        IpNet::V6(_) => 0,
    }
}

/// What is left of the allowed networks where the longest prefix decides. `None` when they are too many.
fn resolve(mut nodes: Vec<Node>) -> Option<Vec<IpNet>> {
    // Stable: of equal prefixes the last one decides.
    nodes.sort_by_key(|node| node.net.prefix_len());
    let mut allowed: BTreeSet<IpNet> = BTreeSet::new();
    for node in nodes {
        if node.allows {
            allowed.insert(node.net);
        } else {
            let touched: Vec<IpNet> = allowed
                .iter()
                .filter(|net| net.contains(&node.net) || node.net.contains(*net))
                .copied()
                .collect();
            for net in touched {
                allowed.remove(&net);
                allowed.extend(without(net, &node.net));
            }
        }
        if allowed.len() > MAX_NETS {
            return None;
        }
    }
    Some(IpNet::aggregate(&allowed.into_iter().collect()))
}

/// `net` without `hole`: the other half at each step towards it.
fn without(net: IpNet, hole: &IpNet) -> Vec<IpNet> {
    let mut pieces = Vec::new();
    let mut rest = net;
    while rest.contains(hole) && rest != *hole {
        let Ok(mut halves) = rest.subnets(rest.prefix_len() + 1) else { break };
        let (Some(first), Some(second)) = (halves.next(), halves.next()) else { break };
        let (inside, outside) =
            if first.contains(hole) { (first, second) } else { (second, first) };
        pieces.push(outside);
        rest = inside;
    }
    pieces
}

/// `10.0.0.0/8`, `2001:db8::/32`, or an address alone.
fn read_net(text: &str) -> Option<IpNet> {
    text.parse()
        .map(|net: IpNet| net.trunc())
        .or_else(|_| text.parse().map(|a: IpAddr| a.into()))
        .ok()
}

/// `host` and `mask` of a node.
fn masked(host: &str, mask: &str) -> Option<IpNet> {
    let host: IpAddr = host.trim().parse().ok()?;
    let mask: Ipv4Addr = mask.trim().parse().ok()?;
    let net = ipnet::ip_mask_to_prefix(mask.into()).ok()?;
    IpNet::new(host, net).ok().map(|net| net.trunc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::freeswitch::registrations::tests::recorded;

    fn verdict(default: &str, nodes: &[(&str, &str)]) -> Verdict {
        let nodes = nodes
            .iter()
            .map(|(kind, rest)| format!("<node type=\"{kind}\" {rest}/>"))
            .collect::<Vec<_>>()
            .concat();
        let text = format!(
            "<configuration><network-lists><list name=\"l\" default=\"{default}\">{nodes}</list>\
             </network-lists></configuration>"
        );
        read(&text).unwrap().verdict("l")
    }

    fn nets(nets: &[&str], asks: bool) -> Verdict {
        let nets = nets.iter().map(|net| net.parse().unwrap()).collect();
        Verdict::Nets { nets, asks, unused: None }
    }

    #[test]
    fn the_recorded_lists_are_networks() {
        let lists = read(&recorded("2-xml_locate-acl.conf")).unwrap();
        assert_eq!(lists.verdict("trusted"), nets(&["10.66.50.0/24"], false));
        assert_eq!(lists.verdict("providers"), nets(&["10.66.1.50/32"], false));
        assert_eq!(
            lists.verdict("domains"),
            nets(&[], true),
            "only FreeSWITCH knows these addresses"
        );
        assert!(matches!(lists.verdict("regdeny"), Verdict::Everybody(_)));
        assert_eq!(lists.verdict("localnet.auto"), Verdict::Unknown);
    }

    #[test]
    fn the_longest_prefix_decides_and_of_equal_ones_the_last() {
        let allow = |net| ("allow", net);
        let deny = |net| ("deny", net);
        assert_eq!(
            verdict("deny", &[allow("cidr=\"10.0.0.0/30\""), deny("cidr=\"10.0.0.1/32\"")]),
            nets(&["10.0.0.0/32", "10.0.0.2/31"], false)
        );
        assert_eq!(
            verdict(
                "deny",
                &[
                    deny("cidr=\"10.0.0.0/24\""),
                    allow("cidr=\"10.0.0.7/32\""),
                    allow("cidr=\"10.0.0.0/16\"")
                ]
            )
            .clone(),
            {
                let mut all = vec!["10.0.0.7/32".parse().unwrap()];
                all.extend(without(
                    "10.0.0.0/16".parse().unwrap(),
                    &"10.0.0.0/24".parse().unwrap(),
                ));
                Verdict::Nets { nets: IpNet::aggregate(&all), asks: false, unused: None }
            }
        );
        assert_eq!(
            verdict("deny", &[allow("cidr=\"10.0.0.0/24\""), deny("cidr=\"10.0.0.0/24\"")]),
            nets(&[], false)
        );
        assert_eq!(
            verdict("deny", &[deny("cidr=\"10.0.0.0/24\""), allow("cidr=\"10.0.0.0/24\"")]),
            nets(&["10.0.0.0/24"], false)
        );
    }

    #[test]
    fn a_list_that_allows_everybody_is_no_list() {
        for (default, nodes) in [
            ("allow", &[][..]),
            ("true", &[("deny", "cidr=\"10.0.0.0/8\"")]),
            ("deny", &[("allow", "cidr=\"0.0.0.0/0\"")]),
            ("deny", &[("allow", "cidr=\"::/0\"")]),
            ("deny", &[("allow", "cidr=\"0.0.0.0/1\""), ("allow", "cidr=\"128.0.0.0/1\"")]),
            ("deny", &[("allow", "host=\"0.0.0.0\" mask=\"0.0.0.0\"")]),
        ] {
            assert!(
                matches!(verdict(default, nodes), Verdict::Everybody(_)),
                "{default} {nodes:?}"
            );
        }
        let everywhere: Vec<String> = (1..200).map(|n| format!("cidr=\"{n}.0.0.0/8\"")).collect();
        let nodes: Vec<(&str, &str)> =
            everywhere.iter().map(|net| ("allow", net.as_str())).collect();
        assert!(matches!(verdict("deny", &nodes), Verdict::Everybody(_)), "in pieces");
    }

    #[test]
    fn a_wide_node_is_left_out_and_told() {
        let Verdict::Nets { nets, asks, unused } = verdict(
            "deny",
            &[
                ("allow", "cidr=\"192.0.0.0/7\""),
                ("allow", "cidr=\"198.51.100.0/24\""),
                ("allow", "cidr=\"2001::/16\""),
                ("allow", "domain=\"pbx.test\""),
            ],
        ) else {
            panic!()
        };
        assert_eq!(nets, ["198.51.100.0/24".parse().unwrap()]);
        assert!(!asks, "FreeSWITCH would allow the wide node's addresses");
        assert!(unused.unwrap().contains("192.0.0.0/7"));
    }

    #[test]
    fn what_the_file_cannot_say_is_asked() {
        for node in [
            "domain=\"pbx.test\"",
            "host=\"carrier.example\" mask=\"255.255.255.255\"",
            "cidr=\"carrier.example/32\"",
            "cidr=\"192.0.2.1/32\" port=\"5060\"",
            "",
        ] {
            assert_eq!(verdict("deny", &[("allow", node)]), nets(&[], true), "{node}");
        }
        assert_eq!(
            verdict("deny", &[("allow", "host=\"192.0.2.9\" mask=\"255.255.255.0\"")]),
            nets(&["192.0.2.0/24"], false)
        );
        assert_eq!(
            verdict("deny", &[("allow", "cidr=\"192.0.2.1, 192.0.2.8/30\"")]),
            nets(&["192.0.2.1/32", "192.0.2.8/30"], false)
        );
        for text in ["", "+OK\n", "-ERR\n", "<configuration name=\"acl.conf\"/>"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    /// As FreeSWITCH decides.
    fn allows(nodes: &[(bool, IpNet)], address: IpAddr) -> bool {
        let covering = nodes.iter().filter(|(_, net)| net.contains(&address));
        covering.max_by_key(|(_, net)| net.prefix_len()).is_some_and(|(allows, _)| *allows)
    }

    proptest! {
        #[test]
        fn every_address_is_decided_as_freeswitch_decides(
            nodes in proptest::collection::vec((any::<bool>(), 0_u8..16, 24_u8..=32), 0..12),
        ) {
            let nodes: Vec<(bool, IpNet)> = nodes
                .into_iter()
                .map(|(allows, last, prefix)| {
                    let net = IpNet::new(IpAddr::from([10, 0, 0, last]), prefix).unwrap();
                    (allows, net.trunc())
                })
                .collect();
            let resolved =
                resolve(nodes.iter().map(|&(allows, net)| Node { allows, net }).collect()).unwrap();
            for last in 0..=255 {
                let address = IpAddr::from([10, 0, 0, last]);
                let found = resolved.iter().any(|net| net.contains(&address));
                prop_assert_eq!(found, allows(&nodes, address), "{}", address);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|list|node|network-lists| type=\"allow\"| cidr=\"[0-9./:,]{0,9}\"| mask=\"255.0.0.0\"|\"|=|\\PC){0,40}") {
            if let Ok(lists) = read(&text) {
                let _ = lists.verdict("");
            }
        }
    }
}
