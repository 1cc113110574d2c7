//! The rules of the gate, in order.

use netlink_bindings::nftables::{CmpOps, OpNewruleDo, VerdictCode};
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use netlink_packet_route::route::RouteType;

use super::banned::{Banned, flow_in};
use super::chain::Chain;
use super::expression::{self as nft, End, List};
use super::family::{Family, Transport};
use super::limits;
use super::message::{comment, header};
use super::objects::{Budget, Counter, Limit};
use super::sets::Set;
use super::stateful::{self, Rate};
use crate::links::LOOPBACK;
use crate::netlink::Batch;
use crate::{GateSettings, ShieldSettings};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_RULE: u16 = 10 << 8 | 6;
/// Packets that a stranger may send after a challenge: a REGISTER or INVITE with its answer, an ACK, and
/// a repetition of each.
const GRANTED_PACKETS: u32 = 4;

/// What FreeSWITCH's challenges begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Unauthorized,
    ProxyAuthentication,
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    PassLoopback,
    Drop(Banned),
    DropIpv6,
    DropIpv4,
    ClearMark,
    ToSip(Transport),
    CountSip(Transport),
    ToHealthyFlows(Transport, Family),
    ToUnlimited(Transport, Family),
    Slow(Transport, Family),
    ToHealthy(Transport, Family),
    CountStranger(Transport, Family),
    CountStrangers(Transport),
    ToNewTcp,
    Own(Budget, Family),
    PassWithoutBudget(Budget),
    PassGranted(Family),
    PassNewcomer(Family),
    PassBudget(Budget),
    DropBudget(Budget, Family),
    PassHealthy(Transport),
    PassEven(Family),
    PassGuaranteed(Transport, Family),
    CountUnlimited,
    PassUnlimited,
    DropUnlimited(Family),
    CountSlowed(Family),
    DropSlowed(Family),
    LeaveOthers,
    LeaveOtherPorts,
    Grant(Challenge, Family),
}

impl Rule {
    /// The rules these settings need, in order of chains and within each.
    pub(super) fn all(gate: &GateSettings) -> Vec<Self> {
        let mut all = vec![Self::PassLoopback];
        all.extend(Banned::everywhere().map(Self::Drop));
        all.extend([Self::DropIpv6, Self::DropIpv4, Self::ClearMark]);
        if gate.counts() {
            all.extend(Transport::BOTH.map(Self::ToSip));
            for transport in Transport::BOTH {
                all.extend(Banned::at_sip(transport).map(Self::Drop));
                all.push(Self::CountSip(transport));
            }
        }
        if let Some(shield) = gate.effective_shield() {
            Self::shield(&mut all, shield);
        }
        all
    }

    fn shield(all: &mut Vec<Self>, shield: &ShieldSettings) {
        for transport in Transport::BOTH {
            all.extend(Family::BOTH.map(|family| Self::ToUnlimited(transport, family)));
            all.extend(Family::BOTH.map(|family| Self::ToHealthyFlows(transport, family)));
            all.extend(Family::BOTH.map(|family| Self::Slow(transport, family)));
            all.extend(Family::BOTH.map(|family| Self::ToHealthy(transport, family)));
            all.push(Self::CountStrangers(transport));
            all.extend(Family::BOTH.map(|family| Self::CountStranger(transport, family)));
            if transport == Transport::Tcp {
                all.push(Self::ToNewTcp);
            }
            let budget = match transport {
                Transport::Udp => Budget::Packets,
                Transport::Tcp => Budget::Tcp,
            };
            Self::limit_strangers(all, shield, budget);
        }
        Self::limit_strangers(all, shield, Budget::Connections);
        for transport in Transport::BOTH {
            if limits::together(transport, shield).is_some() {
                all.extend(Family::BOTH.map(|family| Self::PassGuaranteed(transport, family)));
                if transport == Transport::Udp {
                    all.extend(Family::BOTH.map(Self::PassEven));
                }
            }
            all.push(Self::PassHealthy(transport));
        }
        all.extend([Self::CountUnlimited, Self::PassUnlimited]);
        if shield.unlimited.is_some() {
            all.extend(Family::BOTH.map(Self::DropUnlimited));
        }
        all.extend(Family::BOTH.map(Self::CountSlowed));
        all.extend(Family::BOTH.map(Self::DropSlowed));
        if shield.packets.is_some() {
            all.extend([Self::LeaveOthers, Self::LeaveOtherPorts]);
            for challenge in [Challenge::Unauthorized, Challenge::ProxyAuthentication] {
                all.extend(Family::BOTH.map(|family| Self::Grant(challenge, family)));
            }
        }
    }

