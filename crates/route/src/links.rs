//! This host's interfaces: names, and which of them are VRFs.

use netlink_packet_core::{NLM_F_DUMP, Parseable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoVrf, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use crate::RouteError;
use crate::netlink::{Batch, Channel, Dump};

/// Index of `lo`, the same in every network namespace (`LOOPBACK_IFINDEX`).
pub(crate) const LOOPBACK: u32 = 1;

/// VRFs looked into at most; a host has a handful.
const MOST_VRFS: usize = 32;

/// What matters of the interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// Sorted by index.
    pub(crate) vrfs: Vec<Vrf>,
}

/// A virtual routing domain: packets that come in by its interfaces are looked up in its table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Vrf {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) table: u32,
}

/// Reads the interfaces.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn read(channel: &mut Channel) -> Result<Links, RouteError> {
    let mut vrfs: Vec<Vrf> = Vec::new();
    let request = || {
        let mut batch = Batch::default();
        batch.route(NLM_F_DUMP, RouteNetlinkMessage::GetLink(LinkMessage::default()));
        batch
    };
    let outcome = channel
        .dump(request, |_, payload| {
            let vrf = Vrf::read(payload).filter(|_| vrfs.len() < MOST_VRFS);
            vrfs.extend(vrf.filter(|vrf| !vrfs.contains(vrf)));
        })
        .await?;
    match outcome {
        Dump::Complete => {}
        Dump::Refused(refusal) => {
            let (what, reason) = ("read the interfaces".to_owned(), refusal.to_string());
            return Err(RouteError::Refused { what, reason });
        }
    }
    vrfs.sort_unstable();
    Ok(Links { vrfs })
}

impl Vrf {
    fn read(payload: &[u8]) -> Option<Self> {
        let message = LinkMessage::parse(payload).ok()?;
        // By one that is down nothing comes in, and nothing can be looked up.
        if !message.header.flags.contains(LinkFlags::Up) {
            return None;
        }
        let (mut name, mut table) = (None, None);
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text),
                LinkAttribute::LinkInfo(infos) => {
                    table = infos.into_iter().find_map(|info| match info {
                        LinkInfo::Data(InfoData::Vrf(values)) => {
                            values.into_iter().find_map(|value| match value {
                                InfoVrf::TableId(table) => Some(table),
                                _ => None,
                            })
                        }
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        Some(Self { index: message.header.index, name: name?, table: table? })
    }
}
