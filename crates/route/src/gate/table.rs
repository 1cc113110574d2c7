//! What our table holds: needed to set the gate anew around the sets of bans.

use netlink_bindings::nftables::{OpGetchainDo, OpGetobjDump, OpGetsetDump, OpGettableDo};
use netlink_packet_core::NLM_F_DUMP;

use super::inspect::{GET_CHAIN, GET_TABLE, NEW_TABLE, is_awake};
use super::message::table_user_data;
use super::message::{FAMILY, header};
use super::ruleset::Content;
use crate::netlink::{Batch, Channel, Dump, Reply};
use crate::{GateSettings, RouteError};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const GET_SET: u16 = 10 << 8 | 0x0a;
const GET_OBJECT: u16 = 10 << 8 | 0x13;

/// What our table holds; `None` where there is none that is ours and awake.
///
/// # Errors
/// When netlink fails.
pub(super) async fn contents(
    netfilter: &mut Channel,
    gate: &GateSettings,
) -> Result<Option<Content>, RouteError> {
    let name = gate.table_name.as_bytes();
    let (mut batch, mut payload) = (Batch::default(), Vec::new());
    OpGettableDo::encode_request(&mut payload, &header()).push_name_bytes(name);
    batch.raw(GET_TABLE, 0, &payload);
    let mut is_ours = false;
    netfilter
        .exchange(batch, |_, reply| {
            if let Reply::Object(NEW_TABLE, payload) = reply {
                let (_, table) = OpGettableDo::decode_request(payload);
                is_ours = table.get_userdata() == Ok(&table_user_data()) && is_awake(&table);
            }
        })
        .await?;
    if !is_ours {
        return Ok(None);
    }
    let mut content = Content::default();
    let all = |kind: u16| {
        move || {
            let mut batch = Batch::default();
            batch.raw(kind, NLM_F_DUMP, &[FAMILY, 0, 0, 0]);
            batch
        }
    };
    let mut outcomes = Vec::new();
    let collect = |_, payload: &[u8]| {
        let (_, chain) = OpGetchainDo::decode_request(payload);
        if chain.get_table().is_ok_and(|table| table.to_bytes() == name) {
            content.chains.extend(chain.get_name().map(|name| name.to_bytes().to_vec()));
        }
    };
    outcomes.push(netfilter.dump(all(GET_CHAIN), collect).await?);
    let collect = |_, payload: &[u8]| {
        let (_, set) = OpGetsetDump::decode_request(payload);
        if let (Ok(table), Ok(name_of)) = (set.get_table(), set.get_name())
            && table.to_bytes() == name
        {
            let user_data = set.get_userdata().unwrap_or_default().to_vec();
            let length = set.get_key_len().unwrap_or_default();
            content.sets.insert(name_of.to_bytes().to_vec(), (user_data, length));
        }
    };
    outcomes.push(netfilter.dump(all(GET_SET), collect).await?);
    let collect = |_, payload: &[u8]| {
        let (_, object) = OpGetobjDump::decode_request(payload);
        if let (Ok(table), Ok(name_of), Ok(kind)) =
            (object.get_table(), object.get_name(), object.get_type())
            && table.to_bytes() == name
        {
            content.objects.insert((name_of.to_bytes().to_vec(), kind));
        }
    };
    outcomes.push(netfilter.dump(all(GET_OBJECT), collect).await?);
    Ok(outcomes.iter().all(|outcome| *outcome == Dump::Complete).then_some(content))
}
