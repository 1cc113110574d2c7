use netlink_packet_core::Emitable as _;
use netlink_packet_route::route::RouteProtocol;

use super::*;
use crate::links::Vrf;

/// A rule as the kernel sends it.
fn rule(fill: impl FnOnce(&mut RuleMessage)) -> PolicyRule {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![RuleAttribute::Priority(100), RuleAttribute::Table(70_000)];
    fill(&mut message);
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    PolicyRule::read(&bytes).unwrap()
}

fn way(own: &str) -> Way {
    Way { destination: own.parse().ok(), ..Way::default() }
}

#[test]
fn rules_are_told_in_the_words_of_ip() {
    let full = rule(|message| {
        message.header.src_len = 32;
        message.header.dst_len = 24;
        message.attributes.extend([
            RuleAttribute::Source([192, 0, 2, 1].into()),
            RuleAttribute::Destination([203, 0, 113, 0].into()),
            RuleAttribute::FwMark(5),
            RuleAttribute::FwMask(255),
            RuleAttribute::Iifname("eth0".to_owned()),
            RuleAttribute::SuppressPrefixLen(0),
        ]);
    });
    assert_eq!(
        full.to_string(),
        "ip rule pref 100 from 192.0.2.1 to 203.0.113.0/24 fwmark 0x5/0xff iif eth0 lookup 70000 \
         suppress_prefixlength 0"
    );
    let l3mdev = rule(|message| message.attributes.push(RuleAttribute::L3MDev(true)));
    assert_eq!(l3mdev.to_string(), "ip rule pref 100 lookup [l3mdev-table]");
    let inverted = rule(|message| {
        message.header.flags = RuleFlags::Invert;
        message.attributes.push(RuleAttribute::FwMark(51_820));
    });
    assert_eq!(inverted.to_string(), "ip rule pref 100 not fwmark 0xca6c lookup 70000");
}

#[test]
fn a_rule_from_an_own_address_holds_for_packets_to_it() {
    let from = rule(|message| {
        message.header.src_len = 32;
        message.attributes.push(RuleAttribute::Source([192, 0, 2, 1].into()));
    });
    assert!(from.may_hold_for(&way("192.0.2.1"), 0));
    assert!(!from.may_hold_for(&way("192.0.2.2"), 0));
    assert!(!from.may_hold_for(&Way::default(), 0));
}

#[test]
fn a_rule_for_packets_that_come_in_by_an_interface_never_meets_the_gate() {
    let by = |name: &str| {
        let name = name.to_owned();
        rule(|message| message.attributes.push(RuleAttribute::Iifname(name)))
    };
    assert!(!by("eth0").may_hold_for(&Way::default(), 0));
    assert!(by("lo").may_hold_for(&Way::default(), 0));
    let vrf = Vrf { index: 7, name: "red".to_owned(), table: 10 };
    let inside = Way { vrf: Some(vrf), ..Way::default() };
    assert!(by("red").may_hold_for(&inside, 0));
    let l3mdev = rule(|message| message.attributes.push(RuleAttribute::L3MDev(true)));
    assert!(l3mdev.may_hold_for(&inside, 0) && !l3mdev.may_hold_for(&Way::default(), 0));
    assert!(l3mdev.may_have_led_to(Some(10), &inside) && !l3mdev.may_have_led_to(Some(9), &inside));
}

#[test]
fn a_rule_for_a_mark_holds_for_the_marked_only_and_an_inverted_one_for_the_rest() {
    let marked = |flags| {
        rule(|message| {
            message.header.flags = flags;
            message.attributes.push(RuleAttribute::FwMark(0xca6c));
        })
    };
    let (plain, inverted) = (marked(RuleFlags::empty()), marked(RuleFlags::Invert));
    assert!(!plain.may_hold_for(&Way::default(), 0) && plain.may_hold_for(&Way::default(), 0xca6c));
    assert!(inverted.may_hold_for(&Way::default(), 0));
    assert!(plain.may_hold_for_marked(&Way::default()));
}

#[test]
fn what_is_read_before_a_table_ends_at_the_rule_that_holds_for_all() {
    let at = |preference, table, marked: bool, protocol: u8| {
        rule(|message| {
            let protocol = RuleAttribute::Protocol(RouteProtocol::from(protocol));
            let head = [RuleAttribute::Priority(preference), RuleAttribute::Table(table), protocol];
            message.attributes = head.into();
            message.attributes.extend(marked.then_some(RuleAttribute::FwMark(1)));
        })
    };
    let rules = [
        at(0, LOCAL_TABLE, false, 2),
        at(10, 100, false, 4),
        // To the table itself, for some packets; and one of our own.
        at(20, 254, true, 4),
        at(30, 216, false, 216),
        at(40, 101, true, 4),
        at(32_766, 254, false, 2),
        at(32_767, 253, false, 2),
    ];
    let before = before(&rules, AddressFamily::Inet, 254, 216);
    let preferences: Vec<u32> = before.iter().map(|rule| rule.preference).collect();
    assert_eq!(preferences, [10, 40]);
    assert!(super::before(&rules, AddressFamily::Inet6, 254, 216).is_empty());
}

#[test]
fn a_blackhole_is_never_suppressed() {
    // What wg-quick sets: main first, but for its default route.
    let main = rule(|message| {
        message.attributes = vec![
            RuleAttribute::Priority(1),
            RuleAttribute::Table(254),
            RuleAttribute::SuppressPrefixLen(0),
        ];
    });
    let rules = [main, rule(|_| {})];
    assert!(before(&rules, AddressFamily::Inet, 254, 216).is_empty());
}

#[test]
fn bytes_that_are_no_rule_are_none() {
    assert_eq!(PolicyRule::read(&[]), None);
    assert_eq!(PolicyRule::read(&[255; 11]), None);
}
