//! What the engine asks of the kernel side, and what comes back.

use std::fmt;

use ipnet::IpNet;

use crate::{Coverage, HostFacts, ShieldCounts, Stranger};

/// One wish of the ban engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Block this network.
    Block(IpNet),
    /// Stop blocking it.
    Unblock(IpNet),
}

impl Change {
    /// The network it is about.
    #[must_use]
    pub fn net(&self) -> IpNet {
        match self {
            Self::Block(net) | Self::Unblock(net) => *net,
        }
    }
}

/// What the enforcer tells the daemon.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The route of `net` stands. Comes once more when this host is connected to a network that overlaps
    /// it, which can change what the ban is worth.
    Blocked {
        /// The network.
        net: IpNet,
        /// What the kernel makes of its packets.
        enforcement: Enforcement,
    },
    /// The route of `net` is gone, or never was there.
    Unblocked {
        /// The network.
        net: IpNet,
    },
    /// The kernel refused.
    Failed {
        /// What was asked.
        change: Change,
        /// The kernel's words, and what to do.
        error: String,
    },
    /// Somebody outside took something of ours away; it is back.
    Healed {
        /// Routes put back.
        routes: usize,
        /// Policy rules (and the fallback route they lead to) put back.
        rules: usize,
        /// The nftables gate was put back.
        gate: bool,
    },
    /// Packets that arrived for the SIP ports since the last such report, from sources that are not
    /// banned, limited ones included. Comes once a second while some arrive and the gate stands. What
    /// arrived between the last look and the moment an outsider took the gate away is not counted.
    Packets {
        /// How many; never 0.
        count: u64,
    },
    /// What the shield let pass and dropped since the last such report. Comes once a second while packets
    /// to the SIP ports arrive and the shield stands; the counts of two looks that nobody took are summed.
    Shield(ShieldCounts),
    /// The strangers that have sent most, 300 packets or more in at most ten minutes each: 1,024 of them
    /// at most, the busiest first. Comes every ten seconds while there are any. Healthy hosts are left out.
    Strangers(Vec<Stranger>),
    /// All healthy hosts are in the kernel: the budgets drop. Comes after the first complete list, and again
    /// when the gate was put back. Does not come where there is no shield.
    Shielded {
        /// Healthy hosts in the kernel.
        hosts: usize,
    },
    /// Hosts or settings of the shield were not taken; those before stay in force.
    ShieldFailed {
        /// Why, and what to do.
        error: String,
    },
    /// This host's addresses, gateways or connected networks changed.
    Host(HostFacts),
    /// What a ban covers changed: the gate could not be put back, `rp_filter` was switched, an
    /// interface came or went.
    Coverage(Coverage),
}

/// What the kernel makes of a blocked network's packets, found by a lookup after the route was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// What it sends is dropped on arrival, and so is what would be sent to it.
    Full,
    /// Nothing is sent to it any more, but what it sends still arrives: there is no gate, and
    /// `rp_filter` does not stop it on every interface. [`Coverage::gaps`] says why.
    RepliesOnly,
    /// The route stands but another one wins, so nothing is stopped: a more specific or preferred
    /// route, or (IPv6) a connected network with the same prefix.
    Outranked {
        /// The route that wins, in the words of `ip route`.
        winner: String,
    },
    /// Nothing was asked of the kernel ([`dry_run`](crate::dry_run)).
    DryRun,
}

impl Enforcement {
    /// Whether the kernel drops what the network sends.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full => true,
            Self::RepliesOnly | Self::Outranked { .. } | Self::DryRun => false,
        }
    }
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("dropped on arrival"),
            Self::RepliesOnly => f.write_str("only replies are stopped"),
            Self::Outranked { winner } => write!(f, "not stopped: {winner} wins"),
            Self::DryRun => f.write_str("dry run: the kernel is left alone"),
        }
    }
}
