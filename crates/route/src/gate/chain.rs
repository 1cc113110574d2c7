//! The chains of the gate.

use netlink_bindings::nftables::OpNewchainDo;
use netlink_packet_core::NLM_F_CREATE;

use super::expression;
use super::family::Transport;
use super::message::{POLICY, comment, header};
use crate::netlink::Batch;
use crate::{GateSettings, ShieldSettings};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_CHAIN: u16 = 10 << 8 | 3;
/// `NFTA_CHAIN_USERDATA` (since Linux 5.10); the bindings' number is one too low.
pub(super) const CHAIN_USERDATA: u16 = 12;
/// `NF_INET_PRE_ROUTING` and `NF_INET_LOCAL_OUT`.
const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
/// `NF_IP_PRI_RAW`: before connection tracking, so that a flood fills no table.
pub(super) const PRIORITY: i32 = -300;

/// A chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// What every arriving packet passes.
    Gate,
    /// What every packet that leaves passes: who is challenged.
    Challenges,
    /// Packets to the SIP ports.
    Sip(Transport),
    /// First packets of strangers' TCP connections.
    NewTcp,
    /// Packets of healthy hosts within their own limits.
    Healthy(Transport),
    /// Packets of unlimited hosts.
    Unlimited,
    /// What slowed hosts send above their limit.
    Slowed,
}

impl Chain {
    /// The chains these settings need.
    pub(super) fn all(gate: &GateSettings) -> Vec<Self> {
        let mut all = vec![Self::Gate];
        if gate.counts() {
            all.extend(Transport::BOTH.map(Self::Sip));
        }
        if let Some(shield) = gate.effective_shield() {
            all.extend(Transport::BOTH.map(Self::Healthy));
            all.extend([Self::NewTcp, Self::Unlimited, Self::Slowed]);
            if shield.packets.is_some() {
                all.push(Self::Challenges);
            }
        }
        all
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Challenges => "challenges",
            Self::Sip(Transport::Udp) => "sip_udp",
            Self::Sip(Transport::Tcp) => "sip_tcp",
            Self::NewTcp => "new_tcp",
            Self::Healthy(Transport::Udp) => "healthy_udp",
            Self::Healthy(Transport::Tcp) => "healthy_tcp",
            Self::Unlimited => "unlimited",
            Self::Slowed => "slowed",
        }
    }

    /// The hook of a chain that packets meet by themselves.
    pub(super) fn hook(self) -> Option<u32> {
        match self {
            Self::Gate => Some(PREROUTING),
            Self::Challenges => Some(OUTPUT),
            Self::Sip(_) | Self::NewTcp | Self::Healthy(_) | Self::Unlimited | Self::Slowed => None,
        }
    }

    /// The chain's user data: a comment for people. The one of the shield names all its numbers, by
    /// which we know whether they are those of the settings.
    pub(super) fn user_data(self, gate: &GateSettings) -> Vec<u8> {
        let text = match self {
            Self::Gate => "sipward: what arrives".to_owned(),
            Self::Challenges => "sipward: who is challenged gets through next".to_owned(),
            Self::Sip(Transport::Udp) => {
                gate.effective_shield().map_or_else(|| "sipward: SIP over UDP".to_owned(), numbers)
            }
            Self::Sip(Transport::Tcp) => "sipward: SIP over TCP, TLS, WebSockets".to_owned(),
            Self::NewTcp => "sipward: strangers' new TCP connections".to_owned(),
            Self::Healthy(Transport::Udp) => "sipward: healthy hosts, UDP".to_owned(),
            Self::Healthy(Transport::Tcp) => "sipward: healthy hosts, TCP".to_owned(),
            Self::Unlimited => "sipward: unlimited hosts".to_owned(),
            Self::Slowed => "sipward: above 1/s from slowed hosts".to_owned(),
        };
        comment(&text)
    }

    pub(super) fn create(self, batch: &mut Batch, gate: &GateSettings) {
        let mut payload = Vec::new();
        let chain = OpNewchainDo::encode_request(&mut payload, &header())
            .push_table_bytes(gate.table_name.as_bytes())
            .push_name_bytes(self.name().as_bytes());
        if let Some(hook) = self.hook() {
            drop(
                chain
                    .nested_hook()
                    .push_num(hook)
                    .push_priority(PRIORITY)
                    .end_nested()
                    .push_policy(POLICY)
                    .push_type_bytes(b"filter"),
            );
        } else {
            drop(chain);
        }
        expression::append(&mut payload, CHAIN_USERDATA, &self.user_data(gate));
        batch.raw(NEW_CHAIN, NLM_F_CREATE, &payload);
    }
}

/// All numbers of a shield. `nft` shows comments of up to 127 bytes, which only huge numbers exceed.
fn numbers(shield: &ShieldSettings) -> String {
    let ShieldSettings { packets, connections, tcp_bytes, own, healthy, unlimited } = *shield;
    let off =
        |value: Option<u32>| value.map_or_else(|| "off".to_owned(), |value| value.to_string());
    format!(
        "sipward: all {}/s {}/s {}B/s; each {}/s {}/s {}B/s; healthy {}/s {} {}B/s, {}/s {}B/s, \
         {}/s {}B/s; {}",
        off(packets),
        off(connections),
        off(tcp_bytes),
        own.packets,
        own.connections,
        own.tcp_bytes,
        healthy.packets,
        healthy.burst,
        healthy.tcp_bytes,
        off(healthy.together),
        off(healthy.together_tcp_bytes),
        healthy.guaranteed,
        healthy.guaranteed_tcp_bytes,
        off(unlimited),
    )
}
