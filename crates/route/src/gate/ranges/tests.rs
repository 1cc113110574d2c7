use super::*;

fn ranges(nets: &[&str]) -> Ranges {
    let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().unwrap()).collect();
    Ranges::new(&nets)
}

#[test]
fn overlapping_and_neighbouring_networks_are_one_range() {
    let nets = ["10.0.1.0/24", "10.0.2.0/23", "10.0.1.7/32", "10.0.4.1/32"];
    let first = |text: &str| u128::from(u32::from(text.parse::<std::net::Ipv4Addr>().unwrap()));
    let wanted = [
        Range { first: first("10.0.1.0"), last: first("10.0.3.255") },
        Range { first: first("10.0.4.1"), last: first("10.0.4.1") },
    ];
    assert_eq!(ranges(&nets).ipv4, BTreeSet::from(wanted));
}

#[test]
fn a_network_within_another_does_not_shorten_it() {
    assert_eq!(ranges(&["10.0.0.0/8", "10.0.0.1/32", "10.200.0.0/16"]), ranges(&["10.0.0.0/8"]));
}

#[test]
fn the_whole_world_is_one_range_of_each_family() {
    let world = ranges(&["0.0.0.0/0", "::/0", "255.255.255.255/32", "ffff::/16"]);
    assert_eq!(world.ipv4, BTreeSet::from([Range { first: 0, last: u32::MAX.into() }]));
    assert_eq!(world.ipv6, BTreeSet::from([Range { first: 0, last: u128::MAX }]));
}

#[test]
fn a_long_list_is_reached_in_steps_that_never_contradict_themselves() {
    let apart = |n: u32| IpNet::from(std::net::IpAddr::from((0x0a00_0000 + n * 2).to_be_bytes()));
    let wide = ["10.0.0.0/16", "2001:db8::/32"].map(|net| net.parse().unwrap());
    let before = Ranges::new(&wide);
    let count = u32::try_from(2 * STEP + 1).unwrap();
    let mut nets: Vec<IpNet> = (0..count).map(apart).collect();
    nets.push(wide[1]);
    let target = Ranges::new(&nets);
    let mut now = before;
    for left in [STEP + 1, 1, 0] {
        now = now.towards(&target);
        assert_eq!(target.len() - now.len(), left);
        assert!(now.ipv4.is_subset(&target.ipv4) && now.ipv6 == target.ipv6);
    }
    assert_eq!(now, target);
    assert_eq!(now.towards(&Ranges::default()), Ranges::default());
}
