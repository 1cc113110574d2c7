//! The gate's nftables transaction, encoded from the kernel's own specification.

use netlink_bindings::nftables::{
    CmpOps, FibFlags, MetaKeys, Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, OpDeltableDo, OpNewchainDo,
    OpNewruleDo, OpNewtableDo, PushExprListAttrs, PushRuleAttrs, VerdictCode,
};
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use netlink_packet_route::route::RouteType;

use crate::GateSettings;
use crate::netlink::Batch;
use crate::rules::LOOPBACK;

/// Name of the one chain.
pub(super) const CHAIN: &[u8] = b"gate";
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
/// `NFT_REG_1`, the only register needed, and `NFT_REG_VERDICT`.
const REGISTER: u32 = 1;
const VERDICT: u32 = 0;
/// `NFT_FIB_RESULT_OIF` and `NFT_FIB_RESULT_ADDRTYPE` of `linux/netfilter/nf_tables.h`. The bindings'
/// own `FibResult` is one too low: its specification lacks `NFT_FIB_RESULT_UNSPEC`.
const RESULT_INTERFACE: u32 = 1;
const RESULT_TYPE: u32 = 3;
/// `NFTNL_UDATA_RULE_COMMENT` and `NFTNL_UDATA_TABLE_COMMENT`: what `nft list ruleset` shows as `comment "…"`.
const COMMENT: u8 = 0;

/// Replaces the table by a fresh one in one transaction: every packet meets the old gate or the new.
pub(super) fn install(gate: &GateSettings) -> Batch {
    transaction(|batch| {
        // Deleting needs a table that is there, so it is created first.
        new_table(batch, gate);
        delete_table(batch, &gate.table_name);
        new_table(batch, gate);
        new_chain(batch, gate);
        for rule in Rule::ALL {
            new_rule(batch, gate, rule);
        }
    })
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

/// The rules, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    PassLoopback,
    DropIpv6,
    DropIpv4,
    ClearMark,
}

impl Rule {
    pub(super) const ALL: [Self; 4] =
        [Self::PassLoopback, Self::DropIpv6, Self::DropIpv4, Self::ClearMark];

    /// The rule's user data: a comment for who reads the ruleset, by which we recognise it again. It
    /// names what the settings put into the rule.
    pub(super) fn user_data(self, gate: &GateSettings) -> Vec<u8> {
        comment(&match self {
            Self::PassLoopback => "sipward: own traffic passes".to_owned(),
            Self::DropIpv6 => "sipward: banned IPv6 sources".to_owned(),
            Self::DropIpv4 => format!("sipward: banned IPv4 sources, mark {:#x}", gate.mark),
            Self::ClearMark => format!("sipward: clear mark {:#x}", gate.mark),
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

fn new_rule(batch: &mut Batch, gate: &GateSettings, rule: Rule) {
    let mut payload = Vec::new();
    let attributes = OpNewruleDo::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes())
        .push_chain_bytes(CHAIN);
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
    };
    list.end_nested().push_userdata(&rule.user_data(gate));
    batch.raw(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, &payload);
}

/// A list of expressions in the making.
type List<'a> = PushExprListAttrs<PushRuleAttrs<&'a mut Vec<u8>>>;

/// `iif INTERFACE`
fn interface_is(list: List<'_>, index: u32) -> List<'_> {
    compare(load(list, MetaKeys::Iif), CmpOps::Eq, &index.to_ne_bytes())
}

/// `meta nfproto PROTOCOL`
fn protocol_is(list: List<'_>, protocol: u8) -> List<'_> {
    compare(load(list, MetaKeys::Nfproto), CmpOps::Eq, &[protocol])
}

/// `fib saddr type KIND`
fn source_type(list: List<'_>, op: CmpOps, kind: RouteType) -> List<'_> {
    let list = fib(list, RESULT_TYPE, FibFlags::Saddr as u32);
    compare(list, op, &u32::from(u8::from(kind)).to_ne_bytes())
}

/// `fib saddr . mark oif missing`
fn no_way_back(list: List<'_>) -> List<'_> {
    let flags = FibFlags::Saddr as u32 | FibFlags::Mark as u32 | FibFlags::Present as u32;
    compare(fib(list, RESULT_INTERFACE, flags), CmpOps::Eq, &[0])
}

/// `meta mark set (meta mark & KEEP) ^ FLIP`
fn set_mark(list: List<'_>, keep: u32, flip: u32) -> List<'_> {
    load(list, MetaKeys::Mark)
        .nested_elem()
        .nested_data_bitwise()
        .push_sreg(REGISTER)
        .push_dreg(REGISTER)
        .push_len(4)
        .nested_mask()
        .push_value(&keep.to_ne_bytes())
        .end_nested()
        .nested_xor()
        .push_value(&flip.to_ne_bytes())
        .end_nested()
        .end_nested()
        .end_nested()
        .nested_elem()
        .nested_data_meta()
        .push_key(MetaKeys::Mark as u32)
        .push_sreg(REGISTER)
        .end_nested()
        .end_nested()
}

/// Loads packet data into the register.
fn load(list: List<'_>, key: MetaKeys) -> List<'_> {
    list.nested_elem()
        .nested_data_meta()
        .push_key(key as u32)
        .push_dreg(REGISTER)
        .end_nested()
        .end_nested()
}

/// Loads the answer of a route lookup into the register.
fn fib(list: List<'_>, result: u32, flags: u32) -> List<'_> {
    list.nested_elem()
        .nested_data_fib()
        .push_dreg(REGISTER)
        .push_result(result)
        .push_flags(flags)
        .end_nested()
        .end_nested()
}

/// Ends the rule for packets whose register does not compare.
fn compare<'a>(list: List<'a>, op: CmpOps, value: &[u8]) -> List<'a> {
    list.nested_elem()
        .nested_data_cmp()
        .push_sreg(REGISTER)
        .push_op(op as u32)
        .nested_data()
        .push_value(value)
        .end_nested()
        .end_nested()
        .end_nested()
}

/// `counter`
fn count(list: List<'_>) -> List<'_> {
    list.nested_elem().nested_data_counter().end_nested().end_nested()
}

/// `accept` or `drop`
fn verdict(list: List<'_>, code: VerdictCode) -> List<'_> {
    list.nested_elem()
        .nested_data_immediate()
        .push_dreg(VERDICT)
        .nested_data()
        .nested_verdict()
        .push_code(code as u32)
        .end_nested()
        .end_nested()
        .end_nested()
        .end_nested()
}

fn header() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = FAMILY;
    header
}
