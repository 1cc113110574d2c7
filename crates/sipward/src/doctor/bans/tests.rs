use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::Flow;

use super::*;
use crate::doctor::State;
use crate::doctor::kernel::found_for_tests;
use sipward_daemon::route_queue::route_flow;

fn nets(all: &[&str]) -> BTreeSet<IpNet> {
    all.iter().map(|net| net.parse().unwrap()).collect()
}

#[test]
fn the_bans_are_held_against_the_routes_both_ways() {
    let mut found = found_for_tests();
    found.bans = nets(&["192.0.2.1/32", "192.0.2.2/32"]);
    found.stopped_by_others = nets(&["192.0.2.3/32"]);
    let state = |hosts: &[&str]| {
        let listed = Listed { hosts: nets(hosts), ..Listed::default() };
        let differences = Differences::between(&listed, &found);
        let check = routes(listed.hosts.len(), &found, &differences.routes);
        (check.state, check.found)
    };
    let (same, said) = state(&["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"]);
    assert_eq!(same, State::Ok, "{said}");
    assert!(said.contains("1 network blocked by routes of other programs"), "{said}");
    let (missing, said) = state(&["192.0.2.1/32", "192.0.2.2/32", "192.0.2.9/32"]);
    assert_eq!(missing, State::Fail);
    assert!(said.contains("1 of 3 bans have no route") && said.contains("192.0.2.9"), "{said}");
    let (stray, said) = state(&["192.0.2.1/32"]);
    assert_eq!(stray, State::Warn);
    assert!(said.contains("192.0.2.2/32"), "{said}");
}

#[test]
fn bans_from_the_sip_ports_are_held_against_the_sets_in_which_neighbours_are_one() {
    let mut found = found_for_tests();
    found.sip_bans = nets(&["198.51.100.0/24", "192.0.2.1/32", "2001:db8:0:1::/64"]);
    let state = |sip: &[&str]| {
        let listed = Listed { sip: nets(sip), ..Listed::default() };
        let check = sip_bans(listed.sip.len(), &Differences::between(&listed, &found).sip);
        (check.state, check.found)
    };
    let all = ["198.51.100.0/25", "198.51.100.128/25", "192.0.2.1/32", "2001:db8:0:1::/64"];
    let (same, said) = state(&all);
    assert_eq!(same, State::Ok, "{said}");
    let (missing, said) = state(&[&all[..], &["192.0.2.7/32"]].concat());
    assert_eq!(missing, State::Fail);
    assert!(said.contains("1 of 5") && said.contains("192.0.2.7/32"), "{said}");
    let (stray, said) = state(&all[1..]);
    assert_eq!(stray, State::Warn);
    assert!(said.contains("1 networks") && said.contains("198.51.100.0/24"), "{said}");
    let (empty, _) = {
        let check = sip_bans(0, &Differences::between(&Listed::default(), &found_for_tests()).sip);
        (check.state, check.found)
    };
    assert_eq!(empty, State::Ok);
}

#[test]
fn denied_flows_are_held_against_the_sets_both_ways() {
    let flow = |text: &str| -> Flow { text.parse().unwrap() };
    let mut found = found_for_tests();
    let held = [flow("203.0.113.7 udp 41234"), flow("203.0.113.7 tcp 41234")];
    found.flows = held.map(|flow| (route_flow(flow), Duration::from_secs(9))).to_vec();
    let state = |all: &[Flow]| {
        let listed = Listed { flows: all.iter().copied().collect(), ..Listed::default() };
        let check = flows(listed.flows.len(), &Differences::between(&listed, &found).flows);
        (check.state, check.found)
    };
    assert_eq!(state(&held).0, State::Ok);
    let (missing, said) = state(&[held[0], held[1], flow("203.0.113.8 udp 5060")]);
    assert_eq!(missing, State::Fail);
    assert!(
        said.contains("1 of 3 denied flows") && said.contains("203.0.113.8 udp 5060"),
        "{said}"
    );
    let (stray, said) = state(&held[..1]);
    assert_eq!(stray, State::Warn);
    assert!(said.contains("203.0.113.7 tcp 41234"), "{said}");
}

#[test]
fn hosts_that_have_no_route_or_no_element_are_told() {
    let mut found = found_for_tests();
    found.hosts = 7;
    let differ = |found: &Inspection| Differences::between(&Listed::default(), found).hosts;
    assert_eq!(hosts(found.hosts, differ(&found)).state, State::Ok);
    found.hosts_differ = 2;
    let check = hosts(found.hosts, differ(&found));
    assert_eq!(check.state, State::Warn);
    assert!(check.found.starts_with("2 hosts"), "{check:?}");
}

#[test]
fn what_only_one_look_finds_is_no_difference() {
    let listed = |net: &str| Listed { hosts: nets(&[net]), ..Listed::default() };
    let found = found_for_tests();
    let first = Differences::between(&listed("192.0.2.1/32"), &found);
    let second = Differences::between(&listed("192.0.2.2/32"), &found);
    assert_ne!(first, Differences::default());
    assert_eq!(first.and(&second), Differences::default());
    assert_eq!(first.and(&first), first);
}
