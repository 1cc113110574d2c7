use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn an_ipv4_mapped_address_is_ipv4() {
    assert_eq!(
        canonical("::ffff:192.0.2.1".parse().unwrap()),
        "192.0.2.1".parse::<IpAddr>().unwrap()
    );
    assert_eq!(canonical_net(net("::ffff:192.0.2.1/120")), net("192.0.2.0/24"));
}

#[test]
fn a_6to4_address_stays_ipv6() {
    let addr: IpAddr = "2002:c000:201::1".parse().unwrap();
    assert_eq!(canonical(addr), addr);
    assert_eq!(canonical_net(net("::/0")), net("::/0"));
}

#[test]
fn pieces_cover_all_but_the_hole() {
    let pieces = pieces_around(net("192.0.2.0/24"), net("192.0.2.77/32"));
    assert_eq!(pieces.len(), 8);
    for host in 0..=255 {
        let addr = IpAddr::from([192, 0, 2, host]);
        let holders = pieces.iter().filter(|piece| piece.contains(&addr)).count();
        assert_eq!(holders, usize::from(host != 77), "{addr}");
    }
}

#[test]
fn pieces_of_a_covered_net_are_none_and_of_a_stranger_itself() {
    assert!(pieces_around(net("192.0.2.0/24"), net("192.0.0.0/16")).is_empty());
    assert!(pieces_around(net("192.0.2.0/24"), net("192.0.2.0/24")).is_empty());
    assert_eq!(pieces_around(net("192.0.2.0/24"), net("198.51.100.0/24")), [net("192.0.2.0/24")]);
}

#[test]
fn a_wide_ipv6_hole_leaves_at_most_128_pieces() {
    assert_eq!(pieces_around(net("::/0"), net("2001:db8::1/128")).len(), 128);
}

#[test]
fn only_wider_than_a_host_cuts_link_local() {
    assert!(cuts_link_local(&net("fe80::/64")));
    assert!(cuts_link_local(&net("::/0")));
    assert!(!cuts_link_local(&net("fe80::1/128")));
    assert!(!cuts_link_local(&net("2001:db8::/64")));
}
