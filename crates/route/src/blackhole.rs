//! Our blackhole routes: how one is added, deleted, looked up and recognised.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Parseable};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteType,
    RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use rtnetlink::RouteMessageBuilder;
use tracing::debug;

use crate::netlink::{Batch, Channel, Dump, Refusal};
use crate::{RouteError, Settings};

/// Metric of our IPv6 routes: the kernel's default for routes that say none (`IP6_RT_PRIO_USER`). Named
/// in every request, because IPv6 keeps routes that differ in metric only side by side.
const IPV6_METRIC: u32 = 1024;

/// Makes the messages for our blackhole routes of one table and protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blackholes {
    table: u32,
    protocol: u8,
}

impl Blackholes {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self::in_table(settings.table_id(), settings.protocol)
    }

    pub(crate) fn in_table(table: u32, protocol: u8) -> Self {
        Self { table, protocol }
    }

    /// `ip route add blackhole NET proto PROTOCOL table TABLE`; refused when the prefix is taken.
    pub(crate) fn add(self, batch: &mut Batch, net: IpNet) -> usize {
        batch.route(NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewRoute(self.route(net)))
    }

    /// `ip route del blackhole NET proto PROTOCOL table TABLE`: never anybody else's route.
    pub(crate) fn delete(self, batch: &mut Batch, net: IpNet) -> usize {
        batch.route(0, RouteNetlinkMessage::DelRoute(self.route(net)))
    }

    /// Whether a route is one of ours.
    pub(crate) fn owns(self, route: &Route) -> bool {
        route.protocol == self.protocol
            && route.table == self.table
            && route.kind == RouteType::BlackHole
    }

    fn route(self, net: IpNet) -> RouteMessage {
        let mut message = match net {
            IpNet::V4(net) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(net.network(), net.prefix_len())
                .table_id(self.table)
                .build(),
            IpNet::V6(net) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(net.network(), net.prefix_len())
                .table_id(self.table)
                .priority(IPV6_METRIC)
                .build(),
        };
        message.header.protocol = RouteProtocol::from(self.protocol);
        message.header.kind = RouteType::BlackHole;
        message
    }
}

/// `ip route get fibmatch ADDRESS mark MARK`: which route would the kernel take?
pub(crate) fn lookup(batch: &mut Batch, address: IpAddr, mark: Option<u32>) -> usize {
    let mut message = match address {
        IpAddr::V4(address) => {
            RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(address, 32).build()
        }
        IpAddr::V6(address) => {
            RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(address, 128).build()
        }
    };
    // Strictly checked requests may hold nothing but the family, the destination and the flags.
    message.header = RouteHeader {
        address_family: message.header.address_family,
        destination_prefix_length: message.header.destination_prefix_length,
        flags: RouteFlags::FibMatch,
        ..RouteHeader::default()
    };
    message.attributes.extend(mark.map(RouteAttribute::Mark));
    batch.route(0, RouteNetlinkMessage::GetRoute(message))
}

/// What a [`lookup`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Winner {
    /// A blackhole.
    Blackhole,
    /// Something else, in the words of `ip route`.
    Other(String),
}

impl Winner {
    /// Reads a refused lookup: the kernel answers a lookup that ends at a blackhole with EINVAL, the
    /// error it would give to a sender (`fib_props`, `ip6_rt_type_to_error`). A malformed request gives
    /// EINVAL too, but with an explanation.
    pub(crate) fn of_refusal(refusal: &Refusal) -> Self {
        match refusal.errno {
            Errno::EINVAL if refusal.explanation.is_none() => Self::Blackhole,
            Errno::ENETUNREACH => Self::Other("no route at all".to_owned()),
            Errno::EHOSTUNREACH => Self::Other("an unreachable route".to_owned()),
            Errno::EACCES => Self::Other("a prohibit route".to_owned()),
            _ => Self::Other(format!("unknown (lookup failed: {refusal})")),
        }
    }

    /// Reads the route that a lookup found.
    pub(crate) fn of_route(payload: &[u8]) -> Self {
        match Route::read(payload) {
            Some(route) if route.kind == RouteType::BlackHole => Self::Blackhole,
            Some(route) => Self::Other(route.to_string()),
            None => Self::Other("a route this program cannot read".to_owned()),
        }
    }
}

