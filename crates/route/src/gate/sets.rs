//! The named sets of the gate: who is banned and which flows are denied, which ports speak SIP, who is unlimited,
//! healthy or slowed, and what the packets themselves fill.

use std::time::Duration;

use netlink_bindings::nftables::{OpNewsetDo, PushSetDescAttrs, SetFlags};
use netlink_bindings::traits::Pusher;
use netlink_packet_core::NLM_F_CREATE;

use super::expression::append;
use super::family::{Family, Transport};
use super::limits::{healthy, slow, together};
use super::message::header;
use super::objects::Budget;
use super::stateful::Rate;
use crate::ban::Exact;
use crate::netlink::Batch;
use crate::shield::{Key, MOST_HEALTHY, MOST_SLOWED};
use crate::{GateSettings, ShieldSettings};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_SET: u16 = 10 << 8 | 9;
/// `NFTA_SET_EXPR`
const SET_EXPRESSION: u16 = 17;
/// `NFTNL_UDATA_SET_COMMENT`
const SET_COMMENT: u8 = 7;
/// Key types by the numbers of `nft`, which shows elements by them.
const IPV4_ADDRESS: u32 = 7;
const IPV6_ADDRESS: u32 = 8;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
/// `TYPE_BITS`: bits of each type in the number of a concatenation.
const TYPE_BITS: u32 = 6;
/// Bytes of the parts of a flow's key behind the address: the transport, the port. Each takes four.
const FLOW_PARTS: [u32; 2] = [1, 2];
/// Hosts that are remembered at once in each set that packets fill, about 200 bytes each. When a set is
/// full, hosts that are not in it are not limited by it until others have run out.
const MOST_REMEMBERED: u32 = 65_536;
/// How long the rate of a host is remembered. After one second of silence it may send a whole burst
/// again, so there is nothing left to remember; the rest spares the set churn.
const RATE_REMEMBERED: Duration = Duration::from_secs(5);
/// How long the packets of a stranger are counted, from the first on.
const COUNTED: Duration = Duration::from_secs(600);
/// From one grant to a stranger to the next.
const BETWEEN_GRANTS: Duration = Duration::from_secs(30);
/// How long a grant is good.
const GRANT: Duration = Duration::from_secs(4);
/// From one packet that a stranger may send as a newcomer to the next.
const NEWCOMER_AGAIN: Duration = Duration::from_secs(30);

/// Flows denied at once. Each takes some 150 bytes of kernel memory.
pub const MOST_DENIED: usize = 65_536;

/// Elements of the set: the kernel takes up to a second to remove those that have run out, and one whose time is
/// changed is there twice for a moment.
pub(super) const ROOM_DENIED: usize = MOST_DENIED + MOST_DENIED / 8;

/// A named set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// Banned hosts.
    Banned(Exact),
    /// Hosts that are banned from the SIP ports.
    SipBanned(Exact),
    /// Networks that are banned from the SIP ports and are no key of the sets before.
    SipBannedNets(Family),
    /// Denied flows.
    Denied(Family),
    /// Flows of live registrations, each with its own limit.
    KeptFlows(Transport, Family),
    SipPorts,
    /// The transports whose budgets are in force: none until the healthy hosts are known.
    Budgets,
    /// Networks that are not limited.
    Unlimited(Family),
    /// Healthy hosts, each with its own limit.
    Healthy(Transport, Family),
    /// Slowed hosts.
    Slowed(Transport, Family),
    /// Own limits of strangers.
    Own(Budget, Family),
    /// What is guaranteed to each healthy host.
    Guaranteed(Transport, Family),
    /// What each healthy host sends evenly above that, over UDP.
    Even(Family),
    /// Packets of each stranger.
    Counted(Family),
    /// Strangers that had a grant lately.
    Challenged(Family),
    /// Strangers with a grant.
    Granted(Family),
    /// Strangers that passed as newcomers lately.
    Admitted(Family),
}

/// How a set is filled.
enum Kind {
    /// By us, with values.
    Plain,
    /// By us, with ranges.
    Ranges,
    /// By us, with hosts that have a limit each.
    Limited { size: usize, rate: Rate, timeout: bool },
    /// By us, with flows that run out.
    Denied,
    /// By us, with flows that have a limit each.
    Kept { rate: Rate },
    /// By packets.
    Dynamic { timeout: Duration },
}

