use netlink_packet_core::NetlinkMessage;

use super::*;
use crate::links::Vrf;

/// The one message of a batch, as the general decoder reads it.
fn message(batch: &mut Batch) -> (u16, RouteNetlinkMessage) {
    let bytes = batch.numbered(1);
    let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).unwrap();
    assert_eq!(message.header.length as usize, bytes.len());
    let netlink_packet_core::NetlinkPayload::InnerMessage(inner) = message.payload else {
        panic!("{message:?}");
    };
    (message.header.flags, inner)
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn a_route_is_laid_out_as_the_kernel_reads_it() {
    for (text, table, metric) in [
        ("192.0.2.7/32", 254, None),
        ("192.0.2.0/23", 70_000, None),
        ("2001:db8::/64", 254, Some(IPV6_METRIC)),
        ("2001:db8::1/128", 256, Some(IPV6_METRIC)),
    ] {
        let mut batch = Batch::default();
        let blackholes = Blackholes::in_table(table, 216);
        blackholes.add(&mut batch, net(text));
        let (flags, RouteNetlinkMessage::NewRoute(route)) = message(&mut batch) else { panic!() };
        assert_eq!(flags & (NLM_F_CREATE | NLM_F_EXCL), NLM_F_CREATE | NLM_F_EXCL);
        let mut bytes = vec![0; netlink_packet_core::Emitable::buffer_len(&route)];
        netlink_packet_core::Emitable::emit(&route, &mut bytes);
        let read = Route::read(&bytes).unwrap();
        assert!(blackholes.owns(&read), "{read:?}");
        assert_eq!((read.net, read.metric, read.interface), (net(text).trunc(), metric, None));
        assert_eq!(route.header.scope, netlink_packet_route::route::RouteScope::Universe);
    }
}

#[test]
fn a_route_of_any_metric_is_deleted_by_its_interface_in_ipv6_only() {
    for (text, interface) in [("192.0.2.7/32", None), ("2001:db8::/64", Some(LOOPBACK))] {
        let mut batch = Batch::default();
        Blackholes::in_table(254, 216).delete_any(&mut batch, net(text));
        let (_, RouteNetlinkMessage::DelRoute(route)) = message(&mut batch) else { panic!() };
        let out = route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
        assert_eq!(out, interface);
        assert!(!route.attributes.iter().any(|it| matches!(it, RouteAttribute::Priority(_))));
    }
}

#[test]
fn a_look_up_names_what_the_gate_would() {
    let own = |text: &str| Some(text.parse().unwrap());
    let way = Way {
        destination: own("192.0.2.1"),
        vrf: Some(Vrf { index: 7, name: "red".to_owned(), table: 10 }),
        tos: 8,
        transport: Some(6),
    };
    let mut batch = Batch::default();
    lookup(&mut batch, "198.51.100.7".parse().unwrap(), Some(0x2000_0000), &way);
    let (_, RouteNetlinkMessage::GetRoute(asked)) = message(&mut batch) else { panic!() };
    let header = &asked.header;
    assert_eq!((header.destination_prefix_length, header.source_prefix_length), (32, 32));
    assert_eq!((header.tos, header.table, u8::from(header.kind)), (8, 0, 0));
    assert_eq!(header.flags, RouteFlags::FibMatch | RouteFlags::LookupTable);
    let expected = [
        RouteAttribute::Destination(RouteAddress::Inet([198, 51, 100, 7].into())),
        RouteAttribute::Source(RouteAddress::Inet([192, 0, 2, 1].into())),
        RouteAttribute::Oif(7),
        RouteAttribute::IpProto(6),
        RouteAttribute::Mark(0x2000_0000),
        RouteAttribute::Uid(0),
    ];
    assert_eq!(asked.attributes, expected);
    let mut batch = Batch::default();
    lookup(&mut batch, "2001:db8::7".parse().unwrap(), None, &Way::default());
    let (_, RouteNetlinkMessage::GetRoute(asked)) = message(&mut batch) else { panic!() };
    assert_eq!(
        (asked.header.destination_prefix_length, asked.header.flags),
        (128, RouteFlags::FibMatch)
    );
    assert_eq!(asked.attributes.len(), 1, "{asked:?}");
}
