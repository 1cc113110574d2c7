//! The gate's nftables transactions, encoded from the kernel's own specification.

use std::collections::{BTreeMap, BTreeSet};

use netlink_bindings::nftables::{OpDeltableDo, OpNewtableDo};
use netlink_packet_core::NLM_F_CREATE;

use super::chain::Chain;
use super::elements;
use super::expression::append;
use super::family::Family;
use super::message::{FAMILY, SUBSYSTEM, header, table_user_data, transaction};
use super::objects;
use super::ranges::Ranges;
use super::rule::Rule;
use super::sets::{self, Set};
use crate::GateSettings;
use crate::netlink::Batch;

const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const DELETE_CHAIN: u16 = SUBSYSTEM << 8 | 5;
const DELETE_RULES: u16 = SUBSYSTEM << 8 | 8;
const DELETE_SET: u16 = SUBSYSTEM << 8 | 0x0b;
const DELETE_OBJECT: u16 = SUBSYSTEM << 8 | 0x14;
/// `NFTA_…_TABLE`, `NFTA_CHAIN_NAME`, `NFTA_SET_NAME` and `NFTA_OBJ_NAME`, `NFTA_OBJ_TYPE`.
const TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const OTHER_NAME: u16 = 2;
const OBJECT_TYPE: u16 = 3;
/// What our table holds beside rules, by name.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) chains: BTreeSet<Vec<u8>>,
    /// With their comments and the bytes of their keys.
    pub(super) sets: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// Counters and limits, with their type.
    pub(super) objects: BTreeSet<(Vec<u8>, u32)>,
}

/// Replaces the table by a fresh one in one transaction: every packet meets the old gate or the new. The
/// new one has the unlimited networks; no healthy hosts, and no budgets in force, before those are in.
///
/// Of a table with `content` the sets in `kept` stay with what they hold; without it the whole table goes.
pub(super) fn install(
    gate: &GateSettings,
    unlimited: Option<&Ranges>,
    content: Option<&Content>,
) -> Batch {
    let kept = content.map(|content| kept(gate, content)).unwrap_or_default();
    transaction(|batch| {
        if let Some(content) = content {
            empty_table(batch, gate, content, &kept);
        } else {
            // Deleting needs a table that is there, so it is created first.
            new_table(batch, gate);
            delete_table(batch, &gate.table_name);
            new_table(batch, gate);
        }
        for chain in Chain::all(gate) {
            chain.create(batch, gate);
        }
        objects::create(batch, gate);
        sets::create(batch, gate, &kept);
        if gate.counts() {
            elements::add(batch, gate, Set::SipPorts, elements::ports(gate));
        }
        if let Some(unlimited) = unlimited.filter(|_| gate.effective_shield().is_some()) {
            for (family, ranges) in [(Family::V4, &unlimited.ipv4), (Family::V6, &unlimited.ipv6)] {
                let elements = elements::ranges(family, ranges);
                elements::add(batch, gate, Set::Unlimited(family), elements);
            }
        }
        for rule in Rule::all(gate) {
            rule.create(batch, gate);
        }
    })
}

/// The sets of bans and denied flows that are there as these settings want them.
pub(super) fn kept(gate: &GateSettings, content: &Content) -> Vec<Set> {
    let is_there = |set: &Set| {
        content.sets.get(set.name().as_bytes()).is_some_and(|(user_data, length)| {
            *user_data == sets::user_data(set.comment())
                && usize::try_from(*length).is_ok_and(|length| length == set.key_length())
        })
    };
    Set::all(gate).into_iter().filter(|set| set.is_lasting() && is_there(set)).collect()
}

/// Deletes all that a table holds, except sets that are kept.
fn empty_table(batch: &mut Batch, gate: &GateSettings, content: &Content, kept: &[Set]) {
    let table = gate.table_name.as_str();
    // Of no chain in particular: the rules of all.
    batch.raw(DELETE_RULES, 0, &named(table, None));
    for chain in &content.chains {
        batch.raw(DELETE_CHAIN, 0, &named(table, Some((CHAIN_NAME, chain))));
    }
    for set in content.sets.keys() {
        if !kept.iter().any(|kept| kept.name().as_bytes() == set) {
            batch.raw(DELETE_SET, 0, &named(table, Some((OTHER_NAME, set))));
        }
    }
    for (object, kind) in &content.objects {
        let mut payload = named(table, Some((OTHER_NAME, object)));
        append(&mut payload, OBJECT_TYPE, &kind.to_be_bytes());
        batch.raw(DELETE_OBJECT, 0, &payload);
    }
}

/// A request about something in a table.
fn named(table: &str, name: Option<(u16, &[u8])>) -> Vec<u8> {
    let mut payload = vec![FAMILY, 0, 0, 0];
    append(&mut payload, TABLE, &[table.as_bytes(), b"\0"].concat());
    if let Some((kind, name)) = name {
        append(&mut payload, kind, &[name, b"\0"].concat());
    }
    payload
}

/// Deletes a table; refused with ENOENT when there is none.
pub(super) fn remove(table: &str) -> Batch {
    transaction(|batch| delete_table(batch, table))
}

fn new_table(batch: &mut Batch, gate: &GateSettings) {
    let mut payload = Vec::new();
    OpNewtableDo::encode_request(&mut payload, &header())
        .push_name_bytes(gate.table_name.as_bytes())
        .push_flags(0)
        .push_userdata(&table_user_data());
    batch.raw(NEW_TABLE, NLM_F_CREATE, &payload);
}

fn delete_table(batch: &mut Batch, table: &str) {
    let mut payload = Vec::new();
    OpDeltableDo::encode_request(&mut payload, &header()).push_name_bytes(table.as_bytes());
    batch.raw(DELETE_TABLE, 0, &payload);
}

#[cfg(test)]
mod tests;
