//! What the kernel of a host holds.

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use ipnet::IpNet;
use netlink_bindings::nftables::{Nfgenmsg, OpGetobjDump};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::{IpVersion, RouteMessageBuilder};
use sipward_tests::netns::Host;
use sipward_tests::wait::until;

/// Sipward's default `route.protocol`.
const PROTOCOL: RouteProtocol = RouteProtocol::Other(216);

/// Holds this host's own addresses (`RT_TABLE_LOCAL`, rtnetlink.h).
const LOCAL_TABLE: u8 = 255;

/// IPv6 routes of every interface that is up.
const KERNELS_OWN: [&str; 2] = ["fe80::/64", "ff00::/8"];

/// Nets that sipward has blackholed on `host`.
pub(crate) fn blackholes(host: &Host) -> BTreeSet<IpNet> {
    routes(host).iter().filter(|route| is_ours(route)).map(net).collect()
}

/// Waits until sipward has blackholed these nets, and no others, on `host`.
pub(crate) fn blackholes_become<'a>(host: &Host, wanted: impl IntoIterator<Item = &'a str>) {
    let wanted = nets(wanted);
    until("its blackholes", || blackholes(host) == wanted);
}

/// The same, each as often as it is there.
pub(crate) fn blackhole_list(host: &Host) -> Vec<IpNet> {
    routes(host).iter().filter(|route| is_ours(route)).map(net).collect()
}

/// Nets of `text`, as [`blackholes`] gives them.
pub(crate) fn nets<'a>(text: impl IntoIterator<Item = &'a str>) -> BTreeSet<IpNet> {
    text.into_iter().map(|net| net.parse().unwrap()).collect()
}

/// Removes every blackhole of sipward from `host`, as `ip route flush proto 216` would.
pub(crate) fn flush(host: &Host) {
    for route in routes(host).into_iter().filter(is_ours) {
        host.netlink(async |handle| handle.route().del(route).execute().await).unwrap();
    }
}

/// `ip route add KIND NET`, as another program sets it.
pub(crate) fn add_route(host: &Host, kind: RouteType, target: &str) {
    let message = route(kind, target, RouteProtocol::Boot);
    host.netlink(async |handle| handle.route().add(message).execute().await).unwrap();
}

/// `ip route del KIND NET`.
pub(crate) fn delete_route(host: &Host, kind: RouteType, target: &str) {
    let message = route(kind, target, RouteProtocol::Boot);
    host.netlink(async |handle| handle.route().del(message).execute().await).unwrap();
}

/// `ip route add blackhole NET proto 216`, by hand.
pub(crate) fn add_route_of_ours(host: &Host, target: &str) {
    let message = route(RouteType::BlackHole, target, PROTOCOL);
    host.netlink(async |handle| handle.route().add(message).execute().await).unwrap();
}

fn route(kind: RouteType, target: &str, protocol: RouteProtocol) -> RouteMessage {
    let net: IpNet = target.parse().unwrap();
    let mut message = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(net.addr(), net.prefix_len())
        .unwrap()
        .build();
    message.header.kind = kind;
    message.header.protocol = protocol;
    message
}

/// `ip route add default via GATEWAY table TABLE; ip rule add from OWN lookup TABLE pref 1000`: what hosts with
/// a second uplink have.
pub(crate) fn from_own_address(host: &Host, own: &str, gateway: &str, table: u32) {
    let (own, gateway): (IpAddr, IpAddr) = (own.parse().unwrap(), gateway.parse().unwrap());
    let (family, any) = match own {
        IpAddr::V4(_) => (AddressFamily::Inet, IpAddr::from([0; 4])),
        IpAddr::V6(_) => (AddressFamily::Inet6, IpAddr::from([0; 16])),
    };
    let route = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(any, 0)
        .and_then(|route| route.gateway(gateway))
        .unwrap()
        .table_id(table)
        .build();
    host.netlink(async |handle| handle.route().add(route).execute().await).unwrap();
    let mut rule = RuleMessage::default();
    rule.header.family = family;
    rule.header.action = RuleAction::ToTable;
    rule.header.src_len = IpNet::from(own).prefix_len();
    rule.attributes = vec![
        RuleAttribute::Priority(1000),
        RuleAttribute::Table(table),
        RuleAttribute::Source(own),
    ];
    host.netlink(async |handle| {
        let mut request = handle.rule().add();
        *request.message_mut() = rule;
        request.execute().await
    })
    .unwrap();
}

