use super::*;

fn lost_by(net: &str) -> Option<String> {
    let facts = HostFacts {
        own: vec!["192.0.2.1".parse().unwrap()],
        gateways: vec!["192.0.2.254".parse().unwrap(), "fe80::1".parse().unwrap()],
        on_link: vec!["192.0.2.0/24".parse().unwrap(), "fe80::/64".parse().unwrap()],
    };
    facts.lost_by(net.parse().unwrap())
}

#[test]
fn a_gateway_is_never_cut_off() {
    let gateway = Some("its gateway 192.0.2.254".to_owned());
    assert_eq!(lost_by("192.0.2.254/32"), gateway);
    assert_eq!(lost_by("192.0.2.128/25"), gateway);
    assert_eq!(lost_by("192.0.2.0/24"), gateway);
    assert!(lost_by("fe80::/64").is_some());
}

#[test]
fn a_connected_network_is_more_specific_than_a_larger_ban() {
    assert_eq!(lost_by("192.0.0.0/16"), None);
}

#[test]
fn a_neighbour_may_be_banned() {
    assert_eq!(lost_by("192.0.2.66/32"), None);
}

#[test]
fn everybody_may_not() {
    assert_eq!(lost_by("0.0.0.0/0"), Some("everybody".to_owned()));
    assert_eq!(lost_by("::/0"), Some("everybody".to_owned()));
}
