//! Does the gate stand as we would set it?

use netlink_bindings::nftables::{Nfgenmsg, OpGetchainDo, OpGetruleDump, OpGettableDo, TableFlags};
use netlink_packet_core::NLM_F_DUMP;
use nix::errno::Errno;

use super::ruleset::{CHAIN, FAMILY, POLICY, PREROUTING, PRIORITY, Rule};
use crate::netlink::{Batch, Channel, Dump, Reply};
use crate::{GateSettings, RouteError};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_TABLE: u16 = 10 << 8;
const GET_TABLE: u16 = 10 << 8 | 1;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAIN: u16 = 10 << 8 | 4;
const GET_RULE: u16 = 10 << 8 | 7;

/// Whether table, chain and rules are there as these settings want them: the table awake, the chain on
/// its hook, our rules in our order and nothing between them.
///
/// # Errors
/// When netlink fails.
pub(super) async fn stands(
    netfilter: &mut Channel,
    gate: &GateSettings,
) -> Result<bool, RouteError> {
    Ok(frame_stands(netfilter, gate).await? && rules_stand(netfilter, gate).await?)
}

async fn frame_stands(netfilter: &mut Channel, gate: &GateSettings) -> Result<bool, RouteError> {
    let (table, chain) = (gate.table_name.as_bytes(), CHAIN);
    let mut batch = Batch::default();
    let mut payload = Vec::new();
    OpGettableDo::encode_request(&mut payload, &header()).push_name_bytes(table);
    batch.raw(GET_TABLE, 0, &payload);
    payload.clear();
    OpGetchainDo::encode_request(&mut payload, &header())
        .push_table_bytes(table)
        .push_name_bytes(chain);
    batch.raw(GET_CHAIN, 0, &payload);
    let (mut awake, mut hooked) = (false, false);
    netfilter
        .exchange(batch, |_, reply| match reply {
            Reply::Object(NEW_TABLE, payload) => awake = is_awake(payload),
            Reply::Object(NEW_CHAIN, payload) => hooked = is_hooked(payload),
            Reply::Object(..) | Reply::Done | Reply::Refused(_) => {}
        })
        .await?;
    Ok(awake && hooked)
}

async fn rules_stand(netfilter: &mut Channel, gate: &GateSettings) -> Result<bool, RouteError> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let request = || {
        let mut batch = Batch::default();
        let mut payload = Vec::new();
        OpGetruleDump::encode_request(&mut payload, &header())
            .push_table_bytes(gate.table_name.as_bytes())
            .push_chain_bytes(CHAIN);
        batch.raw(GET_RULE, NLM_F_DUMP, &payload);
        batch
    };
    let outcome = netfilter
        .dump(request, |_, payload| {
            let (_, rule) = OpGetruleDump::decode_request(payload);
            found.push(rule.get_userdata().unwrap_or_default().to_vec());
        })
        .await?;
    match outcome {
        Dump::Complete => Ok(found
            .into_iter()
            .eq(Rule::ALL.map(|rule| rule.user_data(gate)))),
        Dump::Refused(refusal) if refusal.errno == Errno::ENOENT => Ok(false),
        Dump::Refused(refusal) => Err(super::refused("read the nftables gate", &refusal)),
    }
}

fn is_awake(payload: &[u8]) -> bool {
    let (_, table) = OpGettableDo::decode_request(payload);
    table
        .get_flags()
        .is_ok_and(|flags| flags & TableFlags::Dormant as u32 == 0)
}

fn is_hooked(payload: &[u8]) -> bool {
    let (_, chain) = OpGetchainDo::decode_request(payload);
    let Ok(hook) = chain.get_hook() else {
        return false;
    };
    hook.get_num() == Ok(PREROUTING)
        && hook.get_priority() == Ok(PRIORITY)
        && chain.get_policy() == Ok(POLICY)
}

fn header() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = FAMILY;
    header
}
