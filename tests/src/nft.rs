//! What others do to nftables by `nft`, as netlink messages: an administrator, another program.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "what a test harness cannot do is a failed test"
)]

use std::net::Ipv4Addr;
use std::time::Duration;

use netlink_bindings::nftables::{
    Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, OpDelsetelemDo, OpDeltableDo, OpNewsetelemDo,
};
use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

use crate::netns::Host;

/// `NFNL_SUBSYS_NFTABLES` (linux/netfilter/nfnetlink.h), and messages of it (`nf_tables.h`).
const NFTABLES: u16 = 10 << 8;
const DELETE_TABLE: u16 = NFTABLES | 0x02;
const NEW_ELEMENT: u16 = NFTABLES | 0x0c;
const DELETE_ELEMENT: u16 = NFTABLES | 0x0e;
/// `NFPROTO_INET`.
const INET: u8 = 1;

/// `nft flush ruleset`.
pub fn flush_ruleset(host: &Host) {
    let mut payload = Vec::new();
    OpDeltableDo::encode_request(&mut payload, &Nfgenmsg::new());
    transaction(host, &[(DELETE_TABLE, 0, payload)]);
}

/// `nft flush set inet TABLE SET`, of several sets at once.
pub fn flush_sets(host: &Host, table: &str, sets: &[&str]) {
    let flush = |set: &&str| {
        let mut payload = Vec::new();
        OpDelsetelemDo::encode_request(&mut payload, &inet())
            .push_table_bytes(table.as_bytes())
            .push_set_bytes(set.as_bytes());
        (DELETE_ELEMENT, 0, payload)
    };
    transaction(host, &sets.iter().map(flush).collect::<Vec<_>>());
}

/// The key `ADDRESS` of a set of IPv4 addresses.
#[must_use]
pub fn host_key(address: &str) -> Vec<u8> {
    address.parse::<Ipv4Addr>().expect("an IPv4 address").octets().to_vec()
}

/// The key `ADDRESS . TRANSPORT . PORT`. Each part of a concatenation is filled up to four bytes.
#[must_use]
pub fn flow_key(address: &str, transport: u8, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    [host_key(address).as_slice(), &[transport, 0, 0, 0, high, low, 0, 0]].concat()
}

/// `nft add element inet TABLE SET { KEY }`.
pub fn add_element(host: &Host, table: &str, set: &str, key: &[u8]) {
    let mut payload = Vec::new();
    OpNewsetelemDo::encode_request(&mut payload, &inet())
        .push_table_bytes(table.as_bytes())
        .push_set_bytes(set.as_bytes())
        .nested_elements()
        .nested_elem()
        .nested_key()
        .push_value(key)
        .end_nested()
        .end_nested()
        .end_nested();
    transaction(host, &[(NEW_ELEMENT, NLM_F_CREATE, payload)]);
}

/// `nft delete element inet TABLE SET { KEY }`.
pub fn delete_element(host: &Host, table: &str, set: &str, key: &[u8]) {
    transaction(host, &[(DELETE_ELEMENT, 0, deletion(table, set, key))]);
}

/// `nft "delete element inet TABLE SET { KEY }; add element inet TABLE SET { KEY timeout TIME }"`.
pub fn replace_element(host: &Host, table: &str, set: &str, key: &[u8], time: Duration) {
    let mut payload = Vec::new();
    let milliseconds = u64::try_from(time.as_millis()).expect("a time");
    OpNewsetelemDo::encode_request(&mut payload, &inet())
        .push_table_bytes(table.as_bytes())
        .push_set_bytes(set.as_bytes())
        .nested_elements()
        .nested_elem()
        .nested_key()
        .push_value(key)
        .end_nested()
        // The bindings leave it in the host's byte order; the kernel does not.
        .push_timeout(milliseconds.to_be())
        .end_nested()
        .end_nested();
    let deletion = (DELETE_ELEMENT, 0, deletion(table, set, key));
    transaction(host, &[deletion, (NEW_ELEMENT, NLM_F_CREATE, payload)]);
}

fn deletion(table: &str, set: &str, key: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    OpDelsetelemDo::encode_request(&mut payload, &inet())
        .push_table_bytes(table.as_bytes())
        .push_set_bytes(set.as_bytes())
        .nested_elements()
        .nested_elem()
        .nested_key()
        .push_value(key)
        .end_nested()
        .end_nested()
        .end_nested();
    payload
}

/// The header of messages for the family `inet`.
#[must_use]
pub fn inet() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = INET;
    header
}

/// One nftables transaction of messages given as type, flags and payload. Panics when the kernel refuses it.
pub fn transaction(host: &Host, messages: &[(u16, u16, Vec<u8>)]) {
    let mut header = Nfgenmsg::new();
    header.set_res_id(10);
    let (mut begin, mut end) = (Vec::new(), Vec::new());
    OpBatchBeginDo::encode_request(&mut begin, &header);
    OpBatchEndDo::encode_request(&mut end, &header);
    // NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END.
    let mut all = vec![(16, 0, begin)];
    all.extend(messages.iter().map(|(kind, flags, payload)| (*kind, *flags, payload.clone())));
    if let Some((_, flags, _)) = all.last_mut() {
        *flags |= NLM_F_ACK;
    }
    all.push((17, 0, end));
    exchange(host, NETLINK_NETFILTER, &all);
}

/// Sends messages in one piece; returns the payloads that come back before the ACK or the dump's end.
#[allow(clippy::must_use_candidate, reason = "a change is answered by its ACK alone")]
pub fn exchange(host: &Host, protocol: isize, messages: &[(u16, u16, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut socket = host.run(|| Socket::new(protocol)).expect("a netlink socket");
    socket.bind_auto().expect("a port");
    socket.connect(&SocketAddr::new(0, 0)).expect("the kernel");
    let mut bytes = Vec::new();
    for (kind, flags, payload) in messages {
        let mut header = NetlinkHeader::default();
        header.length = u32::try_from(16 + payload.len()).expect("a short message");
        header.message_type = *kind;
        header.flags = NLM_F_REQUEST | flags;
        let start = bytes.len();
        bytes.resize(start + 16, 0);
        header.emit(bytes.get_mut(start..).expect("room"));
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    host.run(|| socket.send(&bytes, 0)).expect("sent");
    let mut answers = Vec::new();
    loop {
        let mut buffer = Vec::with_capacity(65_536);
        socket.recv(&mut buffer, 0).expect("an answer");
        let mut rest = buffer.as_slice();
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            match message.message_type() {
                2 => {
                    let code =
                        message.payload().first_chunk().map(|code| i32::from_ne_bytes(*code));
                    assert_eq!(code, Some(0), "refused {}", message.sequence_number());
                    return answers;
                }
                3 => return answers,
                _ => answers.push(message.payload().to_vec()),
            }
            let length = (message.length() as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}