impl Set {
    /// The sets these settings need.
    pub(super) fn all(gate: &GateSettings) -> Vec<Self> {
        let mut all: Vec<Self> = Exact::ALL.map(Self::Banned).into();
        if gate.counts() {
            all.push(Self::SipPorts);
            all.extend(Exact::ALL.map(Self::SipBanned));
            for family in Family::BOTH {
                all.extend([Self::SipBannedNets(family), Self::Denied(family)]);
                all.extend(Transport::BOTH.map(|transport| Self::KeptFlows(transport, family)));
            }
        }
        let Some(shield) = gate.effective_shield() else { return all };
        all.push(Self::Budgets);
        for family in Family::BOTH {
            all.push(Self::Unlimited(family));
            for transport in Transport::BOTH {
                all.push(Self::Slowed(transport, family));
                all.push(Self::Healthy(transport, family));
                if together(transport, shield).is_some() {
                    all.push(Self::Guaranteed(transport, family));
                }
            }
            all.extend(Budget::ALL.map(|budget| Self::Own(budget, family)));
            if shield.healthy.together.is_some() {
                all.push(Self::Even(family));
            }
            all.push(Self::Counted(family));
            if shield.packets.is_some() {
                all.extend([
                    Self::Challenged(family),
                    Self::Granted(family),
                    Self::Admitted(family),
                ]);
            }
        }
        all
    }

    /// Whether its content outlives a new table: what it holds has no route that would stop it meanwhile, or is
    /// too much to be set anew each time.
    pub(super) fn is_lasting(self) -> bool {
        matches!(
            self,
            Self::Banned(_) | Self::SipBanned(_) | Self::SipBannedNets(_) | Self::Denied(_)
        )
    }

