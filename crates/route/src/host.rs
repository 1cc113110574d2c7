//! This host's addresses, gateways and connected networks.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_DUMP, Parseable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::route::RouteType;
use netlink_sys::protocols::NETLINK_ROUTE;
use tracing::warn;

use crate::blackhole::{self, Filter};
use crate::netlink::{Batch, Channel, Dump};
use crate::{HostFacts, RouteError, Settings};

/// Most entries kept of each kind. A host has a handful; a router with a full table has some hundred
/// gateways. Bounds what a broken routing daemon can make us hold.
const MOST_FACTS: usize = 4096;

/// What the kernel knows about this host; needs no privilege. Routes with
/// [`Settings::protocol`](crate::Settings::protocol) are left out.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub async fn host_facts(settings: &Settings) -> Result<HostFacts, RouteError> {
    let mut channel = Channel::open(NETLINK_ROUTE).map_err(RouteError::Socket)?;
    facts(&mut channel, settings.protocol).await
}

/// Reads what the kernel knows about this host. Routes with `own_protocol` are left out.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn facts(
    channel: &mut Channel,
    own_protocol: u8,
) -> Result<HostFacts, RouteError> {
    let mut own = BTreeSet::new();
    let mut gateways = BTreeSet::new();
    let mut on_link = BTreeSet::new();
    addresses(channel, |address, net| {
        own.insert(address);
        on_link.extend(net);
    })
    .await?;
    blackhole::dump(
        channel,
        Filter { kind: Some(RouteType::Unicast), ..Filter::default() },
        |route| {
            if route.protocol == own_protocol {
                return;
            }
            // A default route without a gateway (a PPP link) connects to everybody; nobody is on-link.
            if route.gateways.is_empty() && route.interface.is_some() && route.net.prefix_len() > 0
            {
                on_link.insert(route.net);
            }
            gateways.extend(route.gateways);
        },
    )
    .await?;
    Ok(HostFacts {
        own: bounded(own, "own addresses"),
        gateways: bounded(gateways, "gateways"),
        on_link: bounded(on_link, "connected networks"),
    })
}

/// This host's addresses, sorted.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn own(channel: &mut Channel) -> Result<Vec<IpAddr>, RouteError> {
    let mut own = BTreeSet::new();
    addresses(channel, |address, _| {
        own.insert(address);
    })
    .await?;
    Ok(own.into_iter().take(MOST_FACTS).collect())
}

/// Hands each address of this host to `each`, with the network it connects to (none for a single
/// address).
async fn addresses(
    channel: &mut Channel,
    mut each: impl FnMut(IpAddr, Option<IpNet>),
) -> Result<(), RouteError> {
    let request = || {
        let mut batch = Batch::default();
        batch.route(NLM_F_DUMP, RouteNetlinkMessage::GetAddress(AddressMessage::default()));
        batch
    };
    let outcome = channel
        .dump(request, |_, payload| {
            let Ok(message) = AddressMessage::parse(payload) else {
                return;
            };
            // On a point-to-point link `Address` is the peer and `Local` is this host; elsewhere
            // IPv4 gives both alike and IPv6 only the first.
            let (mut address, mut local) = (None, None);
            for attribute in &message.attributes {
                match attribute {
                    AddressAttribute::Address(ip) => address = Some(*ip),
                    AddressAttribute::Local(ip) => local = Some(*ip),
                    _ => {}
                }
            }
            let Some(own) = local.or(address) else { return };
            let net = address
                .and_then(|ip| IpNet::new(ip, message.header.prefix_len).ok())
                .map(|net| net.trunc())
                .filter(|net| net.prefix_len() < net.max_prefix_len() && !own.is_loopback());
            each(own, net);
        })
        .await?;
    match outcome {
        Dump::Complete => Ok(()),
        Dump::Refused(refusal) => Err(RouteError::Refused {
            what: "read this host's addresses".to_owned(),
            reason: refusal.to_string(),
        }),
    }
}

fn bounded<T>(all: BTreeSet<T>, what: &str) -> Vec<T> {
    if all.len() > MOST_FACTS {
        warn!(count = all.len(), kept = MOST_FACTS, "too many {what}; the rest can be banned");
    }
    all.into_iter().take(MOST_FACTS).collect()
}
