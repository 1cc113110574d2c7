use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn a_flow_is_shown_by_address_transport_and_port() {
    let source = "203.0.113.7".parse().unwrap();
    let flow = Flow { source, transport: Transport::Udp, port: 41234 };
    assert_eq!(flow.to_string(), "203.0.113.7 udp 41234");
    let mapped = Flow { source: "::ffff:203.0.113.7".parse().unwrap(), ..flow };
    assert_eq!(mapped.canonical(), flow);
}

#[test]
fn hosts_and_ipv6_networks_of_64_bits_have_a_key() {
    for text in ["203.0.113.7/32", "2001:db8::7/128", "2001:db8:7::/64"] {
        let (exact, key) = Exact::of(net(text)).unwrap();
        assert_eq!(exact.net(key), net(text));
    }
    for text in ["203.0.113.0/24", "2001:db8::/48", "2001:db8::/127", "0.0.0.0/0"] {
        assert_eq!(Exact::of(net(text)), None, "{text}");
    }
}
