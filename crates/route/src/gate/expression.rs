//! The expressions of the gate's rules, in the words of `nft`.
//!
//! The bindings' specification knows neither `dynset` nor `limit`, and numbers the attributes of `lookup`
//! in another order than the kernel; those three are laid out here and in [`stateful`](super::stateful),
//! after `linux/netfilter/nf_tables.h`.

use netlink_bindings::nftables::{
    CmpOps, FibFlags, MetaKeys, ObjectType, PayloadBase, PushExprListAttrs, PushRuleAttrs,
    VerdictCode,
};
use netlink_bindings::traits::Pusher;
use netlink_packet_route::route::RouteType;

use super::family::Family;
use crate::ban::Exact;

/// A list of expressions in the making.
pub(super) type List<'a> = PushExprListAttrs<PushRuleAttrs<&'a mut Vec<u8>>>;

/// `NFT_REG_1`, the only register needed except for flows, and `NFT_REG_VERDICT`.
pub(super) const REGISTER: u32 = 1;
/// `NFT_REG32_00`: the first four bytes of `NFT_REG_1`. The next number is the next four bytes.
const REGISTER_32: u32 = 8;
const VERDICT: u32 = 0;
/// `NFT_FIB_RESULT_OIF` and `NFT_FIB_RESULT_ADDRTYPE` of `linux/netfilter/nf_tables.h`. The bindings'
/// own `FibResult` is one too low: its specification lacks `NFT_FIB_RESULT_UNSPEC`.
const RESULT_INTERFACE: u32 = 1;
const RESULT_TYPE: u32 = 3;

/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// `NFTA_LOOKUP_…` and the flag that turns "in" into "not in".
const LOOKUP_SET: u16 = 1;
const LOOKUP_REGISTER: u16 = 2;
const LOOKUP_FLAGS: u16 = 5;
const LOOKUP_INVERTED: u32 = 1;

/// Bytes of a UDP header.
const UDP_HEADER: u32 = 8;
/// Offset of the flags in a TCP header, and FIN, SYN, RST, ACK among them.
const TCP_FLAGS: u32 = 13;
const CONNECTION_FLAGS: u8 = 0x17;
const SYN: u8 = 0x02;

/// Which address of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// `iif INTERFACE`
pub(super) fn interface_is(list: List<'_>, index: u32) -> List<'_> {
    compare(load(list, MetaKeys::Iif), CmpOps::Eq, &index.to_ne_bytes())
}

/// `meta nfproto FAMILY`
pub(super) fn family_is(list: List<'_>, family: Family) -> List<'_> {
    compare(load(list, MetaKeys::Nfproto), CmpOps::Eq, &[family.number()])
}

/// `meta l4proto TRANSPORT`
pub(super) fn transport_is(list: List<'_>, transport: u8) -> List<'_> {
    compare(load(list, MetaKeys::L4Proto), CmpOps::Eq, &[transport])
}

/// `meta l4proto != TRANSPORT`
pub(super) fn transport_is_not(list: List<'_>, transport: u8) -> List<'_> {
    compare(load(list, MetaKeys::L4Proto), CmpOps::Neq, &[transport])
}

/// `meta l4proto != @SET`
pub(super) fn transport_not_in<'a>(list: List<'a>, set: &str) -> List<'a> {
    is_not_in(load(list, MetaKeys::L4Proto), set)
}

/// `th dport @SET`. Of a fragmented packet only the first fragment has a port.
pub(super) fn port_in<'a>(list: List<'a>, set: &str) -> List<'a> {
    is_in(payload(list, PayloadBase::TransportHeader, 2, 2), set)
}

/// `th sport != @SET`
pub(super) fn source_port_not_in<'a>(list: List<'a>, set: &str) -> List<'a> {
    is_not_in(payload(list, PayloadBase::TransportHeader, 0, 2), set)
}

/// `tcp flags & (fin | syn | rst | ack) == syn`
pub(super) fn opens_connection(list: List<'_>) -> List<'_> {
    let list = payload(list, PayloadBase::TransportHeader, TCP_FLAGS, 1);
    compare(bitwise(list, &[CONNECTION_FLAGS], &[0]), CmpOps::Eq, &[SYN])
}

/// `@th,64,… START`: what a datagram begins with. At most 16 bytes.
pub(super) fn datagram_starts<'a>(list: List<'a>, start: &[u8]) -> List<'a> {
    let length = u32::try_from(start.len()).unwrap_or(u32::MAX);
    let list = payload(list, PayloadBase::TransportHeader, UDP_HEADER, length);
    compare(list, CmpOps::Eq, start)
}

