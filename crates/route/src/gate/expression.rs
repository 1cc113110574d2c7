//! The expressions of the gate's rules, in the words of `nft`.
//!
//! The bindings' specification knows neither `dynset` nor `limit`, and numbers the attributes of `lookup`
//! in another order than the kernel; those three are laid out here, after
//! `linux/netfilter/nf_tables.h`.

use netlink_bindings::nftables::{
    CmpOps, FibFlags, MetaKeys, ObjectType, PayloadBase, PushExprListAttrs, PushRuleAttrs,
    VerdictCode,
};
use netlink_bindings::traits::Pusher;
use netlink_packet_route::route::RouteType;

/// A list of expressions in the making.
pub(super) type List<'a> = PushExprListAttrs<PushRuleAttrs<&'a mut Vec<u8>>>;

/// `NFT_REG_1`, the only register needed, and `NFT_REG_VERDICT`.
const REGISTER: u32 = 1;
const VERDICT: u32 = 0;
/// `NFT_FIB_RESULT_OIF` and `NFT_FIB_RESULT_ADDRTYPE` of `linux/netfilter/nf_tables.h`. The bindings'
/// own `FibResult` is one too low: its specification lacks `NFT_FIB_RESULT_UNSPEC`.
const RESULT_INTERFACE: u32 = 1;
const RESULT_TYPE: u32 = 3;

/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// `NFTA_LOOKUP_SET` and `NFTA_LOOKUP_SREG`.
const LOOKUP_SET: u16 = 1;
const LOOKUP_REGISTER: u16 = 2;
/// `NFTA_DYNSET_…` and the operation that adds an element or renews its timeout.
const DYNSET_SET_NAME: u16 = 1;
const DYNSET_OP: u16 = 3;
const DYNSET_KEY_REGISTER: u16 = 4;
const DYNSET_EXPRESSION: u16 = 7;
const DYNSET_UPDATE: u32 = 1;
/// `NFTA_LIMIT_…`, packets as the unit, and the flag that turns "up to" into "over".
const LIMIT_RATE: u16 = 1;
const LIMIT_UNIT: u16 = 2;
const LIMIT_BURST: u16 = 3;
const LIMIT_TYPE: u16 = 4;
const LIMIT_FLAGS: u16 = 5;
const LIMIT_PACKETS: u32 = 0;
const LIMIT_OVER: u32 = 1;
/// Seconds a rate is counted over.
const PER_SECOND: u64 = 1;

/// `iif INTERFACE`
pub(super) fn interface_is(list: List<'_>, index: u32) -> List<'_> {
    compare(load(list, MetaKeys::Iif), CmpOps::Eq, &index.to_ne_bytes())
}

/// `meta nfproto PROTOCOL`
pub(super) fn protocol_is(list: List<'_>, protocol: u8) -> List<'_> {
    compare(load(list, MetaKeys::Nfproto), CmpOps::Eq, &[protocol])
}

/// `meta l4proto TRANSPORT`
pub(super) fn transport_is(list: List<'_>, transport: u8) -> List<'_> {
    compare(load(list, MetaKeys::L4Proto), CmpOps::Eq, &[transport])
}

/// `th dport @SET`. Of a fragmented packet only the first fragment has a port.
pub(super) fn port_in<'a>(list: List<'a>, set: &[u8]) -> List<'a> {
    lookup(payload(list, PayloadBase::TransportHeader, 2, 2), set)
}

/// `ip saddr @SET`
pub(super) fn ipv4_source_in<'a>(list: List<'a>, set: &[u8]) -> List<'a> {
    lookup(ipv4_source(list), set)
}

/// `ip6 saddr @SET`
pub(super) fn ipv6_source_in<'a>(list: List<'a>, set: &[u8]) -> List<'a> {
    lookup(ipv6_source(list), set)
}

/// `update @SET { ip saddr limit rate over RATE/second burst RATE packets }`
pub(super) fn ipv4_source_over<'a>(list: List<'a>, set: &[u8], rate: u32) -> List<'a> {
    over(ipv4_source(list), set, rate)
}

/// `update @SET { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over RATE/second burst RATE packets }`
pub(super) fn ipv6_network_over<'a>(list: List<'a>, set: &[u8], rate: u32) -> List<'a> {
    let network = (u128::MAX << 64).to_be_bytes();
    let list = bitwise(ipv6_source(list), &network, &[0; 16]);
    over(list, set, rate)
}

