//! The gate drops what banned hosts send, and nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use futures_util::TryStreamExt;
use libtest_mimic::Trial;
use nix::sys::socket::{setsockopt, sockopt::BindToDevice};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags};
use rtnetlink::packet_route::route::RouteType;
use sipward_route::{Enforcement, Settings};
use sipward_tests::netns::{self, Host, case, tcp_connects, udp_arrives};
use sipward_tests::wait::until;

use crate::outside::{add_route, demand_mark, packets_dropped};
use crate::world::{
    ATTACKER, ATTACKER6, FAR, FAR6, PBX, PBX_FOR_PHONE, PBX6, PBX6_FOR_PHONE, PHONE, PHONE6,
    ROUTER, ROUTER6, Running, World,
};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("without_a_default_route_far_hosts_still_arrive", no_default_route),
        case("bans_hold_while_the_default_route_goes_and_comes_back", default_route_goes),
        case("forwarded_traffic_passes_also_without_a_way_back", forwarded),
        case("duplicate_address_detection_is_answered", duplicate_address),
        case("link_local_addresses_arrive", link_local),
        case("a_dhcp_request_without_an_address_arrives", dhcp_request),
        case("a_dhcp_answer_reaches_a_host_without_an_address", dhcp_answer),
        case("own_traffic_passes", own_traffic),
        case("the_marks_of_others_are_left_as_they_are", marks),
        case("strict_reverse_path_filtering_works_beside_it", strict_filter),
        case("multicast_arrives", multicast),
        case("a_packet_that_claims_our_own_address_is_left_to_the_kernel", claims_own),
        case("sources_that_others_made_unreachable_are_dropped_too", unreachable),
    ]
}

fn gated(world: World) -> (World, Running) {
    let running = Running::start(&world.pbx, Settings::default());
    assert!(running.found.coverage.gate, "{:?}", running.found.coverage);
    (world, running)
}

fn no_default_route() {
    let (world, mut running) = gated(World::new());
    for (from, to) in [(FAR, PBX), (FAR6, PBX6)] {
        assert!(udp_arrives((&world.attacker, from), (&world.pbx, to)), "{from}");
        // Without a way back nothing is known to win; the ban holds all the same.
        assert_eq!(running.block(from), Enforcement::Full);
        assert!(!udp_arrives((&world.attacker, from), (&world.pbx, to)), "{from}");
        running.unblock(from);
        assert!(udp_arrives((&world.attacker, from), (&world.pbx, to)), "{from}");
    }
    running.stop();
}

fn default_route_goes() {
    let (world, mut running) = gated(World::new().with_default_route());
    world.attacker.address("lo", "203.0.113.7/32");
    world.attacker.address("lo", "2001:db8:77::7/128");
    running.block(FAR);
    running.block(FAR6);
    let check = |when: &str| {
        for (banned, free, to) in [(FAR, "203.0.113.7", PBX), (FAR6, "2001:db8:77::7", PBX6)] {
            assert!(!udp_arrives((&world.attacker, banned), (&world.pbx, to)), "{banned} {when}");
            assert!(udp_arrives((&world.attacker, free), (&world.pbx, to)), "{free} {when}");
        }
    };
    check("with the default route");
    world.pbx.remove_route("0.0.0.0/0", ROUTER);
    world.pbx.remove_route("::/0", ROUTER6);
    check("without it");
    world.pbx.route("0.0.0.0/0", ROUTER);
    world.pbx.route("::/0", ROUTER6);
    check("with it again");
    running.stop();
}

