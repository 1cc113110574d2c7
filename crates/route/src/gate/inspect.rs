//! Does the gate stand as we would set it?

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;

use netlink_bindings::nftables::{
    ExprOps, IterableSetelemAttrs, IterableTableAttrs, ObjData, ObjectType, OpGetchainDo,
    OpGetobjDo, OpGetruleDump, OpGetsetelemDump, OpGettableDo, OpGettableDump, SetElemFlags,
    TableFlags,
};
use netlink_packet_core::NLM_F_DUMP;
use nix::errno::Errno;

use super::ruleset::{CHAIN, COUNTER, POLICY, PREROUTING, PRIORITY, Rule, header, table_user_data};
use super::sets::{Element, Set};
use super::spared::Spared;
use crate::netlink::{Batch, Channel, Dump, Reply};
use crate::{GateSettings, RouteError};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_TABLE: u16 = 10 << 8;
const GET_TABLE: u16 = 10 << 8 | 1;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAIN: u16 = 10 << 8 | 4;
const GET_RULE: u16 = 10 << 8 | 7;
const GET_ELEMENTS: u16 = 10 << 8 | 0x0d;
const NEW_OBJECT: u16 = 10 << 8 | 0x12;
const GET_OBJECT: u16 = 10 << 8 | 0x13;

/// How the gate was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As these settings want it: the table awake, the chain on its hook, our rules and no others, our
    /// sets filled.
    Standing,
    /// Missing or not as it should be.
    Damaged,
    /// The name belongs to a table of somebody else.
    Foreign,
}

/// Looks at table, chain, rules and sets.
///
/// # Errors
/// When netlink fails.
pub(super) async fn state(
    netfilter: &mut Channel,
    gate: &GateSettings,
    spared: Option<&Spared>,
) -> Result<State, RouteError> {
    let frame = frame(netfilter, gate).await?;
    if frame != State::Standing {
        return Ok(frame);
    }
    if rules_stand(netfilter, gate).await? && sets_stand(netfilter, gate, spared).await? {
        Ok(State::Standing)
    } else {
        Ok(State::Damaged)
    }
}

/// Reads the counter of packets to the SIP ports; `None` when there is none.
///
/// # Errors
/// When netlink fails.
pub(super) async fn packets(
    netfilter: &mut Channel,
    gate: &GateSettings,
) -> Result<Option<u64>, RouteError> {
    let mut batch = Batch::default();
    let mut payload = Vec::new();
    OpGetobjDo::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes())
        .push_name_bytes(COUNTER)
        .push_type(ObjectType::Counter as u32);
    batch.raw(GET_OBJECT, 0, &payload);
    let mut packets = None;
    netfilter
        .exchange(batch, |_, reply| {
            if let Reply::Object(NEW_OBJECT, payload) = reply {
                let (_, object) = OpGetobjDo::decode_request(payload);
                if let Ok(ObjData::Counter(counter)) = object.get_data() {
                    packets = counter.get_packets().ok();
                }
            }
        })
        .await?;
    Ok(packets)
}

/// Packets of banned sources that the gate has dropped since it was set.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(super) async fn dropped(
    netfilter: &mut Channel,
    gate: &GateSettings,
) -> Result<u64, RouteError> {
    let ours = [Rule::DropIpv6, Rule::DropIpv4].map(|rule| rule.user_data(gate));
    // By handle: a dump that is read twice counts nothing twice.
    let mut by_handle = BTreeMap::new();
    let outcome = netfilter
        .dump(
            || all_rules(gate),
            |_, payload| {
                let (_, rule) = OpGetruleDump::decode_request(payload);
                let user_data = rule.get_userdata().unwrap_or_default();
                if ours.iter().any(|ours| ours == user_data)
                    && let (Ok(handle), Ok(list)) = (rule.get_handle(), rule.get_expressions())
                {
                    let packets =
                        list.get_elem().find_map(|expression| match expression.get_data() {
                            Ok(ExprOps::Counter(total)) => total.get_packets().ok(),
                            Ok(_) | Err(_) => None,
                        });
                    by_handle.insert(handle, packets.unwrap_or(0));
                }
            },
        )
        .await?;
    match outcome {
        Dump::Complete => Ok(by_handle.into_values().fold(0, u64::saturating_add)),
        Dump::Refused(refusal) => Err(super::refused("read the nftables gate", &refusal)),
    }
}

fn all_rules(gate: &GateSettings) -> Batch {
    let mut batch = Batch::default();
    let mut payload = Vec::new();
    OpGetruleDump::encode_request(&mut payload, &header())
        .push_table_bytes(gate.table_name.as_bytes());
    batch.raw(GET_RULE, NLM_F_DUMP, &payload);
    batch
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
    let outcome = netfilter
        .dump(
            || all_rules(gate),
            |_, payload| {
                let (_, rule) = OpGetruleDump::decode_request(payload);
                if let Ok(handle) = rule.get_handle() {
                    let chain = rule.get_chain().map(CStr::to_bytes).unwrap_or_default();
                    let user_data = rule.get_userdata().unwrap_or_default();
                    found.insert(handle, (chain.to_vec(), user_data.to_vec()));
                }
            },
        )
        .await?;
    let wanted = Rule::all(gate).into_iter();
    stands(outcome, || {
        found.into_values().eq(wanted.map(|rule| (rule.chain().to_vec(), rule.user_data(gate))))
    })
}

/// Whether the sets hold what is ours to say. That they exist, the rules prove that look into them.
async fn sets_stand(
    netfilter: &mut Channel,
    gate: &GateSettings,
    spared: Option<&Spared>,
) -> Result<bool, RouteError> {
    for set in Set::all(gate) {
        let Some(wanted) = set.content(gate, spared) else { continue };
        let mut found = BTreeSet::new();
        let request = || {
            let mut batch = Batch::default();
            let mut payload = Vec::new();
            OpGetsetelemDump::encode_request(&mut payload, &header())
                .push_table_bytes(gate.table_name.as_bytes())
                .push_set_bytes(set.name());
            batch.raw(GET_ELEMENTS, NLM_F_DUMP, &payload);
            batch
        };
        let outcome = netfilter.dump(request, |_, payload| found.extend(elements(payload))).await?;
        if !stands(outcome, || found == wanted)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Judges a dump: what is not there does not stand.
fn stands(outcome: Dump, is_right: impl FnOnce() -> bool) -> Result<bool, RouteError> {
    match outcome {
        Dump::Complete => Ok(is_right()),
        Dump::Refused(refusal) if refusal.errno == Errno::ENOENT => Ok(false),
        Dump::Refused(refusal) => Err(super::refused("read the nftables gate", &refusal)),
    }
}

fn elements(payload: &[u8]) -> Vec<Element> {
    let (_, list) = OpGetsetelemDump::decode_request(payload);
    let Ok(list) = list.get_elements() else { return Vec::new() };
    let element = |element: IterableSetelemAttrs<'_>| {
        let data = element.get_key().ok()?;
        let key = data.get_value().ok()?.iter().fold(0, |key, byte| key << 8 | u128::from(*byte));
        let flags = element.get_flags().ok().and_then(<[u8]>::first_chunk);
        let flags = flags.map_or(0, |flags| u32::from_be_bytes(*flags));
        Some(Element { key, is_end: flags & SetElemFlags::IntervalEnd as u32 != 0 })
    };
    list.get_elem().filter_map(element).collect()
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
