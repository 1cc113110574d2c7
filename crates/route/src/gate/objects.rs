//! The named counters and limits of the gate.

use netlink_bindings::nftables::OpNewobjDo;
use netlink_packet_core::NLM_F_CREATE;

use super::expression::append;
use super::family::{Family, Transport};
use super::message::header;
use super::stateful::Rate;
use crate::netlink::Batch;
use crate::{GateSettings, ShieldSettings};

// linux/netfilter/nf_tables.h, in NFNL_SUBSYS_NFTABLES
const NEW_OBJECT: u16 = 10 << 8 | 0x12;
/// `NFTA_OBJ_TYPE` and `NFTA_OBJ_DATA`, and the types.
const OBJECT_TYPE: u16 = 3;
const OBJECT_DATA: u16 = 4;
const COUNTER: u32 = 1;
const LIMIT: u32 = 4;

/// What passes at once, in percent of a second's worth. The sum of all budgets with it stays below what
/// FreeSWITCH takes in any second: of 1000 requests 400 + 46 + 10 for strangers, 500 + 32 + 9 for healthy hosts.
/// Newcomers have most of it, because phones that lost their registrations at once repeat in step.
const NEWCOMERS_BURST: u32 = 23;
const STRANGERS_BURST: u32 = 5;
const EVEN_BURST: u32 = 16;
const HEALTHY_BURST: u32 = 3;
const UNLIMITED_BURST: u32 = 10;
/// Of what all healthy hosts may send, in percent: for hosts that send no more than twice what is guaranteed
/// to them. Those that send more have no part in it, so that forged packets of some phones, which come as fast
/// as their limits let them, do not crowd out the others.
const EVEN_PERCENT: u64 = 40;

/// What all strangers together may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// UDP packets.
    Packets,
    /// New TCP connections.
    Connections,
    /// Bytes of TCP.
    Tcp,
}

/// A named counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    /// All packets to the SIP ports.
    Sip,
    Unlimited,
    Healthy,
    Strangers,
    Newcomers,
    Slowed(Family),
    /// Above the own limit of a stranger.
    Own(Budget, Family),
    /// Above the budget of all strangers.
    Budget(Budget, Family),
    /// Above the limit of all unlimited hosts.
    UnlimitedOver(Family),
}

/// A named limit, which rules and families share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// The newcomers' half of the UDP packets of all strangers.
    Newcomers,
    Strangers(Budget),
    Healthy(Transport),
    /// The part of it that is for healthy hosts which send evenly.
    Even,
    Unlimited,
}

impl Budget {
    pub(super) const ALL: [Self; 3] = [Self::Packets, Self::Connections, Self::Tcp];

    /// Whether these settings have it.
    pub(super) fn is_on(self, shield: &ShieldSettings) -> bool {
        match self {
            Self::Packets => shield.packets.is_some(),
            Self::Connections => shield.connections.is_some(),
            Self::Tcp => shield.tcp_bytes.is_some(),
        }
    }
}

impl Counter {
    /// The counters these settings need.
    pub(super) fn all(gate: &GateSettings) -> Vec<Self> {
        let mut all = Vec::new();
        if gate.counts() {
            all.push(Self::Sip);
        }
        if gate.effective_shield().is_some() {
            all.extend(Self::of_shield());
        }
        all
    }

    /// The counters of a shield.
    pub(super) fn of_shield() -> Vec<Self> {
        let mut all = vec![Self::Unlimited, Self::Healthy, Self::Strangers, Self::Newcomers];
        for family in Family::BOTH {
            all.extend([Self::Slowed(family), Self::UnlimitedOver(family)]);
            for budget in Budget::ALL {
                all.extend([Self::Own(budget, family), Self::Budget(budget, family)]);
            }
        }
        all
    }

