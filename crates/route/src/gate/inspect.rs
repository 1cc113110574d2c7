//! Does the gate stand as we would set it?

use std::collections::{BTreeMap, BTreeSet};

use netlink_bindings::nftables::{
    IterableTableAttrs, Nfgenmsg, OpGetchainDo, OpGetruleDump, OpGettableDo, OpGettableDump,
    TableFlags,
};
use netlink_packet_core::NLM_F_DUMP;
use nix::errno::Errno;

use super::ruleset::{CHAIN, FAMILY, POLICY, PREROUTING, PRIORITY, Rule, table_user_data};
use crate::netlink::{Batch, Channel, Dump, Reply};
use crate::{GateSettings, RouteError};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_TABLE: u16 = 10 << 8;
const GET_TABLE: u16 = 10 << 8 | 1;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAIN: u16 = 10 << 8 | 4;
const GET_RULE: u16 = 10 << 8 | 7;

/// How the gate was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As these settings want it: the table awake, the chain on its hook, our rules and no others.
    Standing,
    /// Missing or not as it should be.
    Damaged,
    /// The name belongs to a table of somebody else.
    Foreign,
}

/// Looks at table, chain and rules.
///
/// # Errors
/// When netlink fails.
pub(super) async fn state(
    netfilter: &mut Channel,
    gate: &GateSettings,
) -> Result<State, RouteError> {
    match frame(netfilter, gate).await? {
        State::Standing if rules_stand(netfilter, gate).await? => Ok(State::Standing),
        State::Standing | State::Damaged => Ok(State::Damaged),
        State::Foreign => Ok(State::Foreign),
    }
}

/// The names of all tables of ours, also those that other settings named.
///
/// # Errors
/// When netlink fails.
pub(super) async fn tables(netfilter: &mut Channel) -> Result<BTreeSet<String>, RouteError> {
    let mut found = BTreeSet::new();
    let request = || {
        let mut batch = Batch::default();
        let mut payload = Vec::new();
        OpGettableDump::encode_request(&mut payload, &header());
        batch.raw(GET_TABLE, NLM_F_DUMP, &payload);
        batch
    };
    let outcome = netfilter
        .dump(request, |_, payload| {
            let (_, table) = OpGettableDump::decode_request(payload);
            if table.get_userdata() == Ok(&table_user_data()) {
                found.extend(table.get_name().map(|name| name.to_string_lossy().into_owned()));
            }
        })
        .await?;
    match outcome {
        Dump::Complete => Ok(found),
        // Not a single answer is what a kernel without nf_tables has, in several words.
        Dump::Refused(refusal) if refusal.errno == Errno::EPERM => Err(RouteError::NotPermitted),
        Dump::Refused(_) => Ok(BTreeSet::new()),
    }
}

async fn frame(netfilter: &mut Channel, gate: &GateSettings) -> Result<State, RouteError> {
    let name = gate.table_name.as_bytes();
    let mut batch = Batch::default();
    let mut payload = Vec::new();
    OpGettableDo::encode_request(&mut payload, &header()).push_name_bytes(name);
    batch.raw(GET_TABLE, 0, &payload);
    payload.clear();
    OpGetchainDo::encode_request(&mut payload, &header())
        .push_table_bytes(name)
        .push_name_bytes(CHAIN);
    batch.raw(GET_CHAIN, 0, &payload);
    let (mut foreign, mut awake, mut hooked) = (false, false, false);
    netfilter
        .exchange(batch, |_, reply| match reply {
            Reply::Object(NEW_TABLE, payload) => {
                let (_, table) = OpGettableDo::decode_request(payload);
                foreign = table.get_userdata() != Ok(&table_user_data());
                awake = is_awake(&table);
            }
            Reply::Object(NEW_CHAIN, payload) => hooked = is_hooked(payload),
            Reply::Object(..) | Reply::Done | Reply::Refused(_) => {}
        })
        .await?;
    Ok(match (foreign, awake && hooked) {
        (true, _) => State::Foreign,
        (false, true) => State::Standing,
        (false, false) => State::Damaged,
    })
}

async fn rules_stand(netfilter: &mut Channel, gate: &GateSettings) -> Result<bool, RouteError> {
    // By handle, which grows with every rule added: a dump that is read twice finds the same rules.
    let mut found = BTreeMap::new();
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
            if let Ok(handle) = rule.get_handle() {
                found.insert(handle, rule.get_userdata().unwrap_or_default().to_vec());
            }
        })
        .await?;
    match outcome {
        Dump::Complete => Ok(found.into_values().eq(Rule::ALL.map(|rule| rule.user_data(gate)))),
        Dump::Refused(refusal) if refusal.errno == Errno::ENOENT => Ok(false),
        Dump::Refused(refusal) => Err(super::refused("read the nftables gate", &refusal)),
    }
}

fn is_awake(table: &IterableTableAttrs<'_>) -> bool {
    table.get_flags().is_ok_and(|flags| flags & TableFlags::Dormant as u32 == 0)
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
