use std::collections::BTreeMap;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::message::{Ban, Body};

/// What is compared: keys and which message counts of each.
type State = BTreeMap<(Peer, Key), Version>;

impl Merge {
    fn state(&self) -> State {
        let all = self.sites.iter().flat_map(|(site, nodes)| {
            nodes.iter().flat_map(move |(name, node)| {
                let peer = Peer { site: site.clone(), node: name.clone() };
                node.by_key
                    .iter()
                    .map(move |(key, version)| ((peer.clone(), key.clone()), *version))
            })
        });
        all.collect()
    }

    /// Merges what counts of two: as if all messages of the other came here.
    fn join(mut self, other: &Self) -> Self {
        for ((peer, key), version) in other.state() {
            self.insert(&peer, &key, version);
        }
        self
    }

    fn of<'a>(limits: Limits, said: impl IntoIterator<Item = &'a Said>) -> Self {
        let mut merge = Self::new(limits);
        for (peer, key, version) in said {
            merge.insert(peer, key, *version);
        }
        merge
    }
}

type Said = (Peer, Key, Version);

/// Few sites, nodes, networks and numbers, so that they meet.
fn said() -> impl Strategy<Value = Said> {
    (0u8..4, 0u8..4, 0u8..6, 1u64..12, 0u64..2, 0u64..2, any::<bool>()).prop_map(
        |(site, node, net, n, hash, stamp, veto)| {
            let peer = Peer::new(&format!("s{site}"), &format!("n{node}")).unwrap();
            let net = IpNet::from(std::net::IpAddr::from([198, 51, 100, net]));
            let key = if veto { Key::Veto(net) } else { Key::Ban(net) };
            (peer, key, Version { n, hash, stamp })
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    (1usize..5, 1usize..5, 1usize..9, 1usize..60)
        .prop_map(|(sites, nodes, per_peer, total)| Limits { sites, nodes, per_peer, total })
}

fn some() -> impl Strategy<Value = Vec<Said>> {
    prop::collection::vec(said(), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_order_gives_the_same(limits in limits(), said in some().prop_flat_map(|said| {
        let shuffled = Just(said.clone()).prop_shuffle();
        (Just(said), shuffled)
    })) {
        let (one, other) = said;
        prop_assert_eq!(Merge::of(limits, &one).state(), Merge::of(limits, &other).state());
    }

    #[test]
    fn twice_is_once(limits in limits(), said in some()) {
        let once = Merge::of(limits, &said).state();
        prop_assert_eq!(Merge::of(limits, said.iter().chain(&said)).state(), once.clone());
        let twice = Merge::of(limits, said.iter().flat_map(|said| [said, said]));
        prop_assert_eq!(twice.state(), once);
    }

    #[test]
    fn joining_is_commutative_associative_and_idempotent(
        limits in limits(), a in some(), b in some(), c in some(),
    ) {
        let of = |said: &[Said]| Merge::of(limits, said);
        let all = Merge::of(limits, a.iter().chain(&b).chain(&c)).state();
        prop_assert_eq!(of(&a).join(&of(&b)).state(), of(&b).join(&of(&a)).state());
        prop_assert_eq!(of(&a).join(&of(&b)).join(&of(&c)).state(), all.clone());
        prop_assert_eq!(of(&a).join(&of(&b).join(&of(&c))).state(), all);
        prop_assert_eq!(of(&a).join(&of(&a)).state(), of(&a).state());
    }

    #[test]
    fn what_is_answered_is_what_happens(limits in limits(), said in some()) {
        let mut merge = Merge::new(limits);
        let mut expected = State::new();
        for (peer, key, version) in said {
            let at = (peer.clone(), key.clone());
            match merge.insert(&peer, &key, version) {
                Outcome::Newer(forgotten) => {
                    expected.insert(at, version);
                    for lost in forgotten {
                        prop_assert!(expected.remove(&lost).is_some(), "{:?} was not there", lost);
                    }
                }
                Outcome::Same => {
                    let there = expected.get_mut(&at).unwrap();
                    *there = (*there).max(version);
                }
                Outcome::Older => prop_assert!(expected[&at] > version),
                Outcome::Full => prop_assert!(!expected.contains_key(&at)),
            }
            prop_assert_eq!(&merge.state(), &expected);
            prop_assert!(merge.len() <= limits.total.max(limits.sites * limits.nodes));
        }
    }
}

fn peer(text: &str) -> Peer {
    text.parse().unwrap()
}

fn ended(from: &str, net: &str, n: u64) -> Message {
    Message { from: peer(from), n, at: 1, body: Body::Ban(net.parse().unwrap(), Ban::Ended) }
}

#[test]
fn the_greater_n_counts_and_equal_n_is_settled_by_the_value() {
    let mut merge = Merge::new(Limits::default());
    let message = |n| ended("a.b", "192.0.2.1/32", n);
    assert_eq!(merge.take(&message(2), b"x", 5), Outcome::Newer(vec![]));
    assert_eq!(merge.take(&message(1), b"y", 9), Outcome::Older);
    assert_eq!(merge.take(&message(2), b"x", 6), Outcome::Same);
    let other = merge.take(&message(2), b"z", 5);
    let back = merge.take(&message(2), b"x", 5);
    assert!(
        (other == Outcome::Older && back == Outcome::Same)
            || (other == Outcome::Newer(vec![]) && back == Outcome::Older)
    );
    assert_eq!(merge.take(&message(3), b"x", 5), Outcome::Newer(vec![]));
    assert_eq!(merge.len(), 1);
}

#[test]
fn a_peer_that_says_too_much_loses_its_own_oldest_words_only() {
    let mut merge = Merge::new(Limits { per_peer: 2, ..Limits::default() });
    assert_eq!(merge.take(&ended("a.quiet", "192.0.2.1/32", 1), b"", 0), Outcome::Newer(vec![]));
    merge.take(&ended("a.loud", "192.0.2.1/32", 10), b"", 0);
    merge.take(&ended("a.loud", "192.0.2.2/32", 11), b"", 0);
    let lost = (peer("a.loud"), Key::Ban("192.0.2.1/32".parse().unwrap()));
    assert_eq!(
        merge.take(&ended("a.loud", "192.0.2.3/32", 12), b"", 0),
        Outcome::Newer(vec![lost])
    );
    assert_eq!(merge.take(&ended("a.loud", "192.0.2.4/32", 9), b"", 0), Outcome::Full);
    assert_eq!(merge.peers().collect::<Vec<_>>(), [peer("a.loud"), peer("a.quiet")]);
    assert_eq!(merge.len(), 3);
}

#[test]
fn a_site_of_invented_nodes_takes_no_room_of_others() {
    let limits = Limits { sites: 4, nodes: 100, per_peer: 10, total: 40 };
    let mut merge = Merge::new(limits);
    for net in 0..10 {
        merge.take(&ended("b.n1", &format!("192.0.2.{net}/32"), 1), b"", 0);
    }
    for node in 0..200 {
        merge.take(&ended(&format!("a.n{node}"), "192.0.2.1/32", 1 << 50), b"", 0);
    }
    let kept = merge.state().into_keys().filter(|(from, _)| *from == peer("b.n1")).count();
    assert_eq!(kept, 10);
    assert_eq!(merge.peers().count(), 101);
}

#[test]
fn the_end_of_a_ban_is_remembered_as_long_as_the_ban_could_count() {
    let day = 24 * 60 * 60 * 1000;
    let mut merge = Merge::new(Limits::default());
    merge.take(&ended("a.b", "192.0.2.1/32", 2), b"", 1_000);
    merge.prune(1_000 + day);
    assert_eq!(merge.take(&ended("a.b", "192.0.2.1/32", 1), b"", 1_000), Outcome::Older);
    merge.prune(1_001 + day);
    assert!(merge.is_empty());
}