fn forwarded() {
    let (world, mut running) = gated(World::new());
    world.pbx.sysctl("ipv4/ip_forward", "1");
    world.pbx.sysctl("ipv6/conf/all/forwarding", "1");
    world.attacker.route("198.51.100.0/24", PBX);
    world.attacker.route("2001:db8:b::/64", PBX6);
    let arrives = |from, to| udp_arrives((&world.attacker, from), (&world.phone, to));
    for (near, far, to) in [(ATTACKER, FAR, PHONE), (ATTACKER6, FAR6, PHONE6)] {
        assert!(arrives(near, to), "{near}");
        assert!(
            arrives(far, to),
            "{far}: there is no way back through here, but it may have another"
        );
        running.block(near);
        assert!(!arrives(near, to), "{near}");
        assert!(arrives(far, to), "{far}");
    }
    running.stop();
}

fn duplicate_address() {
    let (world, running) = gated(World::new());
    // The question comes from `::`.
    world.phone.sysctl("ipv6/conf/eth0/accept_dad", "1");
    world.phone.address("eth0", "2001:db8:b::1/64");
    until("a defended address", || dad_failed(&world.phone, PBX6_FOR_PHONE));
    assert_eq!(packets_dropped(&world.pbx), 0);
    running.stop();
}

fn link_local() {
    let (world, running) = gated(World::new());
    let (from, to) = (link_local_of(&world.phone, "eth0"), link_local_of(&world.pbx, "eth1"));
    let (from_index, to_index) = (world.phone.interface("eth0"), world.pbx.interface("eth1"));
    let receiver = world.pbx.udp(SocketAddrV6::new(to, 0, 0, to_index));
    let sender = world.phone.udp(SocketAddrV6::new(from, 0, 0, from_index));
    let port = receiver.local_addr().unwrap().port();
    sender.send_to(b"x", SocketAddrV6::new(to, port, 0, from_index)).unwrap();
    assert!(received_from(&receiver).is_some_and(|peer| peer == IpAddr::V6(from)));
    // The same without an address of its own family in between: 169.254.0.0/16 has no route here.
    world.phone.address("eth0", "169.254.7.7/16");
    assert!(udp_arrives((&world.phone, "169.254.7.7"), (&world.pbx, PBX_FOR_PHONE)));
    running.stop();
}

fn dhcp_request() {
    let (world, running) = gated(World::new());
    let fresh = Host::new("fresh");
    netns::wire((&world.pbx, "eth2"), (&fresh, "eth0"));
    world.pbx.address("eth2", "10.9.0.1/24");
    let server = world.pbx.udp("0.0.0.0:67");
    let client = fresh.udp("0.0.0.0:68");
    broadcast(&client, "255.255.255.255:67");
    assert_eq!(received_from(&server), Some(Ipv4Addr::UNSPECIFIED.into()));
    running.stop();
}

fn dhcp_answer() {
    let (pbx, server) = (Host::new("pbx"), Host::new("server"));
    netns::wire((&pbx, "eth0"), (&server, "eth0"));
    server.address("eth0", "10.9.0.1/24");
    let running = Running::start(&pbx, Settings::default());
    assert!(running.found.coverage.gate, "{:?}", running.found.coverage);
    let client = pbx.udp("0.0.0.0:68");
    let sender = server.udp("10.9.0.1:67");
    broadcast(&sender, "255.255.255.255:68");
    assert_eq!(received_from(&client), Some("10.9.0.1".parse().unwrap()));
    running.stop();
}

fn own_traffic() {
    let (world, mut running) = gated(World::new());
    running.block(ATTACKER);
    for own in ["127.0.0.1", "::1", PBX, PBX6] {
        assert!(tcp_connects((&world.pbx, own), (&world.pbx, own)), "{own}");
    }
    // What the PBX asks others for comes back.
    assert!(tcp_connects((&world.pbx, PBX_FOR_PHONE), (&world.phone, PHONE)));
    assert!(tcp_connects((&world.pbx, PBX6_FOR_PHONE), (&world.phone, PHONE6)));
    running.stop();
}

fn marks() {
    let (world, mut running) = gated(World::new());
    demand_mark(&world.pbx, 0x8000_0005);
    assert!(world.reached_by_phone());
    running.block(ATTACKER);
    assert!(!udp_arrives((&world.attacker, ATTACKER), (&world.pbx, PBX)));
    assert!(world.reached_by_phone());
    running.stop();
}