    pub(super) fn name(self) -> &'static str {
        use Budget::{Connections, Packets};
        use Family::{V4, V6};
        use Transport::{Tcp, Udp};
        match self {
            Self::Banned(Exact::Ipv4) => "banned4",
            Self::Banned(Exact::Ipv6) => "banned6",
            Self::Banned(Exact::Ipv6Net) => "banned6_64",
            Self::SipBanned(Exact::Ipv4) => "sip_banned4",
            Self::SipBanned(Exact::Ipv6) => "sip_banned6",
            Self::SipBanned(Exact::Ipv6Net) => "sip_banned6_64",
            Self::SipBannedNets(V4) => "sip_banned_nets4",
            Self::SipBannedNets(V6) => "sip_banned_nets6",
            Self::Denied(V4) => "denied4",
            Self::Denied(V6) => "denied6",
            Self::KeptFlows(Udp, V4) => "healthy_flows_udp4",
            Self::KeptFlows(Udp, V6) => "healthy_flows_udp6",
            Self::KeptFlows(Tcp, V4) => "healthy_flows_tcp4",
            Self::KeptFlows(Tcp, V6) => "healthy_flows_tcp6",
            Self::SipPorts => "sip_ports",
            Self::Budgets => "budgets",
            Self::Unlimited(V4) => "unlimited4",
            Self::Unlimited(V6) => "unlimited6",
            Self::Healthy(Udp, V4) => "healthy_udp4",
            Self::Healthy(Udp, V6) => "healthy_udp6",
            Self::Healthy(Tcp, V4) => "healthy_tcp4",
            Self::Healthy(Tcp, V6) => "healthy_tcp6",
            Self::Slowed(Udp, V4) => "slowed_udp4",
            Self::Slowed(Udp, V6) => "slowed_udp6",
            Self::Slowed(Tcp, V4) => "slowed_tcp4",
            Self::Slowed(Tcp, V6) => "slowed_tcp6",
            Self::Own(Packets, V4) => "strangers_udp4",
            Self::Own(Packets, V6) => "strangers_udp6",
            Self::Own(Connections, V4) => "strangers_new4",
            Self::Own(Connections, V6) => "strangers_new6",
            Self::Own(Budget::Tcp, V4) => "strangers_tcp4",
            Self::Own(Budget::Tcp, V6) => "strangers_tcp6",
            Self::Guaranteed(Udp, V4) => "guaranteed_udp4",
            Self::Guaranteed(Udp, V6) => "guaranteed_udp6",
            Self::Guaranteed(Tcp, V4) => "guaranteed_tcp4",
            Self::Guaranteed(Tcp, V6) => "guaranteed_tcp6",
            Self::Even(V4) => "even_udp4",
            Self::Even(V6) => "even_udp6",
            Self::Counted(V4) => "counted4",
            Self::Counted(V6) => "counted6",
            Self::Challenged(V4) => "challenged4",
            Self::Challenged(V6) => "challenged6",
            Self::Granted(V4) => "granted4",
            Self::Granted(V6) => "granted6",
            Self::Admitted(V4) => "admitted4",
            Self::Admitted(V6) => "admitted6",
        }
    }

    /// What it holds, for people.
    pub(super) fn comment(self) -> &'static str {
        match self {
            Self::Banned(_) => "sipward: banned hosts",
            Self::SipBanned(_) => "sipward: hosts banned from the SIP ports",
            Self::SipBannedNets(_) => "sipward: networks banned from the SIP ports",
            Self::Denied(_) => "sipward: denied flows, by source port",
            Self::KeptFlows(..) => "sipward: flows of registered phones, with their limits",
            Self::SipPorts => "sipward: ports on which SIP is spoken",
            Self::Budgets => "sipward: whose budgets drop; none until the healthy are known",
            Self::Unlimited(_) => "sipward: exempt hosts, trunks, access lists",
            Self::Healthy(..) => "sipward: phones that are registered or known, with their limits",
            Self::Slowed(..) => "sipward: slowed hosts",
            Self::Own(..) => "sipward: rates of strangers",
            Self::Guaranteed(..) => "sipward: what each healthy host may send in any case",
            Self::Even(_) => "sipward: what each healthy host sends evenly above that",
            Self::Counted(_) => "sipward: packets of strangers, 10 minutes each",
            Self::Challenged(_) => "sipward: strangers that FreeSWITCH challenged in the last 30 s",
            Self::Granted(_) => "sipward: strangers just challenged, 4 packets each",
            Self::Admitted(_) => "sipward: strangers that passed as newcomers in the last 30 s",
        }
    }

    /// Whether its elements are flows.
    fn holds_flows(self) -> bool {
        matches!(self, Self::Denied(_) | Self::KeptFlows(..))
    }

    fn key_type(self) -> u32 {
        let address = match (self, self.family()) {
            (Self::SipPorts, _) => SERVICE,
            (_, None) => PROTOCOL,
            (_, Some(Family::V4)) => IPV4_ADDRESS,
            (_, Some(Family::V6)) => IPV6_ADDRESS,
        };
        if self.holds_flows() {
            (address << TYPE_BITS | PROTOCOL) << TYPE_BITS | SERVICE
        } else {
            address
        }
    }

    /// Bytes of a key.
    pub(super) fn key_length(self) -> usize {
        let address = match (self, self.family()) {
            (Self::SipPorts, _) => 2,
            (_, None) => 1,
            (_, Some(Family::V4)) => 4,
            (_, Some(Family::V6)) => 16,
        };
        if self.holds_flows() { address + 4 * FLOW_PARTS.len() } else { address }
    }

    pub(super) fn family(self) -> Option<Family> {
        match self {
            Self::SipPorts | Self::Budgets => None,
            Self::Banned(exact) | Self::SipBanned(exact) => Some(Family::of(exact)),
            Self::SipBannedNets(family)
            | Self::Denied(family)
            | Self::KeptFlows(_, family)
            | Self::Unlimited(family)
            | Self::Healthy(_, family)
            | Self::Slowed(_, family)
            | Self::Own(_, family)
            | Self::Guaranteed(_, family)
            | Self::Even(family)
            | Self::Counted(family)
            | Self::Challenged(family)
            | Self::Granted(family)
            | Self::Admitted(family) => Some(family),
        }
    }

    fn kind(self, shield: &ShieldSettings) -> Kind {
        let dynamic = |timeout| Kind::Dynamic { timeout };
        match self {
            Self::Banned(_) | Self::SipBanned(_) | Self::SipPorts | Self::Budgets => Kind::Plain,
            Self::SipBannedNets(_) | Self::Unlimited(_) => Kind::Ranges,
            Self::Denied(_) => Kind::Denied,
            Self::KeptFlows(transport, _) => Kind::Kept { rate: healthy(transport, shield, 1) },
            Self::Healthy(transport, _) => {
                let rate = healthy(transport, shield, 1);
                Kind::Limited { size: MOST_HEALTHY, rate, timeout: false }
            }
            Self::Slowed(transport, _) => {
                Kind::Limited { size: MOST_SLOWED, rate: slow(transport), timeout: true }
            }
            Self::Own(..) | Self::Guaranteed(..) | Self::Even(_) => dynamic(RATE_REMEMBERED),
            Self::Counted(_) => dynamic(COUNTED),
            Self::Challenged(_) => dynamic(BETWEEN_GRANTS),
            Self::Granted(_) => dynamic(GRANT),
            Self::Admitted(_) => dynamic(NEWCOMER_AGAIN),
        }
    }

    /// Hosts that a set which packets fill holds at most. A healthy host is never without its guarantee.
    fn most(self) -> u32 {
        match self {
            Self::Guaranteed(..) | Self::Even(_) => u32::try_from(MOST_HEALTHY).unwrap_or(u32::MAX),
            _ => MOST_REMEMBERED,
        }
    }

    fn create(self, batch: &mut Batch, gate: &GateSettings, shield: &ShieldSettings, id: u32) {
        let mut payload = Vec::new();
        let set = OpNewsetDo::encode_request(&mut payload, &header())
            .push_table_bytes(gate.table_name.as_bytes())
            .push_name_bytes(self.name().as_bytes())
            .push_key_type(self.key_type())
            .push_key_len(u32::try_from(self.key_length()).unwrap_or(u32::MAX))
            .push_id(id)
            .push_userdata(&user_data(self.comment()));
        let concatenated = SetFlags::Concat as u32;
        // The bindings leave timeouts in the host's byte order; the kernel does not.
        match self.kind(shield) {
            // Without a size the kernel takes a hash table that grows.
            Kind::Plain => drop(set),
            Kind::Ranges => drop(set.push_flags(SetFlags::Interval as u32)),
            Kind::Limited { size, rate, timeout } => {
                let set = if timeout { set.push_flags(SetFlags::Timeout as u32) } else { set };
                let size = u32::try_from(size).unwrap_or(u32::MAX);
                drop(set.nested_desc().push_size(size).end_nested());
                append(&mut payload, SET_EXPRESSION, &rate.laid_out());
            }
            Kind::Denied => {
                let size = u32::try_from(ROOM_DENIED).unwrap_or(u32::MAX);
                let set = set.push_flags(concatenated | SetFlags::Timeout as u32);
                drop(self.parts(set.nested_desc().push_size(size)));
            }
            Kind::Kept { rate } => {
                drop(self.parts(set.push_flags(concatenated).nested_desc()));
                append(&mut payload, SET_EXPRESSION, &rate.laid_out());
            }
            Kind::Dynamic { timeout } => drop(
                set.push_flags(SetFlags::Eval as u32 | SetFlags::Timeout as u32)
                    .push_timeout(milliseconds(timeout).to_be())
                    .nested_desc()
                    .push_size(self.most())
                    .end_nested(),
            ),
        }
        batch.raw(NEW_SET, NLM_F_CREATE, &payload);
    }

    /// The parts of a concatenation, in bytes.
    fn parts<P: Pusher>(self, description: PushSetDescAttrs<P>) -> PushSetDescAttrs<P> {
        let rest = 4 * FLOW_PARTS.len();
        let address = u32::try_from(self.key_length().saturating_sub(rest)).unwrap_or(u32::MAX);
        let mut list = description.nested_concat();
        for length in [address].into_iter().chain(FLOW_PARTS) {
            list = list.nested_elem().push_len(length).end_nested();
        }
        list.end_nested()
    }
}

/// Creates the sets these settings need, all empty, except those that are there and `kept`.
pub(super) fn create(batch: &mut Batch, gate: &GateSettings, kept: &[Set]) {
    let shield = gate.shield.unwrap_or_default();
    let missing = Set::all(gate).into_iter().filter(|set| !kept.contains(set));
    // A number unique in the transaction, which the kernel demands.
    for (id, set) in (1..).zip(missing) {
        set.create(batch, gate, &shield, id);
    }
}

/// The key of a host, as a set of its family holds it.
pub(super) fn host(key: Key) -> (Family, u128) {
    match key {
        Key::V4(address) => (Family::V4, address.to_bits().into()),
        Key::V6(address) => (Family::V6, address.to_bits()),
    }
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The user data of a set: its comment, by which we know it again.
pub(super) fn user_data(text: &str) -> Vec<u8> {
    super::message::user_data(SET_COMMENT, text)
}
