use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn loopback_is_exempt_from_the_start_and_stays_so() {
    let mut exemptions = Exemptions::new(7);
    exemptions.replace(Exemption::Own, &[net("192.0.2.1/32")]);
    exemptions.replace(Exemption::Own, &[]);
    assert_eq!(exemptions.of(addr("127.0.0.53")), Some((Exemption::Own, net("127.0.0.0/8"))));
    assert_eq!(exemptions.of(addr("::1")), Some((Exemption::Own, net("::1/128"))));
    assert_eq!(exemptions.of(addr("192.0.2.1")), None);
}

#[test]
fn the_stronger_class_is_named_whatever_its_width() {
    let mut exemptions = Exemptions::new(7);
    exemptions.replace(Exemption::Allow, &[net("192.0.2.0/24")]);
    exemptions.replace(Exemption::Gateway, &[net("192.0.2.1/32")]);
    assert_eq!(exemptions.of(addr("192.0.2.1")), Some((Exemption::Gateway, net("192.0.2.1/32"))));
    assert_eq!(exemptions.of(addr("192.0.2.2")), Some((Exemption::Allow, net("192.0.2.0/24"))));
}

#[test]
fn replacing_one_class_leaves_the_others() {
    let mut exemptions = Exemptions::new(7);
    exemptions.replace(Exemption::Allow, &[net("192.0.2.1/32")]);
    exemptions.replace(Exemption::Gateway, &[net("192.0.2.1/32")]);
    exemptions.replace(Exemption::Gateway, &[]);
    assert_eq!(exemptions.of(addr("192.0.2.1")), Some((Exemption::Allow, net("192.0.2.1/32"))));
}

#[test]
fn touching_finds_what_lies_around_at_and_inside() {
    let mut exemptions = Exemptions::new(7);
    exemptions
        .replace(Exemption::Allow, &[net("10.0.0.0/8"), net("10.1.0.0/16"), net("10.1.2.3/32")]);
    let found: Vec<IpNet> = exemptions.touching(&net("10.1.0.0/16")).map(|(_, net)| net).collect();
    assert_eq!(found, [net("10.0.0.0/8"), net("10.1.0.0/16"), net("10.1.2.3/32")]);
    assert_eq!(exemptions.touching(&net("11.0.0.0/8")).count(), 0);
}

#[test]
fn a_mapped_network_covers_ipv4_addresses() {
    let mut exemptions = Exemptions::new(7);
    exemptions.replace(Exemption::Allow, &[net("::ffff:192.0.2.0/120")]);
    assert!(exemptions.of(addr("192.0.2.9")).is_some());
}
