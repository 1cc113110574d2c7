//! What the messages of the gate have in common.

use netlink_bindings::nftables::{Nfgenmsg, OpBatchBeginDo, OpBatchEndDo, VerdictCode};

use crate::netlink::Batch;

/// `NF_ACCEPT`: what the gate does not drop goes its way.
pub(super) const POLICY: u32 = VerdictCode::Accept as u32;
/// `NFPROTO_INET`.
pub(super) const FAMILY: u8 = 1;

/// `NFNL_SUBSYS_NFTABLES`, which a transaction names in its first and last message.
pub(super) const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BEGIN: u16 = 16;
const END: u16 = 17;

/// `NFTNL_UDATA_RULE_COMMENT`, `NFTNL_UDATA_TABLE_COMMENT`, `NFTNL_UDATA_CHAIN_COMMENT`: what `nft list
/// ruleset` shows as `comment "…"`.
const COMMENT: u8 = 0;

/// The table's user data, a comment like the rules'. By it we know our tables from those of others,
/// whatever the name (needs Linux 5.10).
pub(super) fn table_user_data() -> Vec<u8> {
    comment("sipward: drops what blackholed sources send")
}

/// A comment of a table, a chain or a rule.
pub(super) fn comment(text: &str) -> Vec<u8> {
    user_data(COMMENT, text)
}

pub(super) fn user_data(kind: u8, text: &str) -> Vec<u8> {
    // All are far below the field's range.
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    let mut data = vec![kind, length];
    data.extend_from_slice(text.as_bytes());
    data.push(0);
    data
}

pub(super) fn transaction(fill: impl FnOnce(&mut Batch)) -> Batch {
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

pub(super) fn header() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = FAMILY;
    header
}