    fn limit_strangers(all: &mut Vec<Self>, shield: &ShieldSettings, budget: Budget) {
        all.extend(Family::BOTH.map(|family| Self::Own(budget, family)));
        if !budget.is_on(shield) {
            return;
        }
        all.push(Self::PassWithoutBudget(budget));
        if budget == Budget::Packets {
            all.extend(Family::BOTH.map(Self::PassGranted));
            all.extend(Family::BOTH.map(Self::PassNewcomer));
        }
        all.push(Self::PassBudget(budget));
        all.extend(Family::BOTH.map(|family| Self::DropBudget(budget, family)));
    }

    pub(super) fn chain(self) -> Chain {
        match self {
            Self::PassLoopback
            | Self::DropIpv6
            | Self::DropIpv4
            | Self::ClearMark
            | Self::ToSip(_) => Chain::Gate,
            Self::Drop(banned) => banned.chain(),
            Self::CountSip(transport)
            | Self::ToHealthyFlows(transport, _)
            | Self::ToUnlimited(transport, _)
            | Self::Slow(transport, _)
            | Self::ToHealthy(transport, _)
            | Self::CountStranger(transport, _)
            | Self::CountStrangers(transport) => Chain::Sip(transport),
            Self::ToNewTcp => Chain::Sip(Transport::Tcp),
            Self::Own(budget, _)
            | Self::PassWithoutBudget(budget)
            | Self::PassBudget(budget)
            | Self::DropBudget(budget, _) => match budget {
                Budget::Packets => Chain::Sip(Transport::Udp),
                Budget::Connections => Chain::NewTcp,
                Budget::Tcp => Chain::Sip(Transport::Tcp),
            },
            Self::PassGranted(_) | Self::PassNewcomer(_) => Chain::Sip(Transport::Udp),
            Self::PassHealthy(transport) | Self::PassGuaranteed(transport, _) => {
                Chain::Healthy(transport)
            }
            Self::PassEven(_) => Chain::Healthy(Transport::Udp),
            Self::CountUnlimited | Self::PassUnlimited | Self::DropUnlimited(_) => Chain::Unlimited,
            Self::CountSlowed(_) | Self::DropSlowed(_) => Chain::Slowed,
            Self::LeaveOthers | Self::LeaveOtherPorts | Self::Grant(..) => Chain::Challenges,
        }
    }

    /// The rule's user data: a comment for people, by which we recognise it again.
    pub(super) fn user_data(self, gate: &GateSettings) -> Vec<u8> {
        comment(&match self {
            Self::PassLoopback => "sipward: own traffic passes".to_owned(),
            Self::Drop(banned) => banned.comment(),
            Self::ToHealthyFlows(_, family) => {
                format!("sipward: {} flows of registered phones", family.name())
            }
            Self::DropIpv6 => "sipward: banned IPv6 sources".to_owned(),
            Self::DropIpv4 => format!("sipward: banned IPv4 sources, mark {:#x}", gate.mark),
            Self::ClearMark => format!("sipward: clear mark {:#x}", gate.mark),
            Self::ToSip(Transport::Udp) => "sipward: SIP over UDP".to_owned(),
            Self::ToSip(Transport::Tcp) => "sipward: SIP over TCP, TLS, WebSockets".to_owned(),
            Self::CountSip(_) => "sipward: count SIP packets".to_owned(),
            Self::ToUnlimited(_, family) => {
                format!("sipward: unlimited {} hosts", family.name())
            }
            Self::Slow(_, family) => format!("sipward: above 1/s from a slowed {}", family.host()),
            Self::ToHealthy(_, family) => {
                format!("sipward: healthy {} hosts within their limits", family.name())
            }
            Self::CountStrangers(_) => "sipward: strangers from here on".to_owned(),
            Self::CountStranger(_, family) => {
                format!("sipward: count for each {}", family.host())
            }
            Self::ToNewTcp => "sipward: new connections".to_owned(),
            Self::Own(budget, family) => {
                format!("sipward: too {} from one {}", much(budget), family.host())
            }
            Self::PassWithoutBudget(_) => {
                "sipward: no budget while the healthy are not known".to_owned()
            }
            Self::PassGranted(family) => {
                format!("sipward: {} strangers just challenged", family.name())
            }
            Self::PassNewcomer(family) => format!("sipward: {} newcomers", family.name()),
            Self::PassBudget(_) => "sipward: all strangers together".to_owned(),
            Self::DropBudget(budget, family) => {
                format!("sipward: too {} from all strangers, {}", much(budget), family.name())
            }
            Self::PassEven(family) => {
                format!("sipward: {} hosts that send evenly", family.name())
            }
            Self::PassHealthy(_) => "sipward: all healthy hosts together".to_owned(),
            Self::PassGuaranteed(_, family) => {
                format!("sipward: guaranteed to each {}", family.host())
            }
            Self::CountUnlimited => "sipward: count packets of unlimited hosts".to_owned(),
            Self::PassUnlimited => "sipward: unlimited hosts pass".to_owned(),
            Self::DropUnlimited(family) => {
                format!("sipward: too many packets of unlimited hosts, {}", family.name())
            }
            Self::CountSlowed(family) => {
                format!("sipward: count for each slowed {}", family.host())
            }
            Self::DropSlowed(family) => format!("sipward: above 1/s, {}", family.name()),
            Self::LeaveOthers => "sipward: challenges are sent over UDP".to_owned(),
            Self::LeaveOtherPorts => "sipward: and from a SIP port".to_owned(),
            Self::Grant(challenge, family) => format!(
                "sipward: 4 packets for an {} that got a {}",
                family.host(),
                challenge.code()
            ),
        })
    }