/// Loads an address: `ip saddr`, `ip6 saddr`, `ip daddr`, `ip6 daddr`. The family must have been compared.
pub(super) fn address(list: List<'_>, family: Family, end: End) -> List<'_> {
    let (offset, length) = match (family, end) {
        (Family::V4, End::Source) => (12, 4),
        (Family::V4, End::Destination) => (16, 4),
        (Family::V6, End::Source) => (8, 16),
        (Family::V6, End::Destination) => (24, 16),
    };
    payload(list, PayloadBase::NetworkHeader, offset, length)
}

/// Loads the host at an end: an IPv4 address, an IPv6 /64 (`ip6 saddr & ffff:ffff:ffff:ffff::`).
pub(super) fn host(list: List<'_>, family: Family, end: End) -> List<'_> {
    let list = address(list, family, end);
    match family {
        Family::V4 => list,
        Family::V6 => bitwise(list, &(u128::MAX << 64).to_be_bytes(), &[0; 16]),
    }
}

/// `ip saddr . meta l4proto . th sport`, each padded to four bytes. The family must have been compared.
pub(super) fn flow(list: List<'_>, family: Family) -> List<'_> {
    let behind = match family {
        Family::V4 => REGISTER_32 + 1,
        Family::V6 => REGISTER_32 + 4,
    };
    let list = address(list, family, End::Source);
    let list = load_to(list, MetaKeys::L4Proto, behind);
    payload_to(list, PayloadBase::TransportHeader, 0, 2, behind + 1)
}

/// Loads a source as a set of exact hosts knows it. The family must have been compared.
pub(super) fn exact_source(list: List<'_>, exact: Exact) -> List<'_> {
    match exact {
        Exact::Ipv4 => address(list, Family::V4, End::Source),
        Exact::Ipv6 => address(list, Family::V6, End::Source),
        Exact::Ipv6Net => host(list, Family::V6, End::Source),
    }
}

/// Ends the rule for packets whose register is not in a set; where the element found has a limit, also
/// for those that the limit does not match.
pub(super) fn is_in<'a>(list: List<'a>, set: &str) -> List<'a> {
    lookup(list, set, 0)
}

/// Ends the rule for packets whose register is in a set.
pub(super) fn is_not_in<'a>(list: List<'a>, set: &str) -> List<'a> {
    lookup(list, set, LOOKUP_INVERTED)
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
pub(super) fn count_in<'a>(list: List<'a>, name: &str) -> List<'a> {
    object(list, ObjectType::Counter, name)
}

/// `limit name NAME`: ends the rule for packets above it.
pub(super) fn limit<'a>(list: List<'a>, name: &str) -> List<'a> {
    object(list, ObjectType::Limit, name)
}

/// `accept` or `drop`
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

/// `jump CHAIN` or `goto CHAIN`
pub(super) fn to_chain<'a>(list: List<'a>, code: VerdictCode, chain: &str) -> List<'a> {
    list.nested_elem()
        .nested_data_immediate()
        .push_dreg(VERDICT)
        .nested_data()
        .nested_verdict()
        .push_code(code as u32)
        .push_chain_bytes(chain.as_bytes())
        .end_nested()
        .end_nested()
        .end_nested()
        .end_nested()
}

/// An expression laid out by hand.
pub(super) fn expression<'a>(list: List<'a>, name: &str, data: &[u8]) -> List<'a> {
    let mut element = list.nested_elem();
    element.as_vec_mut().extend(laid_out(name, data));
    element.end_nested()
}

/// Name and data of an expression.
pub(super) fn laid_out(name: &str, data: &[u8]) -> Vec<u8> {
    let name = attribute(EXPRESSION_NAME, &terminated(name));
    [name, attribute(EXPRESSION_DATA, data)].concat()
}

/// A name as netlink wants it.
pub(super) fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

/// One netlink attribute, padded to four bytes.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    // All are far below the field's range.
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Appends an attribute laid out here to a message in the making. The bindings pad an attribute only when
/// they append the next one.
pub(super) fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.resize(message.len().next_multiple_of(4), 0);
    message.extend(attribute(kind, value));
}

fn object<'a>(list: List<'a>, kind: ObjectType, name: &str) -> List<'a> {
    list.nested_elem()
        .nested_data_objref()
        .push_imm_type(kind as u32)
        .push_imm_name_bytes(name.as_bytes())
        .end_nested()
        .end_nested()
}

/// Loads what is known about a packet into the register.
fn load(list: List<'_>, key: MetaKeys) -> List<'_> {
    load_to(list, key, REGISTER)
}

fn load_to(list: List<'_>, key: MetaKeys, register: u32) -> List<'_> {
    list.nested_elem()
        .nested_data_meta()
        .push_key(key as u32)
        .push_dreg(register)
        .end_nested()
        .end_nested()
}

/// Loads bytes of a header into the register; ends the rule for packets that lack them.
fn payload(list: List<'_>, base: PayloadBase, offset: u32, length: u32) -> List<'_> {
    payload_to(list, base, offset, length, REGISTER)
}

fn payload_to(
    list: List<'_>,
    base: PayloadBase,
    offset: u32,
    length: u32,
    register: u32,
) -> List<'_> {
    list.nested_elem()
        .nested_data_payload()
        .push_dreg(register)
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
    // 1, 4 or 16 bytes.
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

fn lookup<'a>(list: List<'a>, set: &str, flags: u32) -> List<'a> {
    let lookup = [
        attribute(LOOKUP_SET, &terminated(set)),
        attribute(LOOKUP_REGISTER, &REGISTER.to_be_bytes()),
        attribute(LOOKUP_FLAGS, &flags.to_be_bytes()),
    ];
    expression(list, "lookup", &lookup.concat())
}
