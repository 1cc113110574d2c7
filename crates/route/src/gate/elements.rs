//! Elements of the sets whose content we choose.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use netlink_bindings::nftables::{
    OpDelsetelemDo, OpNewsetelemDo, PushSetelemListAttrs, SetElemFlags,
};
use netlink_bindings::traits::Pusher;
use netlink_packet_core::NLM_F_CREATE;

use super::expression::attribute;
use super::family::{Family, Transport};
use super::message::header;
use super::ranges::{Range, Ranges};
use super::sets::{Set, milliseconds};
use super::stateful::{self, Rate};
use crate::netlink::Batch;
use crate::{Flow, GateSettings};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_ELEMENTS: u16 = 10 << 8 | 0x0c;
const DELETE_ELEMENTS: u16 = 10 << 8 | 0x0e;
/// `NFTA_SET_ELEM_EXPR`
const ELEMENT_EXPRESSION: u16 = 7;
/// Bytes of the longest key: an IPv6 address, a transport and a port, four bytes each.
const LONGEST_KEY: usize = 24;
type Key = [u8; LONGEST_KEY];
/// Elements in one message; its list, at most 124 bytes each, must stay below 65,536 bytes.
const ELEMENTS: usize = 512;
/// Bytes that an element of ranges takes at most in a transaction, its share of the message's header
/// included.
pub(super) const LARGEST_RANGE: usize = 40;

/// What a set whose content we choose holds: a value, or in a set of ranges the start of one or the first
/// value behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element {
    pub(super) key: u128,
    pub(super) is_end: bool,
}

/// What goes with an element.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct With {
    pub(super) rate: Option<Rate>,
    pub(super) timeout: Option<Duration>,
    /// Its packets are counted.
    pub(super) counter: bool,
}

impl Element {
    pub(super) fn value(key: u128) -> Self {
        Self { key, is_end: false }
    }
}

/// The ports.
pub(super) fn ports(gate: &GateSettings) -> BTreeSet<Element> {
    gate.sip_ports.iter().map(|port| Element::value(u128::from(*port))).collect()
}

/// The transports whose budgets are in force.
pub(super) fn transports() -> BTreeSet<Element> {
    Transport::BOTH.map(|transport| Element::value(transport.number().into())).into()
}

/// Starts and ends of ranges. The one that reaches the last address has no end.
pub(super) fn ranges<'a>(
    family: Family,
    ranges: impl IntoIterator<Item = &'a Range>,
) -> impl Iterator<Item = Element> {
    let last_address = family.last_address();
    ranges.into_iter().flat_map(move |range| {
        let behind = range.last.checked_add(1).filter(|key| *key <= last_address);
        let end = behind.map(|key| Element { key, is_end: true });
        [Some(Element::value(range.first)), end].into_iter().flatten()
    })
}

/// Replaces the ranges of a set of each family: by the difference to `before`, or whole when that is not known.
pub(super) fn replace_ranges(
    batch: &mut Batch,
    gate: &GateSettings,
    set: fn(Family) -> Set,
    before: Option<&Ranges>,
    now: &Ranges,
) {
    let nothing = Ranges::default();
    let known = before.unwrap_or(&nothing);
    for (family, before, now) in
        [(Family::V4, &known.ipv4, &now.ipv4), (Family::V6, &known.ipv6, &now.ipv6)]
    {
        let stale = ranges(family, before.difference(now)).collect::<Vec<_>>();
        let fresh = ranges(family, now.difference(before));
        if known == &nothing {
            empty(batch, gate, set(family));
        }
        delete(batch, gate, set(family), stale);
        add(batch, gate, set(family), fresh);
    }
}

/// Denies flows, for some time each.
pub(super) fn deny(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    flows: impl IntoIterator<Item = (Flow, Duration)>,
) {
    let elements = flows.into_iter().map(|(flow, time)| {
        (flow_key(flow), false, With { timeout: Some(time), ..With::default() })
    });
    change_keys(batch, gate, set, NEW_ELEMENTS, elements);
}

/// Adds flows with a limit each.
pub(super) fn keep(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    flows: impl IntoIterator<Item = Flow>,
    rate: Rate,
) {
    let with = With { rate: Some(rate), ..With::default() };
    let elements = flows.into_iter().map(|flow| (flow_key(flow), false, with));
    change_keys(batch, gate, set, NEW_ELEMENTS, elements);
}

/// Deletes flows.
pub(super) fn delete_flows(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    flows: impl IntoIterator<Item = Flow>,
) {
    let elements = flows.into_iter().map(|flow| (flow_key(flow), false, With::default()));
    change_keys(batch, gate, set, DELETE_ELEMENTS, elements);
}