    pub(super) fn create(self, batch: &mut Batch, gate: &GateSettings) {
        let mut payload = Vec::new();
        let attributes = OpNewruleDo::encode_request(&mut payload, &header())
            .push_table_bytes(gate.table_name.as_bytes())
            .push_chain_bytes(self.chain().name().as_bytes());
        let list = self.expressions(attributes.nested_expressions(), gate);
        drop(list.end_nested().push_userdata(&self.user_data(gate)));
        batch.raw(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, &payload);
    }

    fn expressions<'a>(self, list: List<'a>, gate: &GateSettings) -> List<'a> {
        let shield = gate.shield.unwrap_or_default();
        match self {
            Self::PassLoopback => accept(nft::interface_is(list, LOOPBACK)),
            Self::DropIpv6 => {
                let list = nft::family_is(list, Family::V6);
                drop_all(nft::count(nft::source_type(list, CmpOps::Eq, RouteType::BlackHole)))
            }
            Self::DropIpv4 => drop_unanswerable(list, gate),
            Self::ClearMark => nft::set_mark(nft::family_is(list, Family::V4), !gate.mark, 0),
            Self::ToSip(transport) => {
                let list = nft::transport_is(list, transport.number());
                let list = nft::port_in(list, Set::SipPorts.name());
                go_to(list, Chain::Sip(transport))
            }
            Self::Drop(banned) => drop_all(nft::count(banned.find(list))),
            Self::ToHealthyFlows(transport, family) => {
                let list = flow_in(list, family, Set::KeptFlows(transport, family));
                nft::to_chain(list, VerdictCode::Jump, Chain::Healthy(transport).name())
            }
            Self::CountSip(_) => nft::count_in(list, Counter::Sip.name()),
            Self::ToUnlimited(_, family) => {
                let list = nft::address(nft::family_is(list, family), family, End::Source);
                go_to(nft::is_in(list, Set::Unlimited(family).name()), Chain::Unlimited)
            }
            Self::Slow(transport, family) => {
                let list = nft::is_in(source(list, family), Set::Slowed(transport, family).name());
                nft::to_chain(list, VerdictCode::Goto, Chain::Slowed.name())
            }
            Self::DropSlowed(family) => {
                drop_in(nft::family_is(list, family), Counter::Slowed(family))
            }
            Self::ToHealthy(transport, family) => {
                let list = nft::is_in(source(list, family), Set::Healthy(transport, family).name());
                nft::to_chain(list, VerdictCode::Jump, Chain::Healthy(transport).name())
            }
            Self::CountStrangers(_) => nft::count_in(list, Counter::Strangers.name()),
            Self::CountStranger(_, family) | Self::CountSlowed(family) => {
                stateful::count_for(source(list, family), Set::Counted(family).name())
            }
            Self::ToNewTcp => {
                let list = nft::transport_is(list, Transport::Tcp.number());
                go_to(nft::opens_connection(list), Chain::NewTcp)
            }
            Self::Own(budget, family) => {
                let (set, rate) = (Set::Own(budget, family), limits::own(budget, &shield));
                let list = stateful::meter(source(list, family), set.name(), rate);
                drop_in(list, Counter::Own(budget, family))
            }
            Self::PassWithoutBudget(_) => accept(nft::transport_not_in(list, Set::Budgets.name())),
            Self::PassGranted(family) => {
                let list = nft::is_in(source(list, family), Set::Granted(family).name());
                pass_newcomer(list)
            }
            Self::PassNewcomer(family) => pass_first(list, family),
            Self::PassBudget(budget) => accept(nft::limit(list, Limit::Strangers(budget).name())),
            Self::DropBudget(budget, family) => {
                drop_in(nft::family_is(list, family), Counter::Budget(budget, family))
            }
            Self::PassHealthy(transport) => {
                let list = match limits::together(transport, &shield) {
                    Some(_) => nft::limit(list, Limit::Healthy(transport).name()),
                    None => list,
                };
                accept(nft::count_in(list, Counter::Healthy.name()))
            }
            Self::PassGuaranteed(transport, family) => {
                let (set, rate) =
                    (Set::Guaranteed(transport, family), limits::guaranteed(transport, &shield));
                let list = stateful::meter(source(list, family), set.name(), rate);
                accept(nft::count_in(list, Counter::Healthy.name()))
            }
            Self::PassEven(family) => pass_even(list, family, &shield),
            Self::CountUnlimited => nft::count_in(list, Counter::Unlimited.name()),
            Self::PassUnlimited => accept(match shield.unlimited {
                Some(_) => nft::limit(list, Limit::Unlimited.name()),
                None => list,
            }),
            Self::DropUnlimited(family) => {
                drop_in(nft::family_is(list, family), Counter::UnlimitedOver(family))
            }
            Self::LeaveOthers => accept(nft::transport_is_not(list, Transport::Udp.number())),
            Self::LeaveOtherPorts => accept(nft::source_port_not_in(list, Set::SipPorts.name())),
            Self::Grant(challenge, family) => grant(list, challenge, family),
        }
    }
}

