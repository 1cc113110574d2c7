use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn changes_of_one_network_are_folded_into_the_last() {
    let (a, b) = (net("192.0.2.1/32"), net("192.0.2.2/32"));
    let folded = fold(&[Change::Block(a), Change::Block(b), Change::Unblock(a), Change::Block(b)]);
    assert_eq!(folded, [Change::Unblock(a), Change::Block(b)]);
}

#[test]
fn networks_are_brought_into_canonical_form() {
    assert_eq!(
        fold(&[Change::Block(net("2001:db8::7/64"))]),
        [Change::Block(net("2001:db8::/64"))]
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
