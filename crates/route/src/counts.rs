//! What the shield has counted.

use std::ops::{Add, AddAssign};

use ipnet::IpNet;

/// Packets to the SIP ports, of both families, since the last such report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShieldCounts {
    /// Packets of unlimited hosts, over UDP and TCP.
    pub unlimited: u64,
    /// Packets that passed as those of healthy hosts.
    pub healthy: u64,
    /// Packets that strangers' rules judged: of strangers, and what healthy hosts sent above their limits.
    pub strangers: u64,
    /// UDP packets of newcomers that passed by the newcomers' half of the budget.
    pub newcomers: u64,
    /// What was dropped.
    pub dropped: Dropped,
}

/// Packets that the shield dropped, by what dropped them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// A slowed host sent more than one a second.
    pub slowed: ByFamily,
    /// One stranger sent too many UDP packets.
    pub own_packets: ByFamily,
    /// One stranger opened too many TCP connections.
    pub own_connections: ByFamily,
    /// One stranger sent too many bytes over TCP.
    pub own_tcp: ByFamily,
    /// All strangers together sent too many UDP packets.
    pub budget_packets: ByFamily,
    /// All strangers together opened too many TCP connections.
    pub budget_connections: ByFamily,
    /// All strangers together sent too many bytes over TCP.
    pub budget_tcp: ByFamily,
    /// All unlimited hosts together sent more than is set for them.
    pub unlimited: ByFamily,
}

/// A number for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByFamily {
    /// Of IPv4.
    pub ipv4: u64,
    /// Of IPv6.
    pub ipv6: u64,
}

/// A stranger and what it has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The IPv4 address or IPv6 /64.
    pub source: IpNet,
    /// Packets to the SIP ports in at most the last ten minutes, dropped ones included: each source has
    /// ten minutes of its own, which begin with its first packet.
    pub packets: u64,
    /// It is slowed now ([`Shield::slow`](crate::Shield::slow)).
    pub is_slowed: bool,
}

impl ShieldCounts {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Dropped {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        let own = self.own_packets + self.own_connections + self.own_tcp;
        (self.slowed + self.unlimited + own).total().saturating_add(self.by_budgets())
    }

    /// What the budgets of all strangers dropped: above 0 while the shield is at work.
    #[must_use]
    pub fn by_budgets(&self) -> u64 {
        (self.budget_packets + self.budget_connections + self.budget_tcp).total()
    }
}

impl ByFamily {
    /// Both together.
    #[must_use]
    pub fn total(self) -> u64 {
        self.ipv4.saturating_add(self.ipv6)
    }
}

impl Add for ByFamily {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4.saturating_add(other.ipv4),
            ipv6: self.ipv6.saturating_add(other.ipv6),
        }
    }
}

impl AddAssign for ShieldCounts {
    fn add_assign(&mut self, other: Self) {
        let dropped = Dropped {
            slowed: self.dropped.slowed + other.dropped.slowed,
            own_packets: self.dropped.own_packets + other.dropped.own_packets,
            own_connections: self.dropped.own_connections + other.dropped.own_connections,
            own_tcp: self.dropped.own_tcp + other.dropped.own_tcp,
            budget_packets: self.dropped.budget_packets + other.dropped.budget_packets,
            budget_connections: self.dropped.budget_connections + other.dropped.budget_connections,
            budget_tcp: self.dropped.budget_tcp + other.dropped.budget_tcp,
            unlimited: self.dropped.unlimited + other.dropped.unlimited,
        };
        *self = Self {
            unlimited: self.unlimited.saturating_add(other.unlimited),
            healthy: self.healthy.saturating_add(other.healthy),
            strangers: self.strangers.saturating_add(other.strangers),
            newcomers: self.newcomers.saturating_add(other.newcomers),
            dropped,
        };
    }
}
