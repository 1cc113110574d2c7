//! What the sets and counters hold, read from the kernel.

use std::collections::HashMap;
use std::time::Duration;

use netlink_bindings::nftables::{
    ExprOps, IterableSetelemAttrs, ObjData, ObjectType, OpGetobjDump, OpGetsetDo, OpGetsetelemDump,
    SetElemFlags,
};
use netlink_packet_core::NLM_F_DUMP;
use nix::errno::Errno;

use super::elements::{self, Element};
use super::family::Family;
use super::message::header;
use super::objects::{Budget, Counter};
use super::sets::Set;
use crate::netlink::{Batch, Channel, Dump, Reply};
use crate::shield::Key;
use crate::{ByFamily, Dropped, Flow, GateSettings, RouteError, ShieldCounts};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const GET_ELEMENTS: u16 = 10 << 8 | 0x0d;
const GET_SET: u16 = 10 << 8 | 0x0a;
const GET_OBJECT: u16 = 10 << 8 | 0x13;

/// Where the counters stood.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(HashMap<String, u64>);

/// What was counted between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// All packets to the SIP ports.
    pub(crate) arrived: u64,
    pub(crate) shield: ShieldCounts,
}

/// Reads the named counters of the gate.
///
/// # Errors
/// When netlink fails.
pub(super) async fn counters(
    netfilter: &mut Channel,
    gate: &GateSettings,
) -> Result<Counters, RouteError> {
    let mut found = HashMap::new();
    let request = || {
        let mut batch = Batch::default();
        let mut payload = Vec::new();
        OpGetobjDump::encode_request(&mut payload, &header())
            .push_table_bytes(gate.table_name.as_bytes())
            .push_type(ObjectType::Counter as u32);
        batch.raw(GET_OBJECT, NLM_F_DUMP, &payload);
        batch
    };
    // A gate that is not there has counted nothing.
    let _outcome = netfilter
        .dump(request, |_, payload| {
            let (_, object) = OpGetobjDump::decode_request(payload);
            let ours = object
                .get_table()
                .is_ok_and(|table| table.to_bytes() == gate.table_name.as_bytes());
            if let (true, Ok(name), Ok(ObjData::Counter(counter))) =
                (ours, object.get_name(), object.get_data())
            {
                let packets = counter.get_packets().unwrap_or_default();
                found.insert(name.to_string_lossy().into_owned(), packets);
            }
        })
        .await?;
    Ok(Counters(found))
}

impl Counters {
    /// What was counted since `before`. A counter that went backwards was set back by somebody.
    pub(super) fn since(&self, before: &Self) -> Counted {
        let of = |counter: Counter| {
            let now = self.0.get(counter.name()).copied().unwrap_or_default();
            let then = before.0.get(counter.name()).copied().unwrap_or_default();
            now.checked_sub(then).unwrap_or(now)
        };
        let both = |counter: fn(Family) -> Counter| ByFamily {
            ipv4: of(counter(Family::V4)),
            ipv6: of(counter(Family::V6)),
        };
        let dropped = Dropped {
            slowed: both(Counter::Slowed),
            own_packets: both(|family| Counter::Own(Budget::Packets, family)),
            own_connections: both(|family| Counter::Own(Budget::Connections, family)),
            own_tcp: both(|family| Counter::Own(Budget::Tcp, family)),
            budget_packets: both(|family| Counter::Budget(Budget::Packets, family)),
            budget_connections: both(|family| Counter::Budget(Budget::Connections, family)),
            budget_tcp: both(|family| Counter::Budget(Budget::Tcp, family)),
            unlimited: both(Counter::UnlimitedOver),
        };
        let shield = ShieldCounts {
            unlimited: of(Counter::Unlimited),
            healthy: of(Counter::Healthy),
            strangers: of(Counter::Strangers),
            newcomers: of(Counter::Newcomers),
            dropped,
        };
        Counted { arrived: of(Counter::Sip), shield }
    }
}

/// Hands each element of a set, with the packets it has counted, to `each`.
///
/// # Errors
/// When netlink fails.
pub(super) async fn read(
    netfilter: &mut Channel,
    gate: &GateSettings,
    set: Set,
    mut each: impl FnMut(Element, Option<u64>),
) -> Result<Dump, RouteError> {
    netfilter
        .dump(
            || request(gate, set),
            |_, payload| {
                let (_, list) = OpGetsetelemDump::decode_request(payload);
                let Ok(list) = list.get_elements() else { return };
                for found in list.get_elem() {
                    if let Some(element) = element(&found) {
                        each(element, packets(&found));
                    }
                }
            },
        )
        .await
}

