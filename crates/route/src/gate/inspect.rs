//! Does the gate stand as we would set it?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::CStr;

use netlink_bindings::nftables::{
    ExprOps, IterableTableAttrs, OpGetchainDo, OpGetruleDump, OpGettableDo, OpGettableDump,
    TableFlags,
};
use netlink_packet_core::{NLM_F_DUMP, NlasIterator};
use nix::errno::Errno;

use super::chain::{CHAIN_USERDATA, Chain, PRIORITY};
use super::content;
use super::elements::{self, Element};
use super::family::Family;
use super::message::table_user_data;
use super::message::{POLICY, header};
use super::ranges::Ranges;
use super::rule::{self, Rule};
use super::sets::{self, Set};
use crate::netlink::{Batch, Channel, Dump, Reply};
use crate::shield::Key;
use crate::{GateSettings, RouteError};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
pub(super) const NEW_TABLE: u16 = 10 << 8;
pub(super) const GET_TABLE: u16 = 10 << 8 | 1;
const NEW_CHAIN: u16 = 10 << 8 | 3;
pub(super) const GET_CHAIN: u16 = 10 << 8 | 4;
const GET_RULE: u16 = 10 << 8 | 7;
/// Bytes of `struct nfgenmsg`.
const HEADER: usize = 4;

/// How the gate was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As these settings want it: the table awake, the chains on their hooks, our rules and no others, our
    /// sets filled.
    Standing,
    /// Missing or not as it should be.
    Damaged,
    /// Another program has a table with this name.
    Foreign,
}

/// What the sets hold as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected<'a> {
    /// The networks without a limit.
    pub(super) unlimited: Option<&'a Ranges>,
    /// The healthy hosts.
    pub(super) healthy: Option<&'a HashMap<Key, u32>>,
    /// Whether the budgets drop.
    pub(super) budgets: Option<bool>,
    /// The numbers of the shield may be others: they are FreeSWITCH's, which only a daemon knows.
    pub(super) any_numbers: bool,
}

/// Looks at table, chains, rules and sets.
///
/// # Errors
/// When netlink fails.
pub(super) async fn state(
    netfilter: &mut Channel,
    gate: &GateSettings,
    expected: Expected<'_>,
) -> Result<State, RouteError> {
    let frame = frame(netfilter, gate, expected.any_numbers).await?;
    if frame != State::Standing {
        return Ok(frame);
    }
    if rules_stand(netfilter, gate).await? && sets_stand(netfilter, gate, expected).await? {
        Ok(State::Standing)
    } else {
        Ok(State::Damaged)
    }
}

