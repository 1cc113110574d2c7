use super::*;
use crate::proof::sample;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn changes_of_one_network_are_folded_into_the_last() {
    let (a, b) = (net("192.0.2.1/32"), net("192.0.2.2/32"));
    let sip = Change::Block { net: b, scope: Scope::Sip };
    let folded = fold(&[Change::block(a), Change::block(b), Change::Unblock(a), sip]);
    assert_eq!(folded.nets, [(Wish::Unblock, a), (Wish::Block(Scope::Sip), b)]);
    assert!(folded.flows.is_empty());
}

#[test]
fn changes_of_one_flow_are_folded_into_the_last() {
    let until = std::time::Instant::now();
    let flow = |source: &str| Flow {
        source: source.parse().unwrap(),
        transport: crate::Transport::Udp,
        port: 5060,
    };
    let (a, mapped) = (flow("192.0.2.1"), flow("::ffff:192.0.2.1"));
    let folded = fold(&[Change::Allow(a), Change::Deny { flow: mapped, until }]);
    assert_eq!(folded.flows, [(a, Some(until))]);
}

#[test]
fn networks_are_brought_into_canonical_form() {
    assert_eq!(
        fold(&[Change::block(net("2001:db8::7/64"))]).nets,
        [(Wish::Block(Scope::Host), net("2001:db8::/64"))]
    );
}

#[test]
fn the_address_looked_up_is_in_the_middle_of_the_network() {
    let sampled = |text| sample(net(text)).to_string();
    assert_eq!(sampled("192.0.2.7/32"), "192.0.2.7");
    assert_eq!(sampled("192.0.2.0/24"), "192.0.2.128");
    assert_eq!(sampled("192.0.2.6/31"), "192.0.2.7");
    assert_eq!(sampled("128.0.0.0/1"), "192.0.0.0");
    assert_eq!(sampled("2001:db8::7/128"), "2001:db8::7");
    assert_eq!(sampled("2001:db8::/64"), "2001:db8:0:0:8000::");
    assert_eq!(sampled("8000::/1"), "c000::");
}
