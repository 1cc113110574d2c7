//! Cables between hosts.

use rtnetlink::packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::Host;

/// Lays a cable (veth pair) between two hosts, each end given as host and interface name, and sets
/// both ends up.
///
/// `rp_filter` is 0 and duplicate address detection is off on both ends, so that a packet that does
/// not arrive was stopped by what the test put there, and addresses are usable at once.
pub fn wire(a: (&Host, &str), b: (&Host, &str)) {
    let far_end = LinkUnspec::new_with_name(b.1)
        .append_extra_attribute(LinkAttribute::NetNsFd(b.0.descriptor()))
        .build();
    let cable = LinkMessageBuilder::<LinkVeth>::new(a.1, b.1)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
        .build();
    a.0.netlink(async |handle| handle.link().add(cable).execute().await)
        .unwrap_or_else(|error| panic!("cable {}-{}: {error}", a.0.name(), b.0.name()));
    for (host, interface) in [a, b] {
        host.sysctl("ipv4/conf/all/rp_filter", "0");
        host.sysctl(&format!("ipv4/conf/{interface}/rp_filter"), "0");
        host.sysctl(&format!("ipv6/conf/{interface}/accept_dad"), "0");
        host.up(interface);
    }
}
