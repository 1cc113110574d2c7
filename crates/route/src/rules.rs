//! Our policy rules (`ip rule`) and the fallback route that the gate's rule leads to.

use std::fmt;
use std::net::Ipv4Addr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable};
use netlink_packet_route::route::{RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use rtnetlink::RouteMessageBuilder;

use crate::blackhole::{self, Filter, Route};
use crate::links::LOOPBACK;
use crate::netlink::{Batch, Channel, Refusal, Reply};
use crate::policy_rules::{dump, refused};
use crate::{GateSettings, RouteError};

/// What marks a rule: `ip rule add pref PREFERENCE [fwmark MARK/MARK] lookup TABLE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    family: AddressFamily,
    preference: u32,
    mark: Option<u32>,
    table: u32,
}

/// The rule that the gate needs: an IPv4 source that no other rule found a route for gets one, so that
/// only a blackhole is "no route".
pub(crate) fn for_gate(gate: &GateSettings) -> Rule {
    Rule {
        family: AddressFamily::Inet,
        preference: gate.rule_preference,
        mark: Some(gate.mark),
        table: gate.fallback_table,
    }
}

/// Adds the rules that are missing; returns how many were. On a host without IPv6 none of it is missing.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn ensure(
    channel: &mut Channel,
    protocol: u8,
    wanted: &[Rule],
) -> Result<usize, RouteError> {
    let present = ours(channel, protocol).await?;
    let missing: Vec<Rule> =
        wanted.iter().filter(|rule| !present.contains(rule)).copied().collect();
    let mut added = 0;
    for rule in &missing {
        let mut batch = Batch::default();
        let message = RouteNetlinkMessage::NewRule(rule.message(protocol));
        batch.route(NLM_F_CREATE | NLM_F_EXCL, message);
        match execute(channel, batch).await? {
            None => added += 1,
            Some(refusal)
                if rule.family == AddressFamily::Inet6
                    && matches!(refusal.errno, Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP) => {}
            // The kernel compares everything but the protocol: the same rule, set by somebody else.
            Some(refusal) if refusal.errno == Errno::EEXIST => {}
            Some(refusal) => return Err(refused(format!("add the rule `{rule}`"), &refusal)),
        }
    }
    Ok(added)
}

/// All rules with our protocol number.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn ours(channel: &mut Channel, protocol: u8) -> Result<Vec<Rule>, RouteError> {
    let mut found = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        dump(channel, family, |payload| {
            let rule = Rule::read(payload, protocol);
            found.extend(rule.filter(|rule| !found.contains(rule)));
        })
        .await?;
    }
    Ok(found)
}

/// Removes a rule; returns whether it was there.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn remove(
    channel: &mut Channel,
    protocol: u8,
    rule: Rule,
) -> Result<bool, RouteError> {
    let mut batch = Batch::default();
    batch.route(0, RouteNetlinkMessage::DelRule(rule.message(protocol)));
    match execute(channel, batch).await? {
        None => Ok(true),
        Some(refusal) if matches!(refusal.errno, Errno::ENOENT | Errno::ESRCH) => Ok(false),
        Some(refusal) => Err(refused(format!("remove the rule `{rule}`"), &refusal)),
    }
}

/// Adds `default dev lo` to the gate's fallback table; returns whether it was missing.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn ensure_fallback(
    channel: &mut Channel,
    protocol: u8,
    gate: &GateSettings,
) -> Result<bool, RouteError> {
    if has_fallback(channel, protocol, gate).await? {
        return Ok(false);
    }
    let mut batch = Batch::default();
    let message = RouteNetlinkMessage::NewRoute(fallback(protocol, gate));
    batch.route(NLM_F_CREATE | NLM_F_EXCL, message);
    match execute(channel, batch).await? {
        None => Ok(true),
        Some(refusal) => {
            let what = format!("add `default dev lo table {}`", gate.fallback_table);
            Err(refused(what, &refusal))
        }
    }
}