/// Every route and rule of `host`, to see whether anything changed; without those that the kernel
/// enters by itself when it is done with an address or a link.
pub(crate) fn everything(host: &Host) -> Vec<String> {
    let mut all: Vec<String> = routes(host)
        .iter()
        .filter(|route| route.header.table != LOCAL_TABLE)
        .filter(|route| !KERNELS_OWN.iter().any(|own| nets([*own]).contains(&net(route))))
        .map(|route| format!("{:?} {}", route.header, net(route)))
        .collect();
    for version in [IpVersion::V4, IpVersion::V6] {
        let rules: Vec<_> = host
            .netlink(async |handle| handle.rule().get(version).execute().try_collect().await)
            .unwrap();
        all.extend(rules.iter().map(|rule| format!("{rule:?}")));
    }
    all.sort();
    all
}

fn routes(host: &Host) -> Vec<RouteMessage> {
    host.netlink(async |handle| {
        let mut all = Vec::new();
        for request in [
            RouteMessageBuilder::<std::net::Ipv4Addr>::new().build(),
            RouteMessageBuilder::<std::net::Ipv6Addr>::new().build(),
        ] {
            let found: Vec<_> = handle.route().get(request).execute().try_collect().await?;
            all.extend(found);
        }
        Ok::<_, rtnetlink::Error>(all)
    })
    .unwrap()
}

fn is_ours(route: &RouteMessage) -> bool {
    route.header.kind == RouteType::BlackHole && route.header.protocol == PROTOCOL
}

fn net(route: &RouteMessage) -> IpNet {
    let address = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        RouteAttribute::Destination(RouteAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    });
    let any = match route.header.address_family {
        rtnetlink::packet_route::AddressFamily::Inet6 => IpAddr::from([0_u16; 8]),
        _ => IpAddr::from([0; 4]),
    };
    IpNet::new(address.unwrap_or(any), route.header.destination_prefix_length).unwrap()
}

/// What the named limit of sipward's table lets through a second, as `nft list limit inet sipward NAME` shows it;
/// `None` where there is none.
pub(crate) fn packets_per_second(host: &Host, name: &str) -> Option<u64> {
    // linux/netfilter/nf_tables.h: NFT_MSG_GETOBJ, of NFNL_SUBSYS_NFTABLES.
    const GET_OBJECT: u16 = 10 << 8 | 0x13;
    /// `NFTA_LIMIT_RATE`: length, type, and a number of 64 bits behind it.
    const RATE: [u8; 4] = [12, 0, 1, 0];
    let mut header = Nfgenmsg::new();
    header.nfgen_family = 1;
    let mut payload = Vec::new();
    OpGetobjDump::encode_request(&mut payload, &header).push_table_bytes(b"sipward");
    let mut request = vec![0; 16];
    request.extend(payload);
    let length = u32::try_from(request.len()).unwrap();
    request[..4].copy_from_slice(&length.to_ne_bytes());
    request[4..6].copy_from_slice(&GET_OBJECT.to_ne_bytes());
    request[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    let mut socket = host.run(|| Socket::new(NETLINK_NETFILTER)).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    socket.send(&request, 0).unwrap();
    let wanted = [name.as_bytes(), &[0]].concat();
    let mut found = None;
    loop {
        let mut buffer = Vec::with_capacity(65_536);
        socket.recv(&mut buffer, 0).unwrap();
        let mut rest = buffer.as_slice();
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            // NLMSG_ERROR and NLMSG_DONE.
            if matches!(message.message_type(), 2 | 3) {
                return found;
            }
            let object = message.payload();
            if object.windows(wanted.len()).any(|part| part == wanted) {
                // The name of the table looks the same, and comes first.
                let rate = object.windows(12).rev().find(|part| part.starts_with(&RATE));
                let rate = rate.and_then(|part| part.last_chunk::<8>());
                found = found.or(rate.map(|rate| u64::from_be_bytes(*rate)));
            }
            let length = (message.length() as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}
