use std::collections::BTreeSet;

use super::super::hosts::GATE_ONLY;
use super::*;
use crate::ShieldSettings;

fn gates() -> Vec<GateSettings> {
    let bounded = ShieldSettings { unlimited: Some(100_000), ..ShieldSettings::default() };
    let mut unbounded = ShieldSettings { packets: None, ..bounded };
    unbounded.healthy.together = None;
    [None, Some(ShieldSettings::default()), Some(bounded), Some(unbounded)]
        .map(|shield| GateSettings { shield, ..GateSettings::default() })
        .into()
}

#[test]
fn the_gate_without_hosts_is_as_small_as_is_assumed() {
    for gate in gates() {
        let size = install(&gate, None, Some(&content(&gate))).numbered(0).len();
        assert!(size < GATE_ONLY, "{size}");
    }
}

/// What a table of these settings holds.
fn content(gate: &GateSettings) -> Content {
    let set = |set: Set| {
        let length = u32::try_from(set.key_length()).unwrap();
        (set.name().as_bytes().to_vec(), (sets::user_data(set.comment()), length))
    };
    Content {
        chains: Chain::all(gate).iter().map(|chain| chain.name().as_bytes().to_vec()).collect(),
        sets: Set::all(gate).into_iter().map(set).collect(),
        objects: objects::Counter::all(gate)
            .iter()
            .map(|counter| (counter.name().as_bytes().to_vec(), 1))
            .collect(),
    }
}

#[test]
fn the_sets_of_bans_and_denied_flows_are_kept_where_they_are_as_they_should_be() {
    let gate = GateSettings::default();
    let mut content = content(&gate);
    let names = |content: &Content| {
        kept(&gate, content).into_iter().map(Set::name).collect::<BTreeSet<_>>()
    };
    let all = names(&content);
    assert!(all.contains("banned4") && all.contains("denied6") && all.contains("sip_banned_nets4"));
    assert!(!all.contains("healthy_udp4") && !all.contains("sip_ports"));
    // Another layout.
    content.sets.get_mut(b"denied6".as_slice()).unwrap().1 = 20;
    content.sets.get_mut(b"banned4".as_slice()).unwrap().0 = b"by hand".to_vec();
    let changed = names(&content);
    let gone: Vec<_> = all.difference(&changed).copied().collect();
    assert_eq!(gone, ["banned4", "denied6"]);
    let without = GateSettings { sip_ports: Vec::new(), ..gate.clone() };
    assert!(kept(&without, &content).iter().all(|set| set.name().starts_with("banned")));
}

#[test]
fn nft_shows_every_comment() {
    // `NFTNL_UDATA_COMMENT_MAXLEN`, with kind, length and terminator.
    let longest = 128 + 2;
    for gate in gates() {
        for data in Rule::all(&gate).into_iter().map(|rule| rule.user_data(&gate)) {
            assert!(data.len() <= longest, "{}", String::from_utf8_lossy(&data));
        }
        for data in Chain::all(&gate).into_iter().map(|chain| chain.user_data(&gate)) {
            assert!(data.len() <= longest, "{}", String::from_utf8_lossy(&data));
        }
    }
}

#[test]
fn a_rule_is_known_again_by_its_chain_and_comment() {
    for gate in gates() {
        let rules = Rule::all(&gate);
        let named: BTreeSet<_> =
            rules.iter().map(|rule| (rule.chain().name(), rule.user_data(&gate))).collect();
        assert_eq!(named.len(), rules.len());
    }
}

#[test]
fn rules_go_only_to_chains_and_sets_that_are_there() {
    for gate in gates() {
        let chains: BTreeSet<_> = Chain::all(&gate).into_iter().map(Chain::name).collect();
        for rule in Rule::all(&gate) {
            assert!(chains.contains(rule.chain().name()), "{rule:?}");
        }
        let sets: BTreeSet<_> = Set::all(&gate).into_iter().map(Set::name).collect();
        assert_eq!(sets.len(), Set::all(&gate).len(), "names are unique");
    }
}