/// Packets of banned sources and denied flows that the gate has dropped since it was set.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(super) async fn dropped(
    netfilter: &mut Channel,
    gate: &GateSettings,
) -> Result<u64, RouteError> {
    let ours: Vec<_> = rule::drops(gate).iter().map(|rule| rule.user_data(gate)).collect();
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

/// The names of all our tables, also those that other settings named.
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

/// The table, and the chains: on their hooks, with their comments.
async fn frame(
    netfilter: &mut Channel,
    gate: &GateSettings,
    any_numbers: bool,
) -> Result<State, RouteError> {
    let name = gate.table_name.as_bytes();
    let chains = Chain::all(gate);
    let mut batch = Batch::default();
    let mut payload = Vec::new();
    OpGettableDo::encode_request(&mut payload, &header()).push_name_bytes(name);
    batch.raw(GET_TABLE, 0, &payload);
    for chain in &chains {
        payload.clear();
        OpGetchainDo::encode_request(&mut payload, &header())
            .push_table_bytes(name)
            .push_name_bytes(chain.name().as_bytes());
        batch.raw(GET_CHAIN, 0, &payload);
    }
    let (mut foreign, mut awake, mut standing) = (false, false, 0);
    netfilter
        .exchange(batch, |place, reply| match reply {
            Reply::Object(NEW_TABLE, payload) => {
                let (_, table) = OpGettableDo::decode_request(payload);
                foreign = table.get_userdata() != Ok(&table_user_data());
                awake = is_awake(&table);
            }
            Reply::Object(NEW_CHAIN, payload) => {
                let chain = place.checked_sub(1).and_then(|place| chains.get(place));
                let stands = chain.is_some_and(|chain| {
                    is_hooked(*chain, payload) && (any_numbers || is_named(*chain, payload, gate))
                });
                standing += usize::from(stands);
            }
            Reply::Object(..) | Reply::Done | Reply::Refused(_) => {}
        })
        .await?;
    Ok(match (foreign, awake && standing == chains.len()) {
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
        let of = |rule: Rule| (rule.chain().name().as_bytes().to_vec(), rule.user_data(gate));
        found.into_values().eq(wanted.map(of))
    })
}

/// Whether the sets hold what is ours to say. That they exist, the rules prove that look into them.
async fn sets_stand(
    netfilter: &mut Channel,
    gate: &GateSettings,
    expected: Expected<'_>,
) -> Result<bool, RouteError> {
    for set in Set::all(gate) {
        let Some(wanted) = wanted(set, gate, expected) else { continue };
        let mut found = BTreeSet::new();
        let collect = |element, _| {
            found.insert(element);
        };
        let outcome = content::read(netfilter, gate, set, collect).await?;
        if !stands(outcome, || found == wanted)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a set shall hold; `None` when that is not ours to say: packets fill it, its elements run out, or
/// nobody has said yet.
fn wanted(set: Set, gate: &GateSettings, expected: Expected<'_>) -> Option<BTreeSet<Element>> {
    Some(match set {
        // They are compared with the bans and flows, and put right one by one.
        Set::Banned(_)
        | Set::SipBanned(_)
        | Set::SipBannedNets(_)
        | Set::Denied(_)
        | Set::KeptFlows(..) => return None,
        Set::SipPorts => elements::ports(gate),
        Set::Budgets if expected.budgets? => elements::transports(),
        Set::Budgets => BTreeSet::new(),
        Set::Unlimited(Family::V4) => {
            elements::ranges(Family::V4, &expected.unlimited?.ipv4).collect()
        }
        Set::Unlimited(Family::V6) => {
            elements::ranges(Family::V6, &expected.unlimited?.ipv6).collect()
        }
        Set::Healthy(_, family) => {
            let of_family = |key: &Key| {
                let (its, value) = sets::host(*key);
                (its == family).then_some(Element::value(value))
            };
            expected.healthy?.keys().filter_map(of_family).collect()
        }
        Set::Slowed(..)
        | Set::Own(..)
        | Set::Guaranteed(..)
        | Set::Even(_)
        | Set::Counted(_)
        | Set::Challenged(_)
        | Set::Granted(_)
        | Set::Admitted(_) => return None,
    })
}

/// Judges a dump: what is not there does not stand.
fn stands(outcome: Dump, is_right: impl FnOnce() -> bool) -> Result<bool, RouteError> {
    match outcome {
        Dump::Complete => Ok(is_right()),
        Dump::Refused(refusal) if refusal.errno == Errno::ENOENT => Ok(false),
        Dump::Refused(refusal) => Err(super::refused("read the nftables gate", &refusal)),
    }
}

pub(super) fn is_awake(table: &IterableTableAttrs<'_>) -> bool {
    table.get_flags().is_ok_and(|flags| flags & TableFlags::Dormant as u32 == 0)
}

fn is_hooked(chain: Chain, payload: &[u8]) -> bool {
    let Some(wanted) = chain.hook() else { return true };
    let (_, chain) = OpGetchainDo::decode_request(payload);
    let Ok(hook) = chain.get_hook() else { return false };
    hook.get_num() == Ok(wanted)
        && hook.get_priority() == Ok(PRIORITY)
        && chain.get_policy() == Ok(POLICY)
}

fn is_named(chain: Chain, payload: &[u8], gate: &GateSettings) -> bool {
    NlasIterator::new(payload.get(HEADER..).unwrap_or_default())
        .filter_map(Result::ok)
        .find(|attribute| attribute.kind() == CHAIN_USERDATA)
        .is_some_and(|attribute| attribute.value() == chain.user_data(gate))
}