impl Challenge {
    fn code(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::ProxyAuthentication => 407,
        }
    }

    fn start(self) -> &'static [u8] {
        match self {
            Self::Unauthorized => b"SIP/2.0 401",
            Self::ProxyAuthentication => b"SIP/2.0 407",
        }
    }
}

/// Gives a stranger that is challenged some packets, once in a while.
fn grant(list: List<'_>, challenge: Challenge, family: Family) -> List<'_> {
    let list = nft::datagram_starts(list, challenge.start());
    let to = |list| nft::host(list, family, End::Destination);
    let healthy = Set::Healthy(Transport::Udp, family).name();
    let list = nft::is_not_in(to(nft::family_is(list, family)), healthy);
    let list = nft::is_not_in(list, Set::Challenged(family).name());
    let list = stateful::remember(list, Set::Challenged(family).name());
    // The challenge itself is counted too.
    let rate = Rate::once(GRANTED_PACKETS + 1);
    stateful::grant(list, Set::Granted(family).name(), rate)
}

/// Rules that drop what is banned or denied, each with a counter of its own.
pub(super) fn drops(gate: &GateSettings) -> Vec<Rule> {
    let is_drop = |rule: &Rule| matches!(rule, Rule::Drop(_) | Rule::DropIpv6 | Rule::DropIpv4);
    Rule::all(gate).into_iter().filter(is_drop).collect()
}

fn much(budget: Budget) -> &'static str {
    match budget {
        Budget::Packets => "many packets",
        Budget::Connections => "many connections",
        Budget::Tcp => "many bytes",
    }
}

fn source(list: List<'_>, family: Family) -> List<'_> {
    nft::host(nft::family_is(list, family), family, End::Source)
}

fn pass_even<'a>(list: List<'a>, family: Family, shield: &ShieldSettings) -> List<'a> {
    let list =
        stateful::meter(source(list, family), Set::Even(family).name(), limits::even(shield));
    let list = nft::limit(list, Limit::Even.name());
    accept(nft::count_in(list, Counter::Healthy.name()))
}

/// Drops IPv4 packets whose source has no route back: with the mark set, the look-up meets the blackhole route.
fn drop_unanswerable<'a>(list: List<'a>, gate: &GateSettings) -> List<'a> {
    let list = nft::family_is(list, Family::V4);
    let list = nft::no_way_back(nft::set_mark(list, !gate.mark, gate.mark));
    // A packet that claims one of our own addresses has no way back by any interface either,
    // but it is the kernel's to judge (`accept_local`).
    let list = nft::source_type(list, CmpOps::Neq, RouteType::Local);
    drop_all(nft::count(list))
}

/// Passes the first packet of a host that the set of the admitted does not hold, and remembers the host.
fn pass_first(list: List<'_>, family: Family) -> List<'_> {
    let set = Set::Admitted(family).name();
    let list = nft::is_not_in(source(list, family), set);
    let list = nft::limit(list, Limit::Newcomers.name());
    let list = stateful::remember(nft::host(list, family, End::Source), set);
    accept(nft::count_in(list, Counter::Newcomers.name()))
}

fn pass_newcomer(list: List<'_>) -> List<'_> {
    let list = nft::limit(list, Limit::Newcomers.name());
    accept(nft::count_in(list, Counter::Newcomers.name()))
}

fn accept(list: List<'_>) -> List<'_> {
    nft::verdict(list, VerdictCode::Accept)
}

fn drop_all(list: List<'_>) -> List<'_> {
    nft::verdict(list, VerdictCode::Drop)
}

fn drop_in(list: List<'_>, counter: Counter) -> List<'_> {
    drop_all(nft::count_in(list, counter.name()))
}

fn go_to(list: List<'_>, chain: Chain) -> List<'_> {
    nft::to_chain(list, VerdictCode::Goto, chain.name())
}