fn strict_filter() {
    for src_valid_mark in ["0", "1"] {
        let (world, mut running) = gated(World::new().with_default_route());
        world.pbx.sysctl("ipv4/conf/all/rp_filter", "1");
        world.pbx.sysctl("ipv4/conf/all/src_valid_mark", src_valid_mark);
        assert!(world.reached_by_phone());
        assert!(world.reached_by_attacker(FAR));
        running.block(FAR);
        assert!(!world.reached_by_attacker(FAR));
        assert!(world.reached_by_phone());
        running.stop();
    }
}

fn multicast() {
    let (world, running) = gated(World::new());
    let receiver = world.pbx.udp("0.0.0.0:5353");
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let interface: Ipv4Addr = PBX_FOR_PHONE.parse().unwrap();
    receiver.join_multicast_v4(&group, &interface).unwrap();
    let sender = world.phone.udp((PHONE, 0));
    sender.send_to(b"x", (group, 5353)).unwrap();
    assert_eq!(received_from(&receiver), Some(PHONE.parse().unwrap()));
    running.stop();
}

/// `accept_local` is for hosts that send to themselves over a wire.
fn claims_own() {
    let (world, running) = gated(World::new());
    world.attacker.address("lo", "198.51.100.1/32");
    let arrives = || udp_arrives((&world.attacker, PBX_FOR_PHONE), (&world.pbx, PBX));
    assert!(!arrives());
    world.pbx.sysctl("ipv4/conf/all/accept_local", "1");
    assert!(arrives());
    assert_eq!(packets_dropped(&world.pbx), 0);
    running.stop();
}

/// The kernel does not distinguish an `unreachable` IPv4 route from a blackhole; its sources get no answer
/// either. IPv6 distinguishes them.
fn unreachable() {
    let (world, running) = gated(World::new().with_default_route());
    for target in [FAR, FAR6] {
        add_route(&world.pbx, RouteType::Unreachable, target, 4, 254);
    }
    assert!(!udp_arrives((&world.attacker, FAR), (&world.pbx, PBX)));
    assert!(udp_arrives((&world.attacker, FAR6), (&world.pbx, PBX6)));
    running.stop();
}

fn broadcast(socket: &UdpSocket, target: &str) {
    socket.set_broadcast(true).unwrap();
    setsockopt(socket, BindToDevice, &"eth0".into()).unwrap();
    socket.send_to(b"x", target).unwrap();
}

fn received_from(socket: &UdpSocket) -> Option<IpAddr> {
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket.recv_from(&mut [0; 16]).ok().map(|(_, peer)| peer.ip())
}

fn link_local_of(host: &Host, interface: &str) -> Ipv6Addr {
    let index = host.interface(interface);
    // The address appears when the interface has found its peer.
    until("a link-local address", || {
        addresses(host, index).into_iter().find_map(|(address, _)| match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        })
    })
}

fn dad_failed(host: &Host, address: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    addresses(host, host.interface("eth0"))
        .iter()
        .any(|(found, flags)| *found == address && flags.contains(AddressFlags::Dadfailed))
}

fn addresses(host: &Host, index: u32) -> Vec<(IpAddr, AddressFlags)> {
    let messages: Vec<_> = host.netlink(async |handle| {
        let request = handle.address().get().set_link_index_filter(index);
        request.execute().try_collect().await.unwrap()
    });
    let read = |attributes: &[AddressAttribute]| {
        let mut found = (None, AddressFlags::empty());
        for attribute in attributes {
            match attribute {
                AddressAttribute::Address(address) => found.0 = Some(*address),
                AddressAttribute::Flags(flags) => found.1 = *flags,
                _ => {}
            }
        }
        found.0.map(|address| (address, found.1))
    };
    messages.iter().filter_map(|message| read(&message.attributes)).collect()
}
