//! nftables by hand: what the benchmark of bans needs that the enforcer does not do.

use netlink_bindings::nftables::{OpNewchainDo, OpNewtableDo};
use netlink_packet_core::NLM_F_CREATE;
use sipward_tests::netns::Host;
use sipward_tests::nft::{flush_sets, inet, transaction};

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
    transaction(host, &[(10 << 8, NLM_F_CREATE, table), (10 << 8 | 3, NLM_F_CREATE, chain)]);
}

/// Empties the sets of banned hosts: then the routes behind them are looked up.
pub(crate) fn empty_sets(host: &Host) {
    flush_sets(host, "sipward", &["banned4", "banned6", "banned6_64"]);
}
