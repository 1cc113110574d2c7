use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn only_networks_without_a_key_are_ranges() {
    let bans = ["192.0.2.7/32", "203.0.113.0/24", "2001:db8::/64", "2001:db8:7::/48"].map(net);
    let ranges = nets(&bans);
    assert_eq!(ranges.of(Family::V4).len(), 1);
    assert_eq!(ranges.of(Family::V6).len(), 1);
}

#[test]
fn a_range_is_read_as_the_networks_that_make_it_up() {
    for text in ["203.0.113.0/24", "0.0.0.0/1", "128.0.0.0/1", "2001:db8:7::/48", "8000::/1"] {
        let ranges = nets(&[net(text)]);
        let family = if text.contains(':') { Family::V6 } else { Family::V4 };
        let range = *ranges.of(family).first().unwrap();
        assert_eq!(subnets(family, range), [net(text)]);
    }
}
