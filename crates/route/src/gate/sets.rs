//! The named sets of the gate: which ports speak SIP, who is limited, who never is.

use std::collections::BTreeSet;

use netlink_bindings::nftables::{
    OpDelsetelemDo, OpNewsetDo, OpNewsetelemDo, PushSetelemListAttrs, SetElemFlags, SetFlags,
};
use netlink_packet_core::NLM_F_CREATE;

use super::ruleset::header;
use super::spared::{Range, Spared};
use crate::GateSettings;
use crate::netlink::Batch;

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_SET: u16 = 10 << 8 | 9;
const NEW_ELEMENTS: u16 = 10 << 8 | 0x0c;
const DELETE_ELEMENTS: u16 = 10 << 8 | 0x0e;
/// Key types by the numbers of `nft`, which shows elements by them.
const IPV4_ADDRESS: u32 = 7;
const IPV6_ADDRESS: u32 = 8;
const SERVICE: u32 = 13;
/// Sources whose rate is remembered at once, per family, about 200 bytes each. In a flood from more
/// (or more invented) sources the rest is not limited.
const MOST_LIMITED: u32 = 65_536;
/// How long the rate of a source is remembered, in milliseconds. After one second of silence it may
/// send a whole burst again, so there is nothing left to remember; the rest spares the set churn.
const REMEMBERED: u64 = 5000;
/// Elements in one message; its list, at most 36 bytes each, must stay below 65,536 bytes.
const ELEMENTS: usize = 1024;
/// Bytes that an element takes at most in a transaction, its share of the message's header included.
pub(super) const LARGEST_ELEMENT: usize = 40;

/// A named set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    SipPorts,
    SparedIpv4,
    SparedIpv6,
    LimitedIpv4,
    LimitedIpv6,
}

/// What a set whose content we choose holds: a value, or in a set of intervals the start of one or the
/// first value behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element {
    pub(super) key: u128,
    pub(super) is_end: bool,
}

impl Set {
    /// The sets these settings need.
    pub(super) fn all(gate: &GateSettings) -> Vec<Self> {
        let mut all = Vec::new();
        if gate.counts() {
            all.push(Self::SipPorts);
        }
        if gate.effective_limit().is_some() {
            all.extend([Self::SparedIpv4, Self::SparedIpv6, Self::LimitedIpv4, Self::LimitedIpv6]);
        }
        all
    }

    pub(super) fn name(self) -> &'static [u8] {
        match self {
            Self::SipPorts => b"sip_ports",
            Self::SparedIpv4 => b"spared4",
            Self::SparedIpv6 => b"spared6",
            Self::LimitedIpv4 => b"limited4",
            Self::LimitedIpv6 => b"limited6",
        }
    }

    /// What the set shall hold; `None` when that is not ours to say: the kernel fills it, or nobody has
    /// told yet whom to spare.
    pub(super) fn content(
        self,
        gate: &GateSettings,
        spared: Option<&Spared>,
    ) -> Option<BTreeSet<Element>> {
        match self {
            Self::SipPorts => {
                let element = |port: &u16| Element { key: u128::from(*port), is_end: false };
                Some(gate.sip_ports.iter().map(element).collect())
            }
            Self::SparedIpv4 => Some(self.elements(&spared?.ipv4).collect()),
            Self::SparedIpv6 => Some(self.elements(&spared?.ipv6).collect()),
            Self::LimitedIpv4 | Self::LimitedIpv6 => None,
        }
    }

    /// Starts and ends of intervals. The one that reaches the last address has no end.
    fn elements<'a>(
        self,
        ranges: impl IntoIterator<Item = &'a Range>,
    ) -> impl Iterator<Item = Element> {
        let last_address = match self {
            Self::SparedIpv6 | Self::LimitedIpv6 => u128::MAX,
            Self::SparedIpv4 | Self::LimitedIpv4 => u32::MAX.into(),
            Self::SipPorts => u16::MAX.into(),
        };
        ranges.into_iter().flat_map(move |range| {
            let start = Element { key: range.first, is_end: false };
            let behind = range.last.checked_add(1).filter(|key| *key <= last_address);
            [Some(start), behind.map(|key| Element { key, is_end: true })].into_iter().flatten()
        })
    }

    fn key_type(self) -> u32 {
        match self {
            Self::SipPorts => SERVICE,
            Self::SparedIpv4 | Self::LimitedIpv4 => IPV4_ADDRESS,
            Self::SparedIpv6 | Self::LimitedIpv6 => IPV6_ADDRESS,
        }
    }

    /// Bytes of a key.
    fn key_length(self) -> usize {
        match self {
            Self::SipPorts => 2,
            Self::SparedIpv4 | Self::LimitedIpv4 => 4,
            Self::SparedIpv6 | Self::LimitedIpv6 => 16,
        }
    }
}