    pub(super) fn name(self) -> &'static str {
        use Budget::{Connections, Packets, Tcp};
        use Family::{V4, V6};
        match self {
            Self::Sip => "sip",
            Self::Unlimited => "unlimited",
            Self::Healthy => "healthy",
            Self::Strangers => "strangers",
            Self::Newcomers => "newcomers",
            Self::Slowed(V4) => "dropped_slowed4",
            Self::Slowed(V6) => "dropped_slowed6",
            Self::Own(Packets, V4) => "dropped_own_udp4",
            Self::Own(Packets, V6) => "dropped_own_udp6",
            Self::Own(Connections, V4) => "dropped_own_new4",
            Self::Own(Connections, V6) => "dropped_own_new6",
            Self::Own(Tcp, V4) => "dropped_own_tcp4",
            Self::Own(Tcp, V6) => "dropped_own_tcp6",
            Self::Budget(Packets, V4) => "dropped_budget_udp4",
            Self::Budget(Packets, V6) => "dropped_budget_udp6",
            Self::Budget(Connections, V4) => "dropped_budget_new4",
            Self::Budget(Connections, V6) => "dropped_budget_new6",
            Self::Budget(Tcp, V4) => "dropped_budget_tcp4",
            Self::Budget(Tcp, V6) => "dropped_budget_tcp6",
            Self::UnlimitedOver(V4) => "dropped_unlimited4",
            Self::UnlimitedOver(V6) => "dropped_unlimited6",
        }
    }
}

impl Limit {
    /// Every limit that settings can name.
    const ALL: [Self; 8] = [
        Self::Newcomers,
        Self::Strangers(Budget::Packets),
        Self::Strangers(Budget::Connections),
        Self::Strangers(Budget::Tcp),
        Self::Healthy(Transport::Udp),
        Self::Healthy(Transport::Tcp),
        Self::Even,
        Self::Unlimited,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Newcomers => "newcomers_udp",
            Self::Strangers(Budget::Packets) => "strangers_udp",
            Self::Strangers(Budget::Connections) => "strangers_new",
            Self::Strangers(Budget::Tcp) => "strangers_tcp",
            Self::Healthy(Transport::Udp) => "healthy_udp",
            Self::Healthy(Transport::Tcp) => "healthy_tcp",
            Self::Even => "even_udp",
            Self::Unlimited => "unlimited",
        }
    }

    /// What it lets through; `None` where these settings have no such limit.
    pub(super) fn rate(self, shield: &ShieldSettings) -> Option<Rate> {
        let packets = |rate: u32, percent: u32| Rate::packets(rate, burst(rate, percent));
        // One second's worth at once.
        let bytes = |rate: u32| Rate::bytes(rate, 0);
        Some(match self {
            Self::Newcomers => packets(shield.packets? / 2, NEWCOMERS_BURST),
            Self::Strangers(Budget::Packets) => {
                let all = shield.packets?;
                packets(all - all / 2, STRANGERS_BURST)
            }
            Self::Strangers(Budget::Connections) => {
                let rate = shield.connections?;
                Rate::packets(rate, rate)
            }
            Self::Strangers(Budget::Tcp) => bytes(shield.tcp_bytes?),
            Self::Healthy(Transport::Udp) => {
                let all = shield.healthy.together?;
                packets((all - even(all)).max(1), HEALTHY_BURST)
            }
            Self::Even => packets(even(shield.healthy.together?).max(1), EVEN_BURST),
            Self::Healthy(Transport::Tcp) => bytes(shield.healthy.together_tcp_bytes?),
            Self::Unlimited => packets(shield.unlimited?, UNLIMITED_BURST),
        })
    }
}

/// The part of what all healthy hosts may send that is for those which send evenly.
fn even(together: u32) -> u32 {
    u32::try_from(u64::from(together) * EVEN_PERCENT / 100).unwrap_or(u32::MAX)
}

/// What a budget of packets lets through at once, in percent of a second's worth.
fn burst(rate: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(rate) * u64::from(percent) / 100).unwrap_or(u32::MAX).max(1)
}

/// Creates the counters and limits these settings need.
pub(super) fn create(batch: &mut Batch, gate: &GateSettings) {
    for counter in Counter::all(gate) {
        create_one(batch, gate, counter.name(), COUNTER, &[]);
    }
    let Some(shield) = gate.effective_shield() else { return };
    for limit in Limit::ALL {
        if let Some(rate) = limit.rate(shield) {
            create_one(batch, gate, limit.name(), LIMIT, &rate.data());
        }
    }
}

fn create_one(batch: &mut Batch, gate: &GateSettings, name: &str, kind: u32, data: &[u8]) {
    let mut payload = Vec::new();
    drop(
        OpNewobjDo::encode_request(&mut payload, &header())
            .push_table_bytes(gate.table_name.as_bytes())
            .push_name_bytes(name.as_bytes()),
    );
    append(&mut payload, OBJECT_TYPE, &kind.to_be_bytes());
    append(&mut payload, OBJECT_DATA, data);
    batch.raw(NEW_OBJECT, NLM_F_CREATE, &payload);
}
