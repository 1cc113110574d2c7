use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn back(net: IpNet) -> Option<IpNet> {
    Key::net(Key::from(net).as_slice())
}

#[test]
fn every_network_comes_back_as_it_was() {
    for text in ["0.0.0.0/0", "192.0.2.7/32", "192.0.2.0/24", "::/0", "2001:db8::/48", "::1/128"] {
        assert_eq!(back(net(text)), Some(net(text)));
    }
}

#[test]
fn damaged_keys_are_no_networks() {
    let good = Key::from(net("192.0.2.0/24"));
    assert_eq!(Key::net(&[]), None);
    assert_eq!(Key::net(&[4]), None);
    assert_eq!(Key::net(good.as_slice().get(..5).unwrap()), None);
    assert_eq!(Key::net(&[4, 192, 0, 2, 0, 33]), None, "prefix too long");
    assert_eq!(Key::net(&[5, 192, 0, 2, 0, 24]), None, "no such family");
    assert_eq!(Key::net(&[6, 192, 0, 2, 0, 24]), None, "too short for IPv6");
}

#[test]
fn the_range_of_a_network_holds_what_is_inside_and_nothing_beside() {
    let (low, high) = Key::range(net("198.51.100.0/24"));
    let holds = |text: &str| {
        let key = Key::from(net(text));
        low.as_slice() <= key.as_slice() && key.as_slice() <= high.as_slice()
    };
    for inside in ["198.51.100.0/24", "198.51.100.0/32", "198.51.100.255/32", "198.51.100.128/25"] {
        assert!(holds(inside), "{inside}");
    }
    for beside in ["198.51.99.255/32", "198.51.101.0/32", "2001:db8::/32", "::/0"] {
        assert!(!holds(beside), "{beside}");
    }
}
