//! FreeSWITCH's access control lists: which of them count, and as what.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use sipward_ingest::freeswitch::access_lists::{AccessLists, Verdict};

/// Addresses that no access list can mean, in networks that have nothing to do with each other (RFC 5737, RFC 2544,
/// RFC 1112, RFC 3849, RFC 9637). A list that allows all of a family allows everybody.
const NOBODY: [&[&str]; 2] = [
    &["192.0.2.255", "203.0.113.255", "198.19.255.254", "240.0.0.1"],
    &["2001:db8:ffff:ffff::1", "3fff:fff:ffff::1"],
];

/// What the configured lists come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Networks that a list allows.
    pub nets: BTreeSet<IpNet>,
    /// Lists that FreeSWITCH itself is asked about, an address at a time.
    pub asked: Vec<String>,
    /// Lists of which something is not used, and why.
    pub unused: BTreeMap<String, String>,
}

/// The addresses to ask a list about, to see whether it allows everybody: a family at a time.
pub fn nobody() -> impl Iterator<Item = Vec<IpAddr>> {
    NOBODY.iter().map(|family| family.iter().filter_map(|address| address.parse().ok()).collect())
}

/// What the file says of the lists in `wanted`; without the file all are asked about.
pub fn decide(wanted: &[String], file: Option<&AccessLists>) -> Decided {
    let mut decided = Decided::default();
    for name in wanted {
        match file.map_or(Verdict::Unknown, |file| file.verdict(name)) {
            Verdict::Unknown => decided.asked.push(name.clone()),
            Verdict::Everybody(why) => {
                decided.unused.insert(name.clone(), why);
            }
            Verdict::Nets { nets, asks, unused } => {
                decided.nets.extend(nets);
                if asks {
                    decided.asked.push(name.clone());
                }
                if let Some(why) = unused {
                    decided.unused.insert(name.clone(), why);
                }
            }
        }
    }
    decided
}

impl Decided {
    /// FreeSWITCH reported that this list allows every address: it is not queried further.
    pub fn allows_everybody(&mut self, list: &str) {
        self.asked.retain(|asked| asked != list);
        self.unused
            .insert(list.to_owned(), "FreeSWITCH reports that it allows every address".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sipward_ingest::freeswitch::access_lists;

    #[test]
    fn what_the_file_says_is_not_asked_and_everybody_is_nobody() {
        let file = access_lists::read(
            "<network-lists><list name=\"domains\" default=\"allow\"/><list name=\"providers\" default=\"deny\">\
             <node type=\"allow\" cidr=\"192.0.2.0/24\"/></list><list name=\"trusted\" default=\"deny\">\
             <node type=\"allow\" domain=\"pbx.test\"/><node type=\"allow\" cidr=\"198.51.100.1/32\"/></list>\
             <list name=\"other\"><node type=\"allow\" cidr=\"10.0.0.0/8\"/></list></network-lists>",
        )
        .unwrap();
        let wanted = ["domains", "providers", "trusted", "localnet.auto"].map(str::to_owned);
        let mut decided = decide(&wanted, Some(&file));
        let nets = ["192.0.2.0/24", "198.51.100.1/32"].map(|net| net.parse().unwrap());
        assert_eq!(decided.nets, nets.into(), "no list that does not count");
        assert_eq!(decided.asked, ["trusted", "localnet.auto"]);
        assert_eq!(decided.unused.keys().collect::<Vec<_>>(), ["domains"]);
        decided.allows_everybody("trusted");
        assert_eq!(decided.asked, ["localnet.auto"]);
        assert_eq!(decide(&wanted, None).asked, wanted);
        assert_eq!(nobody().map(|family| family.len()).collect::<Vec<_>>(), [4, 2]);
    }
}
