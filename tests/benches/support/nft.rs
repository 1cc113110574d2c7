//! nftables by hand: what the benchmark of bans needs that the enforcer does not do.

use netlink_bindings::nftables::{
    Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, OpDelsetelemDo, OpNewchainDo, OpNewtableDo,
};
use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkHeader};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use sipward_tests::netns::Host;

/// A chain before the gate whose policy drops everything.
pub(crate) fn drop_all(host: &Host) {
    let (mut table, mut chain) = (Vec::new(), Vec::new());
    OpNewtableDo::encode_request(&mut table, &inet()).push_name_bytes(b"all");
    OpNewchainDo::encode_request(&mut chain, &inet())
        .push_table_bytes(b"all")
        .push_name_bytes(b"all")
        .nested_hook()
        .push_num(0)
        .push_priority(-400)
        .end_nested()
        .push_policy(0)
        .push_type_bytes(b"filter");
    nft(host, &[(10 << 8, NLM_F_CREATE, table), (10 << 8 | 3, NLM_F_CREATE, chain)]);
}

/// Empties the sets of banned hosts: then the routes behind them are looked up.
pub(crate) fn empty_sets(host: &Host) {
    let messages = ["banned4", "banned6", "banned6_64"].map(|set| {
        let mut payload = Vec::new();
        OpDelsetelemDo::encode_request(&mut payload, &inet())
            .push_table_bytes(b"sipward")
            .push_set_bytes(set.as_bytes());
        (10 << 8 | 0x0e, 0, payload)
    });
    nft(host, &messages);
}

fn inet() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = 1;
    header
}

/// One nftables transaction of messages given as type, flags and payload.
fn nft(host: &Host, messages: &[(u16, u16, Vec<u8>)]) {
    let mut header = Nfgenmsg::new();
    header.set_res_id(10);
    let (mut begin, mut end) = (Vec::new(), Vec::new());
    OpBatchBeginDo::encode_request(&mut begin, &header);
    OpBatchEndDo::encode_request(&mut end, &header);
    let mut all = vec![(16, 0, begin)];
    all.extend(messages.iter().map(|(kind, flags, payload)| (*kind, *flags, payload.clone())));
    if let Some((_, flags, _)) = all.last_mut() {
        *flags |= NLM_F_ACK;
    }
    all.push((17, 0, end));
    let mut bytes = Vec::new();
    for (kind, flags, payload) in &all {
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
    let mut socket = host.run(|| Socket::new(NETLINK_NETFILTER)).expect("a netlink socket");
    socket.bind_auto().expect("a port");
    host.run(|| socket.send_to(&bytes, &netlink_sys::SocketAddr::new(0, 0), 0)).expect("sent");
    let mut buffer = Vec::with_capacity(65_536);
    socket.recv(&mut buffer, 0).expect("an answer");
    let code = buffer.get(16..20).map(|code| i32::from_ne_bytes(code.try_into().unwrap()));
    assert_eq!(code, Some(0), "refused");
}
