//! What the engine asks of the kernel side, and what comes back.

use std::fmt;
use std::time::Instant;

use ipnet::IpNet;

use crate::{Coverage, Flow, HostFacts, Scope, ShieldCounts, Stranger};

/// One wish of the ban engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Block this network. Of a network that is blocked with the other scope, change the scope; meanwhile the
    /// narrower of the two holds.
    Block {
        /// The network.
        net: IpNet,
        /// What of it is stopped.
        scope: Scope,
    },
    /// Stop blocking it, whatever its scope.
    Unblock(IpNet),
    /// Deny a flow the SIP ports. Again changes the time.
    Deny {
        /// The flow; port 0 is none.
        flow: Flow,
        /// Until when; 24 hours at most. The kernel lets it go by itself, and nothing is reported then.
        until: Instant,
    },
    /// Allow a flow again.
    Allow(Flow),
}

impl Change {
    /// Block everything of a network.
    #[must_use]
    pub fn block(net: IpNet) -> Self {
        Self::Block { net, scope: Scope::Host }
    }

    /// The network it is about, unless it is about a flow.
    #[must_use]
    pub fn net(&self) -> Option<IpNet> {
        match self {
            Self::Block { net, .. } | Self::Unblock(net) => Some(*net),
            Self::Deny { .. } | Self::Allow(_) => None,
        }
    }
}

/// A report of the enforcer to the daemon.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The ban of `net` is set: for [`Scope::Host`] its route stands, or one of another program stops it; for
    /// [`Scope::Sip`] it is in the gate's set, or will be when there is a gate. Comes once more whenever what the ban
    /// is worth has changed: a rule or route of somebody else came or went, the gate was lost.
    Blocked {
        /// The network.
        net: IpNet,
        /// What the kernel makes of its packets.
        enforcement: Enforcement,
    },
    /// A flow is noted as denied, and what that is worth.
    Denied {
        /// The flow.
        flow: Flow,
        /// [`Enforcement::SipOnly`] where the gate drops it.
        enforcement: Enforcement,
    },
    /// A flow is not denied any more.
    Allowed {
        /// The flow.
        flow: Flow,
    },
    /// No route of sipward covers `net` any more, and no set of the gate contains it.
    Unblocked {
        /// The network.
        net: IpNet,
        /// The route of another program that still blocks it.
        still: Option<String>,
    },
    /// The kernel refused. It is tried again when the obstacle went, and every few seconds; what becomes of it
    /// is reported.
    Failed {
        /// What was asked.
        change: Change,
        /// The kernel's words, and what to do.
        error: String,
    },
    /// Another program removed something of sipward, which was restored.
    Healed {
        /// Routes put back.
        routes: usize,
        /// Policy rules (and the fallback route they lead to) put back.
        rules: usize,
        /// The nftables gate was put back.
        gate: bool,
        /// Elements of the gate's sets of bans and flows put back, or taken out because they are no bans. Those of
        /// a gate that was put back are not counted.
        elements: usize,
    },
    /// The bans are in another table now; each was set there before it went here.
    Moved {
        /// How many.
        routes: usize,
        /// The table; 254 is main.
        table: u32,
        /// Preference of the rule that leads there; `None` for main.
        preference: Option<u32>,
        /// The rules of others, in the words of `ip`, that are read before the table where they were.
        because: Vec<String>,
    },
    /// Blackholes with our mark that are no ban: another program, or somebody by hand, set them. They stop
    /// whom they name. Comes again when they change; none left is an empty list.
    Strays {
        /// Some of them, sorted.
        nets: Vec<IpNet>,
        /// How many there are.
        count: usize,
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
    /// The packets of each banned host that the gate has dropped since the host came into its set, or since the gate was
    /// put back. Comes every ten seconds while they change. Hosts that are banned while there are more than
    /// [`MOST_COUNTED`](crate::MOST_COUNTED) bans are left out, and while there are, the list is empty.
    Dropped(Vec<(IpNet, u64)>),
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
    /// What it sends to the SIP ports is dropped on arrival, which is all that is asked: for [`Scope::Sip`] and flows.
    SipOnly,
    /// What it sends is dropped on arrival by the gate's set of banned hosts, but another route than ours wins: what
    /// is sent to it still leaves.
    InboundOnly {
        /// Which route, in words.
        because: String,
    },
    /// Nothing of it is stopped.
    NotEnforced {
        /// Why.
        reason: String,
    },
    /// Nothing is sent to it any more, but what it sends still arrives: there is no gate, and
    /// `rp_filter` does not stop it on every interface. [`Coverage::gaps`] says why.
    RepliesOnly,
    /// The route stands but another one wins, so nothing is stopped: a more specific or preferred
    /// route, or (IPv6) a connected network with the same prefix.
    Outranked {
        /// The route that wins, in the words of `ip route`.
        winner: String,
    },
    /// The route stands, but for some packets a rule of somebody else is read before it: those are not
    /// stopped.
    PassedBy {
        /// Which packets: "to 192.0.2.1", "in VRF red"; empty for all.
        packets: String,
        /// The rule, in the words of `ip`.
        rule: String,
        /// The route that wins, in the words of `ip route`.
        winner: String,
    },
    /// A route of another program for the same network stops it: a blackhole, or in IPv4 an unreachable or
    /// prohibit route. Ours is set when that one goes.
    StoppedByOther {
        /// That route, in the words of `ip route`.
        route: String,
    },
    /// Nothing was asked of the kernel ([`dry_run`](crate::dry_run)).
    DryRun,
}

impl Enforcement {
    /// Whether the kernel drops on arrival what the ban is to stop.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full | Self::SipOnly | Self::InboundOnly { .. } | Self::StoppedByOther { .. } => {
                true
            }
            Self::RepliesOnly
            | Self::Outranked { .. }
            | Self::PassedBy { .. }
            | Self::NotEnforced { .. }
            | Self::DryRun => false,
        }
    }
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("dropped on arrival"),
            Self::SipOnly => f.write_str("dropped on arrival at the SIP ports"),
            Self::InboundOnly { because } => {
                write!(f, "dropped on arrival; replies are {because}")
            }
            Self::NotEnforced { reason } => write!(f, "not stopped: {reason}"),
            Self::RepliesOnly => f.write_str("only replies are stopped"),
            Self::Outranked { winner } => write!(f, "not stopped: {winner} wins"),
            Self::PassedBy { packets, rule, winner } => {
                let gap = if packets.is_empty() { "" } else { " " };
                write!(f, "not stopped{gap}{packets}: `{rule}` is read first, {winner} wins")
            }
            Self::StoppedByOther { route } => {
                write!(f, "stopped by a route of another program: {route}")
            }
            Self::DryRun => f.write_str("dry run: the kernel is left alone"),
        }
    }
}
