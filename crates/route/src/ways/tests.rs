use super::*;
use crate::policy_rules::test_rule as rule;

const OWN: [&str; 4] = ["192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8::1"];

fn ways(rules: &[PolicyRule], links: &Links) -> Ways {
    let own: Vec<IpAddr> = OWN.iter().map(|own| own.parse().unwrap()).collect();
    let host = Host { rules, own: &own, links, protocol: 216 };
    Ways::new(&host, AddressFamily::Inet, 254, 0)
}

fn destinations(ways: &Ways) -> Vec<Option<String>> {
    ways.all.iter().map(|way| way.destination.map(|own| own.to_string())).collect()
}

#[test]
fn without_rules_of_others_one_look_up_proves_a_ban() {
    let ways = ways(&[rule(32_766, 254, None)], &Links::default());
    assert_eq!(ways, Ways::default());
}

#[test]
fn own_addresses_that_rules_tell_apart_are_looked_up_each() {
    let rules = [
        rule(100, 10, Some("192.0.2.1/32")),
        rule(101, 11, Some("198.51.100.0/24")),
        rule(32_766, 254, None),
    ];
    let ways = ways(&rules, &Links::default());
    let expected = [None, Some("192.0.2.1".to_owned()), Some("198.51.100.1".to_owned())];
    assert_eq!(destinations(&ways), expected);
    let way = ways.all.last().unwrap();
    assert_eq!(ways.rule_of(way, Some(11)), rules.get(1));
    assert_eq!(ways.rule_of(way, Some(10)), None);
}

#[test]
fn a_rule_from_an_address_that_is_not_ours_tells_nothing_apart() {
    let rules = [rule(100, 10, Some("203.0.113.9/32")), rule(32_766, 254, None)];
    let ways = ways(&rules, &Links::default());
    assert_eq!(destinations(&ways), [None]);
    assert!(ways.rules.is_empty());
}

#[test]
fn many_own_addresses_of_one_rule_take_one_look_up() {
    let rules = [rule(100, 10, Some("0.0.0.0/1")), rule(101, 10, Some("128.0.0.0/1"))];
    assert_eq!(ways(&rules, &Links::default()).all.len(), 2);
}

#[test]
fn ways_are_bounded_and_it_is_said() {
    let own: Vec<IpAddr> = (0..1000_u32).map(|n| IpAddr::V4((0x0a00_0000 + n).into())).collect();
    let rules: Vec<PolicyRule> =
        own.iter().zip(1..).map(|(own, n)| rule(n, n, Some(&format!("{own}/32")))).collect();
    let links = Links::default();
    let host = Host { rules: &rules, own: &own, links: &links, protocol: 216 };
    let ways = Ways::new(&host, AddressFamily::Inet, 254, 0);
    assert!(ways.all.len() <= MOST_WAYS && ways.is_partial, "{}", ways.all.len());
}
