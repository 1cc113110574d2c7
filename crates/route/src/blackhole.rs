//! Our blackhole routes: how one is added, deleted, looked up and recognised.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Parseable};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use tracing::debug;

use crate::RouteError;
use crate::links::LOOPBACK;
use crate::netlink::{Batch, Channel, Dump, Refusal, Reply};
use crate::way::Way;

/// Metric of our IPv6 routes. IPv6 keeps routes that differ in metric only side by side, and the lowest wins:
/// one below the default for routes that say none (`IP6_RT_PRIO_USER`, 1024), so that a ban neither fails
/// nor loses because another program has a route of the same network. The networks that this host is
/// connected to (256) stay before it.
const IPV6_METRIC: u32 = 1023;

// linux/rtnetlink.h
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;
/// `RTA_…`
const DESTINATION: u16 = 1;
const SOURCE: u16 = 2;
const INTERFACE: u16 = 4;
const METRIC: u16 = 6;
const TABLE: u16 = 15;
const MARK: u16 = 16;
const USER: u16 = 25;
const TRANSPORT: u16 = 27;
/// Bytes of an attribute before its value.
const ATTRIBUTE_HEADER: usize = 4;

/// Makes the messages for our blackhole routes of one table and protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blackholes {
    table: u32,
    protocol: u8,
}

impl Blackholes {
    /// Of one table.
    pub(crate) fn in_table(table: u32, protocol: u8) -> Self {
        Self { table, protocol }
    }

    /// `ip route add blackhole NET proto PROTOCOL table TABLE`; refused when the prefix is taken.
    pub(crate) fn add(self, batch: &mut Batch, net: IpNet) -> usize {
        self.request(batch, NEW_ROUTE, NLM_F_CREATE | NLM_F_EXCL, net, our_metric(net))
    }

    /// `ip route del blackhole NET proto PROTOCOL table TABLE`: never a route of another program.
    pub(crate) fn delete(self, batch: &mut Batch, net: IpNet) -> usize {
        self.request(batch, DELETE_ROUTE, 0, net, our_metric(net))
    }

    /// As [`delete`](Self::delete), but in IPv6 of any metric: what is left when ours is gone was set by hand
    /// or by an earlier version. Of routes without a way out only (`dev lo`): IPv6 does not compare types.
    pub(crate) fn delete_any(self, batch: &mut Batch, net: IpNet) -> usize {
        let loopback = matches!(net, IpNet::V6(_)).then_some((INTERFACE, LOOPBACK));
        self.request(batch, DELETE_ROUTE, 0, net, loopback)
    }

    /// Deletes a route of sipward as it was in a dump.
    pub(crate) fn delete_found(self, batch: &mut Batch, route: &Route) -> usize {
        let metric = route.metric.map(|metric| (METRIC, metric));
        self.request(batch, DELETE_ROUTE, 0, route.net, metric)
    }

    pub(crate) fn table(self) -> u32 {
        self.table
    }

    /// Whether a route is sipward's.
    pub(crate) fn owns(self, route: &Route) -> bool {
        route.protocol == self.protocol
            && route.table == self.table
            && route.kind == RouteType::BlackHole
    }

    /// Lays the message out by hand: this is done for every ban, and the general encoder takes several times as long.
    fn request(
        self,
        batch: &mut Batch,
        kind: u16,
        flags: u16,
        net: IpNet,
        attribute: Option<(u16, u32)>,
    ) -> usize {
        // Tables above 255 are named by an attribute.
        let table = u8::try_from(self.table).ok();
        let header = Header {
            destination: (net.network(), net.prefix_len()),
            table: table.unwrap_or_default(),
            protocol: self.protocol,
            kind: u8::from(RouteType::BlackHole),
            ..Header::to(net.network())
        };
        batch.write(kind, flags, |bytes| {
            header.write(bytes);
            let table = table.is_none().then_some((TABLE, self.table));
            for (kind, value) in table.into_iter().chain(attribute) {
                push(bytes, kind, &value.to_ne_bytes());
            }
        })
    }
}

/// The metric of sipward's route for a network.
fn our_metric(net: IpNet) -> Option<(u16, u32)> {
    matches!(net, IpNet::V6(_)).then_some((METRIC, IPV6_METRIC))
}

/// `struct rtmsg`, with the address that it is about.
struct Header {
    destination: (IpAddr, u8),
    source: Option<IpAddr>,
    tos: u8,
    table: u8,
    protocol: u8,
    kind: u8,
    flags: RouteFlags,
}

