//! The gate's nftables transaction, encoded from the kernel's own specification.

use netlink_bindings::nftables::{
    CmpOps, Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, OpDeltableDo, OpNewchainDo, OpNewobjDo,
    OpNewruleDo, OpNewtableDo, VerdictCode,
};
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use netlink_packet_route::route::RouteType;

use super::expression::{
    List, count, count_in, interface_is, ipv4_source_in, ipv4_source_over, ipv6_network_over,
    ipv6_source_in, jump, no_way_back, port_in, protocol_is, set_mark, source_type, transport_is,
    verdict,
};
use super::sets::{self, Set};
use super::spared::Spared;
use crate::GateSettings;
use crate::netlink::Batch;
use crate::rules::LOOPBACK;

/// Name of the chain that every packet passes.
pub(super) const CHAIN: &[u8] = b"gate";
/// Name of the chain for packets to the SIP ports.
const SIP_CHAIN: &[u8] = b"sip";
/// Name of the counter of those.
pub(super) const COUNTER: &[u8] = b"sip";
/// `NF_INET_PRE_ROUTING`.
pub(super) const PREROUTING: u32 = 0;
/// `NF_IP_PRI_RAW`: before connection tracking, so that a flood fills no table.
pub(super) const PRIORITY: i32 = -300;
/// `NF_ACCEPT`: what the gate does not drop goes its way.
pub(super) const POLICY: u32 = VerdictCode::Accept as u32;
/// `NFPROTO_INET`.
pub(super) const FAMILY: u8 = 1;

const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
/// `NFNL_SUBSYS_NFTABLES`, which a transaction names in its first and last message.
const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BEGIN: u16 = 16;
const END: u16 = 17;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const NEW_OBJECT: u16 = SUBSYSTEM << 8 | 0x12;
/// `IPPROTO_TCP` and `IPPROTO_UDP`.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// `NFTNL_UDATA_RULE_COMMENT` and `NFTNL_UDATA_TABLE_COMMENT`: what `nft list ruleset` shows as `comment "…"`.
const COMMENT: u8 = 0;

/// Replaces the table by a fresh one in one transaction: every packet meets the old gate or the new.
pub(super) fn install(gate: &GateSettings, spared: Option<&Spared>) -> Batch {
    transaction(|batch| {
        // Deleting needs a table that is there, so it is created first.
        new_table(batch, gate);
        delete_table(batch, &gate.table_name);
        new_table(batch, gate);
        new_chain(batch, gate);
        if gate.counts() {
            new_sip_chain(batch, gate);
            new_counter(batch, gate);
        }
        sets::create(batch, gate, spared);
        for rule in Rule::all(gate) {
            new_rule(batch, gate, rule);
        }
    })
}

/// Replaces the spared networks in one transaction; `before` is what the sets hold, where that is known.
pub(super) fn respare(gate: &GateSettings, before: Option<&Spared>, now: &Spared) -> Batch {
    transaction(|batch| sets::respare(batch, gate, before, now))
}

/// Deletes a table; refused with ENOENT when there is none.
pub(super) fn remove(table: &str) -> Batch {
    transaction(|batch| delete_table(batch, table))
}

/// The table's user data, a comment like the rules'. By it we know our tables from those of others,
/// whatever the name (needs Linux 5.10).
pub(super) fn table_user_data() -> Vec<u8> {
    comment("sipward: drops what blackholed sources send")
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    PassLoopback,
    DropIpv6,
    DropIpv4,
    ClearMark,
    SipOverUdp,
    SipOverTcp,
    CountSip,
    SpareIpv4,
    SpareIpv6,
    LimitIpv4(u32),
    LimitIpv6(u32),
}

impl Rule {
    /// The rules these settings need, in order.
    pub(super) fn all(gate: &GateSettings) -> Vec<Self> {
        let mut all = vec![Self::PassLoopback, Self::DropIpv6, Self::DropIpv4, Self::ClearMark];
        if gate.counts() {
            all.extend([Self::SipOverUdp, Self::SipOverTcp, Self::CountSip]);
        }
        if let Some(limit) = gate.effective_limit() {
            all.extend([Self::SpareIpv4, Self::SpareIpv6]);
            all.extend([Self::LimitIpv4(limit), Self::LimitIpv6(limit)]);
        }
        all
    }

    pub(super) fn chain(self) -> &'static [u8] {
        match self {
            Self::PassLoopback
            | Self::DropIpv6
            | Self::DropIpv4
            | Self::ClearMark
            | Self::SipOverUdp
            | Self::SipOverTcp => CHAIN,
            Self::CountSip
            | Self::SpareIpv4
            | Self::SpareIpv6
            | Self::LimitIpv4(_)
            | Self::LimitIpv6(_) => SIP_CHAIN,
        }
    }

    /// The rule's user data: a comment for who reads the ruleset, by which we recognise it again. It
    /// names what the settings put into the rule.
    pub(super) fn user_data(self, gate: &GateSettings) -> Vec<u8> {
        comment(&match self {
            Self::PassLoopback => "sipward: own traffic passes".to_owned(),
            Self::DropIpv6 => "sipward: banned IPv6 sources".to_owned(),
            Self::DropIpv4 => format!("sipward: banned IPv4 sources, mark {:#x}", gate.mark),
            Self::ClearMark => format!("sipward: clear mark {:#x}", gate.mark),
            Self::SipOverUdp => "sipward: SIP over UDP".to_owned(),
            Self::SipOverTcp => "sipward: SIP over TCP".to_owned(),
            Self::CountSip => "sipward: count SIP packets".to_owned(),
            Self::SpareIpv4 => "sipward: IPv4 hosts that are never limited".to_owned(),
            Self::SpareIpv6 => "sipward: IPv6 hosts that are never limited".to_owned(),
            Self::LimitIpv4(rate) => format!("sipward: above {rate}/s from an IPv4 address"),
            Self::LimitIpv6(rate) => format!("sipward: above {rate}/s from an IPv6 /64"),
        })
    }
}

