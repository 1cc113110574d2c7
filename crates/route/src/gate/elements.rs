//! Elements of the sets whose content we choose.

use std::collections::BTreeSet;
use std::time::Duration;

use netlink_bindings::nftables::{
    OpDelsetelemDo, OpNewsetelemDo, PushSetelemListAttrs, SetElemFlags,
};
use netlink_bindings::traits::Pusher;
use netlink_packet_core::NLM_F_CREATE;

use super::expression::attribute;
use super::family::{Family, Transport};
use super::ranges::{Range, Ranges};
use super::ruleset::header;
use super::sets::{Set, milliseconds};
use super::stateful::Rate;
use crate::GateSettings;
use crate::netlink::Batch;

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_ELEMENTS: u16 = 10 << 8 | 0x0c;
const DELETE_ELEMENTS: u16 = 10 << 8 | 0x0e;
/// `NFTA_SET_ELEM_EXPR`
const ELEMENT_EXPRESSION: u16 = 7;
/// Elements in one message; its list, at most 116 bytes each, must stay below 65,536 bytes.
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
    let last_address = match family {
        Family::V6 => u128::MAX,
        Family::V4 => u32::MAX.into(),
    };
    ranges.into_iter().flat_map(move |range| {
        let behind = range.last.checked_add(1).filter(|key| *key <= last_address);
        let end = behind.map(|key| Element { key, is_end: true });
        [Some(Element::value(range.first)), end].into_iter().flatten()
    })
}

/// Replaces the unlimited networks: by the difference to `before`, or whole when that is not known.
pub(super) fn replace_unlimited(
    batch: &mut Batch,
    gate: &GateSettings,
    before: Option<&Ranges>,
    now: &Ranges,
) {
    let nothing = Ranges::default();
    let known = before.unwrap_or(&nothing);
    for (family, before, now) in
        [(Family::V4, &known.ipv4, &now.ipv4), (Family::V6, &known.ipv6, &now.ipv6)]
    {
        let set = Set::Unlimited(family);
        let stale = ranges(family, before.difference(now)).collect::<Vec<_>>();
        let fresh = ranges(family, now.difference(before));
        if known == &nothing {
            empty(batch, gate, set);
        }
        delete(batch, gate, set, stale);
        add(batch, gate, set, fresh);
    }
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

/// Adds or deletes elements. Both requests are laid out alike.
fn change(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    kind: u16,
    elements: impl IntoIterator<Item = (Element, With)>,
) {
    let mut elements = elements.into_iter().peekable();
    let flags = if kind == NEW_ELEMENTS { NLM_F_CREATE } else { 0 };
    while elements.peek().is_some() {
        let mut payload = Vec::new();
        let request = OpNewsetelemDo::encode_request(&mut payload, &header());
        let mut list = addressed(request, gate, set).nested_elements();
        for (element, with) in elements.by_ref().take(ELEMENTS) {
            let key = element.key.to_be_bytes();
            let key = key.get(key.len() - set.key_length()..).unwrap_or_default();
            let mut encoded = list.nested_elem().nested_key().push_value(key).end_nested();
            if let Some(timeout) = with.timeout {
                // The bindings leave it in the host's byte order; the kernel does not.
                encoded = encoded.push_timeout(milliseconds(timeout).to_be());
            }
            if let Some(rate) = with.rate {
                let limit = attribute(ELEMENT_EXPRESSION, &rate.laid_out());
                encoded.as_vec_mut().extend(limit);
            }
            list = if element.is_end {
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