/// Whether the gate's fallback route is there.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn has_fallback(
    channel: &mut Channel,
    protocol: u8,
    gate: &GateSettings,
) -> Result<bool, RouteError> {
    let mut present = false;
    let filter = Filter {
        protocol: Some(protocol),
        table: Some(gate.fallback_table),
        kind: Some(RouteType::Unicast),
    };
    blackhole::dump(channel, filter, |route| {
        present |= is_fallback(&route, gate);
    })
    .await?;
    Ok(present)
}

/// Removes the fallback route; returns whether it was there.
///
/// # Errors
/// When netlink fails or the kernel refuses.
pub(crate) async fn remove_fallback(
    channel: &mut Channel,
    protocol: u8,
    gate: &GateSettings,
) -> Result<bool, RouteError> {
    let mut batch = Batch::default();
    batch.route(0, RouteNetlinkMessage::DelRoute(fallback(protocol, gate)));
    match execute(channel, batch).await? {
        None => Ok(true),
        Some(refusal) if matches!(refusal.errno, Errno::ENOENT | Errno::ESRCH) => Ok(false),
        Some(refusal) => {
            let what = format!("remove `default dev lo table {}`", gate.fallback_table);
            Err(refused(what, &refusal))
        }
    }
}

/// Whether a route is the gate's fallback.
pub(crate) fn is_fallback(route: &Route, gate: &GateSettings) -> bool {
    route.table == gate.fallback_table
        && route.kind == RouteType::Unicast
        && route.net.prefix_len() == 0
        && route.interface == Some(LOOPBACK)
}

impl Rule {
    /// A rule that leads all packets of a family to a table.
    pub(crate) fn to_table(family: AddressFamily, preference: u32, table: u32) -> Self {
        Self { family, preference, mark: None, table }
    }

    pub(crate) fn table(&self) -> u32 {
        self.table
    }

    pub(crate) fn preference(&self) -> u32 {
        self.preference
    }

    /// Whether it leads marked packets to a gate's fallback, of these settings or others.
    pub(crate) fn is_for_gate(&self) -> bool {
        self.mark.is_some()
    }

    /// Reads the payload of an `RTM_NEWRULE`; `None` when it does not carry `protocol`.
    fn read(payload: &[u8], protocol: u8) -> Option<Self> {
        let message = RuleMessage::parse(payload).ok()?;
        let mut rule = Self {
            family: message.header.family,
            preference: 0,
            mark: None,
            table: message.header.table.into(),
        };
        let mut carried = None;
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(preference) => rule.preference = *preference,
                RuleAttribute::FwMark(mark) => rule.mark = Some(*mark),
                RuleAttribute::Table(table) => rule.table = *table,
                RuleAttribute::Protocol(number) => carried = Some(u8::from(*number)),
                _ => {}
            }
        }
        (carried == Some(protocol)).then_some(rule)
    }

    fn message(&self, protocol: u8) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = self.family;
        message.header.action = RuleAction::ToTable;
        message.attributes = vec![
            RuleAttribute::Priority(self.preference),
            RuleAttribute::Table(self.table),
            RuleAttribute::Protocol(RouteProtocol::from(protocol)),
        ];
        if let Some(mark) = self.mark {
            message.attributes.extend([RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mark)]);
        }
        message
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.family == AddressFamily::Inet6 { "-6 " } else { "" };
        write!(f, "ip {family}rule pref {}", self.preference)?;
        if let Some(mark) = self.mark {
            write!(f, " fwmark {mark:#x}/{mark:#x}")?;
        }
        write!(f, " lookup {}", self.table)
    }
}

fn fallback(protocol: u8, gate: &GateSettings) -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .table_id(gate.fallback_table)
        .output_interface(LOOPBACK)
        .protocol(RouteProtocol::from(protocol))
        .scope(RouteScope::Link)
        .build()
}

async fn execute(channel: &mut Channel, batch: Batch) -> Result<Option<Refusal>, RouteError> {
    let mut outcome = None;
    channel
        .exchange(batch, |_, reply| {
            if let Reply::Refused(refusal) = reply {
                outcome = Some(refusal);
            }
        })
        .await?;
    Ok(outcome)
}