/// What matters of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) net: IpNet,
    pub(crate) table: u32,
    pub(crate) protocol: u8,
    pub(crate) kind: RouteType,
    pub(crate) metric: Option<u32>,
    pub(crate) gateways: Vec<IpAddr>,
    /// Interface of a route with one next hop.
    pub(crate) interface: Option<u32>,
}

impl Route {
    /// Reads the payload of an `RTM_NEWROUTE`; `None` when it is no IP route.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let message = match RouteMessage::parse(payload) {
            Ok(message) => message,
            Err(error) => {
                debug!(%error, "skipped a route");
                return None;
            }
        };
        let header = &message.header;
        let any: IpAddr = match header.address_family {
            AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
            AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return None,
        };
        let mut route = Self {
            net: IpNet::new(any, header.destination_prefix_length).ok()?,
            table: header.table.into(),
            protocol: header.protocol.into(),
            kind: header.kind,
            metric: None,
            gateways: Vec::new(),
            interface: None,
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => {
                    let address = ip(address)?;
                    route.net = IpNet::new(address, header.destination_prefix_length).ok()?;
                }
                RouteAttribute::Table(table) => route.table = *table,
                RouteAttribute::Priority(metric) => route.metric = Some(*metric),
                RouteAttribute::Oif(index) => route.interface = Some(*index),
                RouteAttribute::MultiPath(hops) => {
                    route
                        .gateways
                        .extend(hops.iter().flat_map(|hop| &hop.attributes).filter_map(gateway));
                }
                other => route.gateways.extend(gateway(other)),
            }
        }
        Some(route)
    }
}

/// In the words of `ip route`, with interfaces by number.
impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            RouteType::Unicast => {}
            RouteType::BlackHole => f.write_str("blackhole ")?,
            RouteType::Unreachable => f.write_str("unreachable ")?,
            RouteType::Prohibit => f.write_str("prohibit ")?,
            RouteType::Throw => f.write_str("throw ")?,
            RouteType::Local => f.write_str("local ")?,
            other => write!(f, "type {} ", u8::from(other))?,
        }
        write!(f, "{}", self.net)?;
        if let Some(gateway) = self.gateways.first() {
            write!(f, " via {gateway}")?;
        }
        if let Some(interface) = self.interface {
            write!(f, " dev if{interface}")?;
        }
        write!(f, " table {} proto {}", self.table, self.protocol)?;
        self.metric.map_or(Ok(()), |metric| write!(f, " metric {metric}"))
    }
}

/// Which routes a dump is about; `None` is any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter {
    /// Only this protocol.
    pub(crate) protocol: Option<u8>,
    /// Only this table.
    pub(crate) table: Option<u32>,
    /// Only this type.
    pub(crate) kind: Option<RouteType>,
}

/// Reads the routes of both families. The kernel filters where it can (since 4.20), we do again.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn dump(
    channel: &mut Channel,
    filter: Filter,
    mut each: impl FnMut(Route),
) -> Result<(), RouteError> {
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let request = || {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            message.header.protocol =
                filter.protocol.map_or(RouteProtocol::Unspec, RouteProtocol::from);
            message.header.kind = filter.kind.unwrap_or_default();
            message.attributes.extend(filter.table.map(RouteAttribute::Table));
            let mut batch = Batch::default();
            batch.route(NLM_F_DUMP, RouteNetlinkMessage::GetRoute(message));
            batch
        };
        let outcome = channel
            .dump(request, |_, payload| {
                let wanted = Route::read(payload).filter(|route| {
                    filter.protocol.is_none_or(|protocol| route.protocol == protocol)
                        && filter.table.is_none_or(|table| route.table == table)
                        && filter.kind.is_none_or(|kind| route.kind == kind)
                });
                if let Some(route) = wanted {
                    each(route);
                }
            })
            .await?;
        match outcome {
            Dump::Complete => {}
            // A table that does not exist yet, or a kernel without this family.
            Dump::Refused(refusal)
                if matches!(
                    refusal.errno,
                    Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT
                ) => {}
            Dump::Refused(refusal) => {
                return Err(RouteError::Refused {
                    what: "read the routing tables".to_owned(),
                    reason: refusal.to_string(),
                });
            }
        }
    }
    Ok(())
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}