/// `fib saddr type KIND`
pub(super) fn source_type(list: List<'_>, op: CmpOps, kind: RouteType) -> List<'_> {
    let list = fib(list, RESULT_TYPE, FibFlags::Saddr as u32);
    compare(list, op, &u32::from(u8::from(kind)).to_ne_bytes())
}

/// `fib saddr . mark oif missing`
pub(super) fn no_way_back(list: List<'_>) -> List<'_> {
    let flags = FibFlags::Saddr as u32 | FibFlags::Mark as u32 | FibFlags::Present as u32;
    compare(fib(list, RESULT_INTERFACE, flags), CmpOps::Eq, &[0])
}

/// `meta mark set (meta mark & KEEP) ^ FLIP`
pub(super) fn set_mark(list: List<'_>, keep: u32, flip: u32) -> List<'_> {
    bitwise(load(list, MetaKeys::Mark), &keep.to_ne_bytes(), &flip.to_ne_bytes())
        .nested_elem()
        .nested_data_meta()
        .push_key(MetaKeys::Mark as u32)
        .push_sreg(REGISTER)
        .end_nested()
        .end_nested()
}

/// `counter`
pub(super) fn count(list: List<'_>) -> List<'_> {
    list.nested_elem().nested_data_counter().end_nested().end_nested()
}

/// `counter name NAME`
pub(super) fn count_in<'a>(list: List<'a>, name: &[u8]) -> List<'a> {
    list.nested_elem()
        .nested_data_objref()
        .push_imm_type(ObjectType::Counter as u32)
        .push_imm_name_bytes(name)
        .end_nested()
        .end_nested()
}

/// `accept`, `drop` or `return`
pub(super) fn verdict(list: List<'_>, code: VerdictCode) -> List<'_> {
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

/// `jump CHAIN`
pub(super) fn jump<'a>(list: List<'a>, chain: &[u8]) -> List<'a> {
    list.nested_elem()
        .nested_data_immediate()
        .push_dreg(VERDICT)
        .nested_data()
        .nested_verdict()
        .push_code(VerdictCode::Jump as u32)
        .push_chain_bytes(chain)
        .end_nested()
        .end_nested()
        .end_nested()
        .end_nested()
}

fn ipv4_source(list: List<'_>) -> List<'_> {
    payload(list, PayloadBase::NetworkHeader, 12, 4)
}

fn ipv6_source(list: List<'_>) -> List<'_> {
    payload(list, PayloadBase::NetworkHeader, 8, 16)
}

/// Loads what is known about a packet into the register.
fn load(list: List<'_>, key: MetaKeys) -> List<'_> {
    list.nested_elem()
        .nested_data_meta()
        .push_key(key as u32)
        .push_dreg(REGISTER)
        .end_nested()
        .end_nested()
}

/// Loads bytes of a header into the register; ends the rule for packets that lack them.
fn payload(list: List<'_>, base: PayloadBase, offset: u32, length: u32) -> List<'_> {
    list.nested_elem()
        .nested_data_payload()
        .push_dreg(REGISTER)
        .push_base(base as u32)
        .push_offset(offset)
        .push_len(length)
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

/// `(register & KEEP) ^ FLIP`, both as long as what the register holds.
fn bitwise<'a>(list: List<'a>, keep: &[u8], flip: &[u8]) -> List<'a> {
    // 4 or 16 bytes.
    let length = u32::try_from(keep.len()).unwrap_or(u32::MAX);
    list.nested_elem()
        .nested_data_bitwise()
        .push_sreg(REGISTER)
        .push_dreg(REGISTER)
        .push_len(length)
        .nested_mask()
        .push_value(keep)
        .end_nested()
        .nested_xor()
        .push_value(flip)
        .end_nested()
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

/// Ends the rule for packets whose register is not in a set.
fn lookup<'a>(list: List<'a>, set: &[u8]) -> List<'a> {
    let lookup = [
        attribute(LOOKUP_SET, &[set, b"\0"].concat()),
        attribute(LOOKUP_REGISTER, &REGISTER.to_be_bytes()),
    ];
    expression(list, b"lookup\0", &lookup.concat())
}

/// Ends the rule for packets of a register value that came less often than `rate` a second. When the set
/// is full the rule ends too: who is not known is not limited.
fn over<'a>(list: List<'a>, set: &[u8], rate: u32) -> List<'a> {
    let limit = [
        attribute(LIMIT_RATE, &u64::from(rate).to_be_bytes()),
        attribute(LIMIT_UNIT, &PER_SECOND.to_be_bytes()),
        attribute(LIMIT_BURST, &rate.to_be_bytes()),
        attribute(LIMIT_TYPE, &LIMIT_PACKETS.to_be_bytes()),
        attribute(LIMIT_FLAGS, &LIMIT_OVER.to_be_bytes()),
    ];
    let limit =
        [attribute(EXPRESSION_NAME, b"limit\0"), attribute(EXPRESSION_DATA, &limit.concat())];
    let dynset = [
        attribute(DYNSET_SET_NAME, &[set, b"\0"].concat()),
        attribute(DYNSET_OP, &DYNSET_UPDATE.to_be_bytes()),
        attribute(DYNSET_KEY_REGISTER, &REGISTER.to_be_bytes()),
        attribute(DYNSET_EXPRESSION, &limit.concat()),
    ];
    expression(list, b"dynset\0", &dynset.concat())
}

/// An expression laid out here.
fn expression<'a>(list: List<'a>, name: &[u8], data: &[u8]) -> List<'a> {
    let mut element = list.nested_elem();
    let room = element.as_vec_mut();
    room.extend(attribute(EXPRESSION_NAME, name));
    room.extend(attribute(EXPRESSION_DATA, data));
    element.end_nested()
}

/// One netlink attribute, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    // All are far below the field's range.
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
