//! Where the kernel itself drops what a blackholed IPv4 source sends: `rp_filter`.
//!
//! `netlink-packet-route` has no `RTM_GETNETCONF`, so its few bytes are read and written here.

use netlink_packet_core::{NLM_F_DUMP, NlaBuffer, NlasIterator};
use nix::errno::Errno;

use crate::RouteError;
use crate::links::LOOPBACK;
use crate::netlink::{Batch, Channel, Dump};

const RTM_GETLINK: u16 = 18;
const RTM_GETNETCONF: u16 = 82;
const AF_INET: u8 = 2;
// linux/netconf.h
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_RP_FILTER: u16 = 3;
const NETCONFA_IFINDEX_ALL: i32 = -1;
/// Length of `struct netconfmsg` with its padding, in bytes.
const NETCONF_HEADER: usize = 4;
/// Length of `struct ifinfomsg` in bytes, its index at offset 4.
const LINK_HEADER: usize = 16;
const IFLA_IFNAME: u16 = 3;

/// The names of the interfaces on which `rp_filter` drops nothing, sorted. The kernel uses the larger of
/// `all` and the interface's own value; both strict (1) and loose (2) drop a source whose lookup ends
/// at a blackhole.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn open_interfaces(channel: &mut Channel) -> Result<Vec<String>, RouteError> {
    let filters = filters(channel).await?;
    let all = filters.iter().find(|(index, _)| *index == NETCONFA_IFINDEX_ALL);
    if all.is_some_and(|(_, value)| *value > 0) {
        return Ok(Vec::new());
    }
    let mut open = Vec::new();
    for (index, name) in names(channel).await? {
        let filtered =
            filters.iter().any(|(i, value)| i64::from(*i) == i64::from(index) && *value > 0);
        if index != LOOPBACK && !filtered {
            open.push(name);
        }
    }
    open.sort_unstable();
    open.dedup();
    Ok(open)
}

/// Interface index (or `all`) and its `rp_filter`.
async fn filters(channel: &mut Channel) -> Result<Vec<(i32, i32)>, RouteError> {
    let mut found = Vec::new();
    let request = || {
        let mut batch = Batch::default();
        batch.raw(RTM_GETNETCONF, NLM_F_DUMP, &[AF_INET, 0, 0, 0]);
        batch
    };
    let outcome = channel
        .dump(request, |_, payload| {
            let (mut index, mut value) = (None, None);
            for attribute in attributes(payload, NETCONF_HEADER) {
                match attribute.kind() {
                    NETCONFA_IFINDEX => index = number(&attribute),
                    NETCONFA_RP_FILTER => value = number(&attribute),
                    _ => {}
                }
            }
            found.extend(index.zip(value));
        })
        .await?;
    complete(outcome, "read rp_filter").map(|()| found)
}

/// Interface index and name.
async fn names(channel: &mut Channel) -> Result<Vec<(u32, String)>, RouteError> {
    let mut found = Vec::new();
    let request = || {
        let mut batch = Batch::default();
        batch.raw(RTM_GETLINK, NLM_F_DUMP, &[0; LINK_HEADER]);
        batch
    };
    let outcome = channel
        .dump(request, |_, payload| {
            let index =
                payload.get(4..).and_then(<[u8]>::first_chunk).map(|b| u32::from_ne_bytes(*b));
            let name = attributes(payload, LINK_HEADER)
                .find(|attribute| attribute.kind() == IFLA_IFNAME)
                .map(|attribute| {
                    String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned()
                });
            found.extend(index.zip(name));
        })
        .await?;
    complete(outcome, "read the interfaces").map(|()| found)
}

fn attributes(payload: &[u8], header: usize) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(payload.get(header..).unwrap_or_default()).filter_map(Result::ok)
}

fn number(attribute: &NlaBuffer<&[u8]>) -> Option<i32> {
    attribute.value().first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

fn complete(outcome: Dump, what: &str) -> Result<(), RouteError> {
    match outcome {
        Dump::Complete => Ok(()),
        Dump::Refused(refusal) if refusal.errno == Errno::EOPNOTSUPP => Ok(()),
        Dump::Refused(refusal) => {
            Err(RouteError::Refused { what: what.to_owned(), reason: refusal.to_string() })
        }
    }
}
