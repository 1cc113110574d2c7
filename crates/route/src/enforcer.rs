//! Owns the kernel side: applies changes, watches for damage, heals.

use std::net::IpAddr;

use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot};

use crate::Settings;

/// One wish of the ban engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Block this network.
    Block(IpNet),
    /// Stop blocking it.
    Unblock(IpNet),
}

/// What the enforcer tells the daemon.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The route of `net` stands. `enforced`: a lookup showed that it wins and the gate stands.
    Blocked {
        /// The network.
        net: IpNet,
        /// Whether the kernel really drops what it sends.
        enforced: bool,
    },
    /// The route of `net` is gone.
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
        /// Rules put back.
        rules: usize,
        /// The nftables gate was put back.
        gate: bool,
    },
    /// This host's addresses or gateways changed.
    Host(HostFacts),
}

/// Addresses that must never be banned, as the kernel knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Addresses of this host.
    pub own: Vec<IpAddr>,
    /// Gateways of default routes and other routes with an on-link next hop.
    pub gateways: Vec<IpAddr>,
    /// Networks this host is directly connected to (an equal IPv6 /64 cannot be blackholed).
    pub on_link: Vec<IpNet>,
}

/// What was found when the kernel side was opened.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Our routes (type and protocol ours) that were there already.
    pub routes: Vec<IpNet>,
    /// Routes with our protocol number that are not blackholes: somebody else uses the number.
    pub foreign: Vec<String>,
    /// This host.
    pub host: HostFacts,
    /// What stands between a banned host and FreeSWITCH, in words for the log.
    pub coverage: Coverage,
}

/// What a ban covers with the present settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// IPv4 packets from a banned host are dropped on arrival.
    pub ipv4_inbound: bool,
    /// IPv6 packets from a banned host are dropped on arrival.
    pub ipv6_inbound: bool,
    /// What is not covered and why; empty when all is.
    pub gaps: Vec<String>,
}

/// The kernel side could not be opened or was lost.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// `CAP_NET_ADMIN` is missing.
    #[error("missing")]
    NotPermitted,
}

/// The one task that owns netlink.
#[derive(Debug)]
pub struct Enforcer {
    settings: Settings,
}

impl Enforcer {
    /// Opens netlink, dumps what is there, sets rules and gate.
    ///
    /// # Errors
    /// When netlink cannot be opened or `CAP_NET_ADMIN` is missing.
    pub async fn open(settings: Settings) -> Result<(Self, Found), RouteError> {
        Ok((Self { settings }, Found::default()))
    }

    /// Runs until `shutdown` resolves (on which `flush` says whether everything of ours goes) or
    /// `changes` closes.
    ///
    /// # Errors
    /// When netlink is lost for good.
    pub async fn run(
        self,
        _changes: mpsc::Receiver<Change>,
        _reports: mpsc::Sender<Report>,
        _shutdown: oneshot::Receiver<()>,
    ) -> Result<(), RouteError> {
        let _ = self.settings;
        Ok(())
    }
}

/// Removes every route, rule and table of ours; works without a daemon.
///
/// # Errors
/// When netlink cannot be opened or refuses.
pub async fn flush(_settings: &Settings) -> Result<Flushed, RouteError> {
    Ok(Flushed::default())
}

/// What [`flush`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Blackhole routes.
    pub routes: usize,
    /// Policy rules.
    pub rules: usize,
    /// Whether the nftables table was there.
    pub gate: bool,
}