/// The keys of a set of hosts or ranges. None where there is no such set.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(super) async fn elements(
    netfilter: &mut Channel,
    gate: &GateSettings,
    set: Set,
    mut each: impl FnMut(Element),
) -> Result<(), RouteError> {
    match read(netfilter, gate, set, |element, _| each(element)).await? {
        Dump::Complete => Ok(()),
        Dump::Refused(refusal) if refusal.errno == Errno::ENOENT => Ok(()),
        Dump::Refused(refusal) => Err(super::refused("read the gate's sets", &refusal)),
    }
}

/// How many elements a set holds. `None` where there is no such set, or the kernel does not say.
///
/// # Errors
/// When netlink fails.
pub(super) async fn count(
    netfilter: &mut Channel,
    gate: &GateSettings,
    set: Set,
) -> Result<Option<usize>, RouteError> {
    let (mut batch, mut payload) = (Batch::default(), Vec::new());
    OpGetsetDo::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes())
        .push_name_bytes(set.name().as_bytes());
    batch.raw(GET_SET, 0, &payload);
    let mut count = None;
    netfilter
        .exchange(batch, |_, reply| {
            if let Reply::Object(_, payload) = reply {
                let (_, set) = OpGetsetDo::decode_request(payload);
                count = set.get_count().ok().and_then(|count| usize::try_from(count).ok());
            }
        })
        .await?;
    Ok(count)
}

/// The flows of a set of flows, with the time that is left of each. None where there is no such set.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(super) async fn flows(
    netfilter: &mut Channel,
    gate: &GateSettings,
    set: Set,
) -> Result<HashMap<Flow, Duration>, RouteError> {
    let mut flows = HashMap::new();
    let Some(family) = set.family() else { return Ok(flows) };
    let outcome = netfilter
        .dump(
            || request(gate, set),
            |_, payload| {
                let (_, list) = OpGetsetelemDump::decode_request(payload);
                let Ok(list) = list.get_elements() else { return };
                for found in list.get_elem() {
                    let key = found.get_key().and_then(|key| key.get_value()).unwrap_or_default();
                    // The bindings leave it in the kernel's byte order.
                    let left = u64::from_be(found.get_expiration().unwrap_or_default());
                    if let Some(flow) = elements::flow(family, key) {
                        flows.insert(flow, Duration::from_millis(left));
                    }
                }
            },
        )
        .await?;
    match outcome {
        Dump::Complete => Ok(flows),
        Dump::Refused(refusal) if refusal.errno == Errno::ENOENT => Ok(HashMap::new()),
        Dump::Refused(refusal) => Err(super::refused("read the gate's flows", &refusal)),
    }
}

/// The hosts of a set of hosts, with the packets counted for each. None where there is no such set.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(super) async fn hosts(
    netfilter: &mut Channel,
    gate: &GateSettings,
    set: Set,
) -> Result<HashMap<Key, u64>, RouteError> {
    let mut found = HashMap::new();
    let outcome = read(netfilter, gate, set, |element, packets| {
        if let Some(key) = set.family().map(|family| key(family, element)) {
            found.insert(key, packets.unwrap_or_default());
        }
    })
    .await?;
    match outcome {
        Dump::Complete => Ok(found),
        Dump::Refused(refusal) if refusal.errno == Errno::ENOENT => Ok(HashMap::new()),
        Dump::Refused(refusal) => Err(super::refused("read the shield's hosts", &refusal)),
    }
}

fn request(gate: &GateSettings, set: Set) -> Batch {
    let mut batch = Batch::default();
    let mut payload = Vec::new();
    OpGetsetelemDump::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes())
        .push_set_bytes(set.name().as_bytes());
    batch.raw(GET_ELEMENTS, NLM_F_DUMP, &payload);
    batch
}

fn key(family: Family, element: Element) -> Key {
    match family {
        // The sets of this family hold 32 bits.
        Family::V4 => Key::V4(u32::try_from(element.key).unwrap_or_default().into()),
        Family::V6 => Key::V6(element.key.into()),
    }
}

fn element(found: &IterableSetelemAttrs<'_>) -> Option<Element> {
    let data = found.get_key().ok()?;
    let key = data.get_value().ok()?.iter().fold(0, |key, byte| key << 8 | u128::from(*byte));
    let flags = found.get_flags().ok().and_then(<[u8]>::first_chunk);
    let flags = flags.map_or(0, |flags| u32::from_be_bytes(*flags));
    Some(Element { key, is_end: flags & SetElemFlags::IntervalEnd as u32 != 0 })
}

fn packets(found: &IterableSetelemAttrs<'_>) -> Option<u64> {
    match found.get_expr().ok()?.get_data() {
        Ok(ExprOps::Counter(counter)) => counter.get_packets().ok(),
        Ok(_) | Err(_) => None,
    }
}