fn comment(text: &str) -> Vec<u8> {
    // All are far below the field's range.
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    let mut data = vec![COMMENT, length];
    data.extend_from_slice(text.as_bytes());
    data.push(0);
    data
}

fn transaction(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::default();
    batch.mark_transaction();
    let mut header = Nfgenmsg::new();
    header.set_res_id(SUBSYSTEM);
    let mut payload = Vec::new();
    OpBatchBeginDo::encode_request(&mut payload, &header);
    batch.raw(BEGIN, 0, &payload);
    fill(&mut batch);
    // The end of a transaction is not acknowledged before Linux 6.10: ask for the step before it.
    batch.ask_last();
    payload.clear();
    OpBatchEndDo::encode_request(&mut payload, &header);
    batch.raw(END, 0, &payload);
    batch
}

fn new_table(batch: &mut Batch, gate: &GateSettings) {
    let mut payload = Vec::new();
    OpNewtableDo::encode_request(&mut payload, &header())
        .push_name_bytes(gate.table_name.as_bytes())
        .push_flags(0)
        .push_userdata(&table_user_data());
    batch.raw(NEW_TABLE, NLM_F_CREATE, &payload);
}

fn delete_table(batch: &mut Batch, table: &str) {
    let mut payload = Vec::new();
    OpDeltableDo::encode_request(&mut payload, &header()).push_name_bytes(table.as_bytes());
    batch.raw(DELETE_TABLE, 0, &payload);
}

fn new_chain(batch: &mut Batch, gate: &GateSettings) {
    let mut payload = Vec::new();
    OpNewchainDo::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes())
        .push_name_bytes(CHAIN)
        .nested_hook()
        .push_num(PREROUTING)
        .push_priority(PRIORITY)
        .end_nested()
        .push_policy(POLICY)
        .push_type_bytes(b"filter");
    batch.raw(NEW_CHAIN, NLM_F_CREATE, &payload);
}

fn new_sip_chain(batch: &mut Batch, gate: &GateSettings) {
    let mut payload = Vec::new();
    OpNewchainDo::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes())
        .push_name_bytes(SIP_CHAIN);
    batch.raw(NEW_CHAIN, NLM_F_CREATE, &payload);
}

fn new_counter(batch: &mut Batch, gate: &GateSettings) {
    let mut payload = Vec::new();
    OpNewobjDo::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes())
        .push_name_bytes(COUNTER)
        .nested_data_counter();
    batch.raw(NEW_OBJECT, NLM_F_CREATE, &payload);
}

fn new_rule(batch: &mut Batch, gate: &GateSettings, rule: Rule) {
    let mut payload = Vec::new();
    let attributes = OpNewruleDo::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes())
        .push_chain_bytes(rule.chain());
    let list = attributes.nested_expressions();
    let list = match rule {
        Rule::PassLoopback => verdict(interface_is(list, LOOPBACK), VerdictCode::Accept),
        Rule::DropIpv6 => {
            let list = protocol_is(list, NFPROTO_IPV6);
            let list = source_type(list, CmpOps::Eq, RouteType::BlackHole);
            verdict(count(list), VerdictCode::Drop)
        }
        Rule::DropIpv4 => {
            let list = protocol_is(list, NFPROTO_IPV4);
            let list = no_way_back(set_mark(list, !gate.mark, gate.mark));
            // A packet that claims one of our own addresses has no way back by any interface either,
            // but it is the kernel's to judge (`accept_local`).
            let list = source_type(list, CmpOps::Neq, RouteType::Local);
            verdict(count(list), VerdictCode::Drop)
        }
        Rule::ClearMark => set_mark(protocol_is(list, NFPROTO_IPV4), !gate.mark, 0),
        Rule::SipOverUdp => to_sip_ports(transport_is(list, UDP)),
        Rule::SipOverTcp => to_sip_ports(transport_is(list, TCP)),
        Rule::CountSip => count_in(list, COUNTER),
        Rule::SpareIpv4 => {
            let list = protocol_is(list, NFPROTO_IPV4);
            verdict(ipv4_source_in(list, Set::SparedIpv4.name()), VerdictCode::Return)
        }
        Rule::SpareIpv6 => {
            let list = protocol_is(list, NFPROTO_IPV6);
            verdict(ipv6_source_in(list, Set::SparedIpv6.name()), VerdictCode::Return)
        }
        Rule::LimitIpv4(rate) => {
            let list = protocol_is(list, NFPROTO_IPV4);
            let list = ipv4_source_over(list, Set::LimitedIpv4.name(), rate);
            verdict(count(list), VerdictCode::Drop)
        }
        Rule::LimitIpv6(rate) => {
            let list = protocol_is(list, NFPROTO_IPV6);
            let list = ipv6_network_over(list, Set::LimitedIpv6.name(), rate);
            verdict(count(list), VerdictCode::Drop)
        }
    };
    list.end_nested().push_userdata(&rule.user_data(gate));
    batch.raw(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, &payload);
}

fn to_sip_ports(list: List<'_>) -> List<'_> {
    jump(port_in(list, Set::SipPorts.name()), SIP_CHAIN)
}

pub(super) fn header() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = FAMILY;
    header
}