/// Creates the sets these settings need, and fills those whose content is known.
pub(super) fn create(batch: &mut Batch, gate: &GateSettings, spared: Option<&Spared>) {
    // A number unique in the transaction, which the kernel demands.
    for (id, set) in (1..).zip(Set::all(gate)) {
        let mut payload = Vec::new();
        let attributes = OpNewsetDo::encode_request(&mut payload, &header())
            .push_table_bytes(gate.table_name.as_bytes())
            .push_name_bytes(set.name())
            .push_key_type(set.key_type())
            .push_key_len(u32::try_from(set.key_length()).unwrap_or(u32::MAX))
            .push_id(id);
        match set {
            Set::SipPorts => drop(attributes),
            Set::SparedIpv4 | Set::SparedIpv6 => {
                drop(attributes.push_flags(SetFlags::Interval as u32));
            }
            Set::LimitedIpv4 | Set::LimitedIpv6 => drop(
                attributes
                    .push_flags(SetFlags::Eval as u32 | SetFlags::Timeout as u32)
                    // The bindings leave this field in the host's byte order; the kernel does not.
                    .push_timeout(REMEMBERED.to_be())
                    .nested_desc()
                    .push_size(MOST_LIMITED)
                    .end_nested(),
            ),
        }
        batch.raw(NEW_SET, NLM_F_CREATE, &payload);
        if let Some(content) = set.content(gate, spared) {
            add(batch, gate, set, content);
        }
    }
}

/// Replaces the spared networks: by the difference to `before`, or whole when that is not known.
pub(super) fn respare(
    batch: &mut Batch,
    gate: &GateSettings,
    before: Option<&Spared>,
    now: &Spared,
) {
    let nothing = Spared::default();
    let known = before.unwrap_or(&nothing);
    for (set, before, now) in
        [(Set::SparedIpv4, &known.ipv4, &now.ipv4), (Set::SparedIpv6, &known.ipv6, &now.ipv6)]
    {
        let stale = set.elements(before.difference(now)).collect::<Vec<_>>();
        let fresh = set.elements(now.difference(before));
        if known == &nothing {
            empty(batch, gate, set);
        }
        change(batch, gate, set, DELETE_ELEMENTS, stale);
        add(batch, gate, set, fresh);
    }
}

fn add(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    elements: impl IntoIterator<Item = Element>,
) {
    change(batch, gate, set, NEW_ELEMENTS, elements);
}

/// `nft flush set`: to delete no element in particular is to delete all.
fn empty(batch: &mut Batch, gate: &GateSettings, set: Set) {
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
    elements: impl IntoIterator<Item = Element>,
) {
    let mut elements = elements.into_iter().peekable();
    let flags = if kind == NEW_ELEMENTS { NLM_F_CREATE } else { 0 };
    while elements.peek().is_some() {
        let mut payload = Vec::new();
        let request = OpNewsetelemDo::encode_request(&mut payload, &header());
        let mut list = addressed(request, gate, set).nested_elements();
        for element in elements.by_ref().take(ELEMENTS) {
            let key = element.key.to_be_bytes();
            let key = key.get(key.len() - set.key_length()..).unwrap_or_default();
            let encoded = list.nested_elem().nested_key().push_value(key).end_nested();
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
    request.push_table_bytes(gate.table_name.as_bytes()).push_set_bytes(set.name())
}
