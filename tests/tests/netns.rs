//! The harness itself: packets arrive where nothing stops them, and only there.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::process::ExitCode;

use sipward_tests::netns::{self, Conversation, Host, case, tcp_connects, udp_arrives};

fn main() -> ExitCode {
    netns::main(|| {
        vec![
            case("packets_arrive_over_a_cable", packets_arrive_over_a_cable),
            case("nothing_arrives_when_the_cable_is_down", nothing_arrives_when_it_is_down),
            case("routed_addresses_arrive", routed_addresses_arrive),
        ]
    })
}

fn packets_arrive_over_a_cable() {
    let (pbx, phone) = cabled();
    assert!(udp_arrives((&phone, "192.0.2.2"), (&pbx, "192.0.2.1")));
    assert!(tcp_connects((&phone, "192.0.2.2"), (&pbx, "192.0.2.1")));
    assert!(udp_arrives((&phone, "2001:db8::2"), (&pbx, "2001:db8::1")));
    assert!(tcp_connects((&phone, "2001:db8::2"), (&pbx, "2001:db8::1")));
}

fn nothing_arrives_when_it_is_down() {
    let (pbx, phone) = cabled();
    let mut call = Conversation::open((&phone, "192.0.2.2"), (&pbx, "192.0.2.1"))
        .expect("a connection over a fresh cable");
    assert!(call.arrives());
    pbx.down("eth0");
    assert!(!call.arrives());
    assert!(!udp_arrives((&phone, "192.0.2.2"), (&pbx, "192.0.2.1")));
}

fn routed_addresses_arrive() {
    let (pbx, phone) = cabled();
    phone.address("lo", "203.0.113.5/32");
    phone.address("lo", "2001:db8:5::5/128");
    assert!(!tcp_connects((&phone, "203.0.113.5"), (&pbx, "192.0.2.1")), "no way back yet");
    pbx.route("203.0.113.0/24", "192.0.2.2");
    pbx.route("::/0", "2001:db8::2");
    assert!(tcp_connects((&phone, "203.0.113.5"), (&pbx, "192.0.2.1")));
    assert!(tcp_connects((&phone, "2001:db8:5::5"), (&pbx, "2001:db8::1")));
}

fn cabled() -> (Host, Host) {
    let (pbx, phone) = (Host::new("pbx"), Host::new("phone"));
    netns::wire((&pbx, "eth0"), (&phone, "eth0"));
    pbx.address("eth0", "192.0.2.1/24");
    pbx.address("eth0", "2001:db8::1/64");
    phone.address("eth0", "192.0.2.2/24");
    phone.address("eth0", "2001:db8::2/64");
    (pbx, phone)
}