impl Header {
    /// All zero but for the address. Strictly checked look-ups may hold nothing else.
    fn to(address: IpAddr) -> Self {
        let length = if address.is_ipv4() { 32 } else { 128 };
        Self {
            destination: (address, length),
            source: None,
            tos: 0,
            table: 0,
            protocol: 0,
            kind: 0,
            flags: RouteFlags::empty(),
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let Self { destination: (address, length), source, tos, table, protocol, kind, flags } =
            *self;
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let source_length = if source.is_some() { length } else { 0 };
        // The scope is that of routes to everywhere.
        bytes.extend([u8::from(family), length, source_length, tos, table, protocol, 0, kind]);
        bytes.extend(flags.bits().to_ne_bytes());
        for (kind, address) in [(DESTINATION, Some(address)), (SOURCE, source)] {
            match address {
                Some(IpAddr::V4(address)) => push(bytes, kind, &address.octets()),
                Some(IpAddr::V6(address)) => push(bytes, kind, &address.octets()),
                None => {}
            }
        }
    }
}

/// Appends an attribute of at most 16 bytes.
fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// `ip route get fibmatch ADDRESS from OWN oif VRF tos TOS ipproto TRANSPORT mark MARK`: which route would the
/// kernel take? With the own address that packets are sent to as source, as the gate asks.
pub(crate) fn lookup(batch: &mut Batch, address: IpAddr, mark: Option<u32>, way: &Way) -> usize {
    let header = Header {
        source: way.destination,
        tos: way.tos,
        flags: match address {
            // Without it, IPv4 calls every table main; IPv6 refuses it, and names the table in any case.
            IpAddr::V4(_) => RouteFlags::FibMatch | RouteFlags::LookupTable,
            IpAddr::V6(_) => RouteFlags::FibMatch,
        },
        ..Header::to(address)
    };
    // The gate's look-up is root's, which counts where a rule selects by user.
    let user = (*way != Way::default()).then_some(0_u32);
    batch.write(GET_ROUTE, 0, |bytes| {
        header.write(bytes);
        if let Some(vrf) = &way.vrf {
            push(bytes, INTERFACE, &vrf.index.to_ne_bytes());
        }
        if let Some(transport) = way.transport {
            push(bytes, TRANSPORT, &[transport]);
        }
        for (kind, value) in [(MARK, mark), (USER, user)] {
            if let Some(value) = value {
                push(bytes, kind, &value.to_ne_bytes());
            }
        }
    })
}

/// What a [`lookup`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Winner {
    /// A blackhole.
    Blackhole,
    /// An unreachable or a prohibit route, by its kind with the article.
    Refusing(&'static str),
    /// Something else.
    Other {
        /// In the words of `ip route`.
        route: String,
        /// The table that it is in, where the answer says so.
        table: Option<u32>,
    },
}

impl Winner {
    /// Reads the answer to a lookup.
    pub(crate) fn of(reply: &Reply<'_>) -> Option<Self> {
        match reply {
            Reply::Refused(refusal) => Some(Self::of_refusal(refusal)),
            Reply::Object(_, payload) => Some(Self::of_route(payload)),
            Reply::Done => None,
        }
    }

    /// Reads a refused lookup: the kernel answers a lookup that ends at a blackhole with EINVAL, the
    /// error it would give to a sender (`fib_props`, `ip6_rt_type_to_error`). A malformed request gives
    /// EINVAL too, but with an explanation.
    fn of_refusal(refusal: &Refusal) -> Self {
        let other = |route: String| Self::Other { route, table: None };
        match refusal.errno {
            Errno::EINVAL if refusal.explanation.is_none() => Self::Blackhole,
            Errno::ENETUNREACH => other("no route at all".to_owned()),
            Errno::EHOSTUNREACH => Self::Refusing("an unreachable"),
            Errno::EACCES => Self::Refusing("a prohibit"),
            _ => other(format!("unknown (lookup failed: {refusal})")),
        }
    }

    /// Reads the route that a lookup found.
    fn of_route(payload: &[u8]) -> Self {
        match Route::read(payload) {
            Some(route) => match route.kind {
                RouteType::BlackHole => Self::Blackhole,
                RouteType::Unreachable => Self::Refusing("an unreachable"),
                RouteType::Prohibit => Self::Refusing("a prohibit"),
                _ => Self::Other { route: route.to_string(), table: Some(route.table) },
            },
            None => {
                Self::Other { route: "a route this program cannot read".to_owned(), table: None }
            }
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
    /// Whether it ends a look-up without a way: packets of its sources get no answer.
    pub(crate) fn stops(&self) -> bool {
        matches!(self.kind, RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit)
    }
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

/// Asks the kernel for a change that changes nothing. Nothing else tells for sure: capabilities count in
/// the user namespace that owns the network namespace.
///
/// # Errors
/// [`RouteError::NotPermitted`], or when netlink fails.
pub(crate) async fn ask_permission(route: &mut Channel, protocol: u8) -> Result<(), RouteError> {
    let mut batch = Batch::default();
    // No host routes 0.0.0.0/32, and sipward never bans it.
    let nowhere = IpNet::V4(ipnet::Ipv4Net::from(std::net::Ipv4Addr::UNSPECIFIED));
    Blackholes::in_table(crate::settings::MAIN_TABLE, protocol).delete(&mut batch, nowhere);
    let mut permitted = true;
    route
        .exchange(batch, |_, reply| {
            if let Reply::Refused(refusal) = reply {
                permitted = refusal.errno != nix::errno::Errno::EPERM;
            }
        })
        .await?;
    if permitted { Ok(()) } else { Err(RouteError::NotPermitted) }
}

#[cfg(test)]
mod tests;