/// The key of a flow: `ip saddr . inet_proto . inet_service`, each part padded to four bytes.
fn flow_key(flow: Flow) -> Key {
    let [high, low] = flow.port.to_be_bytes();
    let parts = [flow.transport.number(), 0, 0, 0, high, low, 0, 0];
    let address = match flow.source {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let mut key = [0; LONGEST_KEY];
    for (to, from) in key.iter_mut().zip(address.to_be_bytes().into_iter().chain(parts)) {
        *to = from;
    }
    key
}

/// A flow by its key, as a set of its family holds it.
pub(super) fn flow(family: Family, key: &[u8]) -> Option<Flow> {
    let (source, rest): (IpAddr, &[u8]) = match family {
        Family::V4 => key.split_first_chunk::<4>().map(|(ip, rest)| ((*ip).into(), rest))?,
        Family::V6 => key.split_first_chunk::<16>().map(|(ip, rest)| ((*ip).into(), rest))?,
    };
    let [number, _, _, _, high, low, _, _] = *rest.first_chunk::<8>()?;
    let transport = Transport::BOTH.into_iter().find(|one| one.number() == number)?;
    Some(Flow { source, transport, port: u16::from_be_bytes([high, low]) })
}

pub(super) fn add(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    elements: impl IntoIterator<Item = Element>,
) {
    let alone = elements.into_iter().map(|element| (element, With::default()));
    change(batch, gate, set, NEW_ELEMENTS, alone);
}

/// Adds elements with a limit or a timeout of their own.
pub(super) fn add_with(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    elements: impl IntoIterator<Item = (u128, With)>,
) {
    let elements = elements.into_iter().map(|(key, with)| (Element::value(key), with));
    change(batch, gate, set, NEW_ELEMENTS, elements);
}

pub(super) fn delete(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    elements: impl IntoIterator<Item = Element>,
) {
    let alone = elements.into_iter().map(|element| (element, With::default()));
    change(batch, gate, set, DELETE_ELEMENTS, alone);
}

/// `nft flush set`: to delete no element in particular is to delete all.
pub(super) fn empty(batch: &mut Batch, gate: &GateSettings, set: Set) {
    let mut payload = Vec::new();
    drop(addressed(OpDelsetelemDo::encode_request(&mut payload, &header()), gate, set));
    batch.raw(DELETE_ELEMENTS, 0, &payload);
}

fn change(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    kind: u16,
    elements: impl IntoIterator<Item = (Element, With)>,
) {
    let keys = elements.into_iter().map(|(element, with)| {
        let mut key = [0; LONGEST_KEY];
        for (to, from) in key.iter_mut().rev().zip(element.key.to_be_bytes().into_iter().rev()) {
            *to = from;
        }
        (key, element.is_end, with)
    });
    change_keys(batch, gate, set, kind, keys);
}

/// Adds or deletes elements. Both requests are laid out alike. Of each key the last bytes count, as many as a key
/// of the set has.
fn change_keys(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    kind: u16,
    elements: impl IntoIterator<Item = (Key, bool, With)>,
) {
    let mut elements = elements.into_iter().peekable();
    let flags = if kind == NEW_ELEMENTS { NLM_F_CREATE } else { 0 };
    while elements.peek().is_some() {
        let mut payload = Vec::new();
        let request = OpNewsetelemDo::encode_request(&mut payload, &header());
        let mut list = addressed(request, gate, set).nested_elements();
        for (key, is_end, with) in elements.by_ref().take(ELEMENTS) {
            let key = key.get(key.len() - set.key_length()..).unwrap_or_default();
            let mut encoded = list.nested_elem().nested_key().push_value(key).end_nested();
            if let Some(timeout) = with.timeout {
                // The bindings leave it in the host's byte order; the kernel does not.
                encoded = encoded.push_timeout(milliseconds(timeout).to_be());
            }
            let counter = with.counter.then(stateful::counter);
            if let Some(expression) = with.rate.map(Rate::laid_out).or(counter) {
                encoded.as_vec_mut().extend(attribute(ELEMENT_EXPRESSION, &expression));
            }
            list = if is_end {
                let flags = SetElemFlags::IntervalEnd as u32;
                encoded.push_flags(&flags.to_be_bytes()).end_nested()
            } else {
                encoded.end_nested()
            };
        }
        drop(list);
        batch.raw(kind, flags, &payload);
    }
}

fn addressed<'a>(
    request: PushSetelemListAttrs<&'a mut Vec<u8>>,
    gate: &GateSettings,
    set: Set,
) -> PushSetelemListAttrs<&'a mut Vec<u8>> {
    request.push_table_bytes(gate.table_name.as_bytes()).push_set_bytes(set.name().as_bytes())
}
