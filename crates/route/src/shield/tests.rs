use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn taken(shield: &Shield) -> Vec<(String, Option<u32>)> {
    let all = shield.take_hosts(usize::MAX);
    all.into_iter().map(|wanted| (wanted.key.net().to_string(), wanted.registrations)).collect()
}

#[test]
fn what_has_changed_is_taken_once() {
    let shield = Shield::default();
    assert_eq!(shield.admit(net("192.0.2.7/32"), 2), Admission::Admitted);
    assert_eq!(shield.admit(net("2001:db8::7/128"), 0), Admission::Admitted);
    let both = [("192.0.2.7/32".to_owned(), Some(2)), ("2001:db8::/64".to_owned(), Some(1))];
    assert_eq!(taken(&shield), both);
    assert!(!shield.has_changed_hosts());
    shield.admit(net("192.0.2.7/32"), 2);
    assert!(!shield.has_changed_hosts(), "the same again");
    shield.dismiss(net("192.0.2.7/32"));
    shield.dismiss(net("192.0.2.8/32"));
    assert_eq!(taken(&shield), [("192.0.2.7/32".to_owned(), None)]);
}

#[test]
fn a_mapped_address_is_the_address_itself() {
    assert_eq!(Key::of("::ffff:192.0.2.7".parse().unwrap()), Key::V4([192, 0, 2, 7].into()));
}

#[test]
fn a_network_is_its_hosts_as_long_as_they_are_few() {
    let shield = Shield::default();
    assert_eq!(shield.admit(net("192.0.2.0/24"), 1), Admission::Admitted);
    assert_eq!(shield.healthy(), 256);
    assert_eq!(shield.admit(net("2001:db8::/56"), 1), Admission::Admitted);
    assert_eq!(shield.healthy(), 512);
    for wide in ["192.0.0.0/23", "0.0.0.0/0", "::/0", "2001:db8::/55"] {
        assert_eq!(shield.admit(net(wide), 1), Admission::TooWide, "{wide}");
    }
    assert_eq!(shield.healthy(), 512);
}

#[test]
fn a_new_list_changes_the_difference_only() {
    let shield = Shield::default();
    let list = |nets: &[(&str, u32)]| -> Vec<(IpNet, u32)> {
        nets.iter().map(|(text, count)| (net(text), *count)).collect()
    };
    shield.replace(list(&[("192.0.2.1/32", 1), ("192.0.2.2/32", 1), ("192.0.2.3/32", 1)]));
    taken(&shield);
    let admitted = shield.replace(list(&[
        ("192.0.2.1/32", 1),
        ("192.0.2.2/32", 3),
        ("192.0.2.2/32", 0),
        ("192.0.2.4/32", 0),
        ("10.0.0.0/8", 1),
    ]));
    assert_eq!(admitted, Admitted { hosts: 3, left_out: 1 });
    let changed = [("192.0.2.2/32", Some(3)), ("192.0.2.3/32", None), ("192.0.2.4/32", Some(1))];
    assert_eq!(taken(&shield), changed.map(|(text, count)| (text.to_owned(), count)));
}

#[test]
fn registered_hosts_take_the_place_of_those_only_known() {
    let shield = Shield::default();
    let host = |n: u32| IpNet::from(std::net::IpAddr::from(n.to_be_bytes()));
    let most = u32::try_from(MOST_HEALTHY).unwrap();
    // The last two are known only.
    let all = (0..most).map(|n| (host(n), u32::from(n < most - 2)));
    assert_eq!(shield.replace(all), Admitted { hosts: MOST_HEALTHY, left_out: 0 });
    assert_eq!(shield.admit(host(most), 0), Admission::Full);
    assert_eq!(shield.admit(host(most), 1), Admission::Replaced);
    assert_eq!(shield.admit(host(most + 1), 1), Admission::Replaced);
    assert_eq!(shield.admit(host(most + 2), 1), Admission::Full, "all are registered");
    assert_eq!(shield.healthy(), MOST_HEALTHY);
    let more = (0..most + 5).map(|n| (host(n), u32::from(n > 4)));
    assert_eq!(shield.replace(more), Admitted { hosts: MOST_HEALTHY, left_out: 5 });
    shield.take_hosts(usize::MAX);
    assert_eq!(shield.admit(host(2), 1), Admission::Full, "those known only were left out");
}

#[test]
fn after_a_loss_everything_is_taken_again_and_what_the_kernel_may_hold_beside() {
    let shield = Shield::default();
    shield.admit(net("192.0.2.1/32"), 1);
    taken(&shield);
    shield.forget_taken([Key::of("192.0.2.9".parse().unwrap())]);
    let all = [("192.0.2.1/32".to_owned(), Some(1)), ("192.0.2.9/32".to_owned(), None)];
    assert_eq!(taken(&shield), all);
}

#[test]
fn unlimited_networks_beyond_the_room_are_counted() {
    let shield = Shield::default();
    let nets = vec![net("192.0.2.0/24"); MOST_UNLIMITED + 3];
    assert_eq!(shield.set_unlimited(&nets), 3);
    assert_eq!(shield.take_unlimited().unwrap().len(), MOST_UNLIMITED);
    assert_eq!(shield.take_unlimited(), None);
}

#[test]
fn wishes_to_slow_are_bounded() {
    let shield = Shield::default();
    for _ in 0..300 {
        shield.slow(net("192.0.2.0/24"), Duration::MAX);
    }
    assert_eq!(shield.take_slowed().len(), MOST_SLOWED);
    shield.release(net("192.0.2.1/32"));
    let released = Slowed { key: Key::of("192.0.2.1".parse().unwrap()), until: None };
    assert_eq!(shield.take_slowed(), [released]);
}
