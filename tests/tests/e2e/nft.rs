//! What an administrator's mistake does to sipward's nftables table.

use std::net::Ipv4Addr;

use netlink_bindings::nftables::{
    Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, OpDelsetelemDo, OpDeltableDo, OpNewsetelemDo,
};
use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use sipward_route::{Flow, Inspection, Settings, Transport, inspect};
use sipward_tests::netns::Host;

/// `NFNL_SUBSYS_NFTABLES` (linux/netfilter/nfnetlink.h), and messages of it (`nf_tables.h`).
const NFTABLES: u16 = 10 << 8;
const DELETE_TABLE: u16 = NFTABLES | 0x02;
const NEW_ELEMENT: u16 = NFTABLES | 0x0c;
const DELETE_ELEMENT: u16 = NFTABLES | 0x0e;
/// `NFPROTO_INET`.
const INET: u8 = 1;

/// What the kernel of `host` holds of sipward.
pub(crate) fn look(host: &Host) -> Inspection {
    host.block_on(async || inspect(&Settings::default()).await).unwrap()
}

/// The denied flows, as they are written for people.
pub(crate) fn denied(host: &Host) -> Vec<String> {
    look(host).flows.iter().map(|(flow, _)| written(*flow)).collect()
}

fn written(flow: Flow) -> String {
    let transport = match flow.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    format!("{} {transport} {}", flow.source, flow.port)
}

/// The networks banned from the SIP ports, as they are written for people.
pub(crate) fn sip_bans(host: &Host) -> Vec<String> {
    look(host).sip_bans.iter().map(ToString::to_string).collect()
}

/// `nft flush ruleset`.
pub(crate) fn flush_ruleset(host: &Host) {
    let mut payload = Vec::new();
    OpDeltableDo::encode_request(&mut payload, &Nfgenmsg::new());
    change(host, DELETE_TABLE, 0, payload);
}

/// What a reboot does to what sipward has set: routes, rules of nftables, sets.
pub(crate) fn forget_all(host: &Host) {
    flush_ruleset(host);
    super::kernel::flush(host);
}

/// `nft flush set inet sipward SET`.
pub(crate) fn flush_set(host: &Host, set: &str) {
    let mut payload = Vec::new();
    OpDelsetelemDo::encode_request(&mut payload, &inet())
        .push_table_bytes(b"sipward")
        .push_set_bytes(set.as_bytes());
    change(host, DELETE_ELEMENT, 0, payload);
}

/// `nft add element inet sipward SET { ADDRESS }`.
pub(crate) fn add_host(host: &Host, set: &str, address: &str) {
    add_element(host, set, &octets(address));
}

/// `nft add element inet sipward SET { ADDRESS . udp . PORT }`.
pub(crate) fn add_udp_flow(host: &Host, set: &str, address: &str, port: u16) {
    add_element(host, set, &udp_flow(address, port));
}

/// `nft delete element inet sipward SET { ADDRESS }`.
pub(crate) fn delete_host(host: &Host, set: &str, address: &str) {
    delete_element(host, set, &octets(address));
}

/// `nft delete element inet sipward SET { ADDRESS . udp . PORT }`.
pub(crate) fn delete_udp_flow(host: &Host, set: &str, address: &str, port: u16) {
    delete_element(host, set, &udp_flow(address, port));
}

fn octets(address: &str) -> Vec<u8> {
    address.parse::<Ipv4Addr>().unwrap().octets().to_vec()
}

/// Each part of a concatenation is filled up to four bytes.
fn udp_flow(address: &str, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    [octets(address).as_slice(), &[17, 0, 0, 0, high, low, 0, 0]].concat()
}

fn add_element(host: &Host, set: &str, key: &[u8]) {
    let mut payload = Vec::new();
    OpNewsetelemDo::encode_request(&mut payload, &inet())
        .push_table_bytes(b"sipward")
        .push_set_bytes(set.as_bytes())
        .nested_elements()
        .nested_elem()
        .nested_key()
        .push_value(key)
        .end_nested()
        .end_nested()
        .end_nested();
    change(host, NEW_ELEMENT, NLM_F_CREATE, payload);
}

fn delete_element(host: &Host, set: &str, key: &[u8]) {
    let mut payload = Vec::new();
    OpDelsetelemDo::encode_request(&mut payload, &inet())
        .push_table_bytes(b"sipward")
        .push_set_bytes(set.as_bytes())
        .nested_elements()
        .nested_elem()
        .nested_key()
        .push_value(key)
        .end_nested()
        .end_nested()
        .end_nested();
    change(host, DELETE_ELEMENT, 0, payload);
}

fn inet() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = INET;
    header
}

/// Sends one message in a transaction, and panics when the kernel refuses it.
fn change(host: &Host, kind: u16, flags: u16, payload: Vec<u8>) {
    let mut header = Nfgenmsg::new();
    header.set_res_id(10);
    let (mut begin, mut end) = (Vec::new(), Vec::new());
    OpBatchBeginDo::encode_request(&mut begin, &header);
    OpBatchEndDo::encode_request(&mut end, &header);
    let mut bytes = Vec::new();
    // NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END.
    for (kind, flags, payload) in [(16, 0, begin), (kind, flags | NLM_F_ACK, payload), (17, 0, end)]
    {
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(16 + payload.len()).unwrap();
        header.message_type = kind;
        header.flags = NLM_F_REQUEST | flags;
        let start = bytes.len();
        bytes.resize(start + 16, 0);
        header.emit(&mut bytes[start..]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let mut socket = host.run(|| Socket::new(NETLINK_NETFILTER)).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    socket.send(&bytes, 0).unwrap();
    let mut buffer = Vec::with_capacity(8192);
    socket.recv(&mut buffer, 0).unwrap();
    let answer = NetlinkBuffer::new_checked(buffer.as_slice()).unwrap();
    // NLMSG_ERROR, whose code is 0 when all is well.
    let code = answer.payload().first_chunk::<4>().map(|code| i32::from_ne_bytes(*code));
    assert_eq!((answer.message_type(), code), (2, Some(0)), "the kernel refuses");
}
