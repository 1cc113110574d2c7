//! What `[fleet]` sets.

use std::path::PathBuf;

/// A node of a fleet: where its NATS servers are, and who it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSettings {
    /// `nats://host:port` or `tls://host:port`; 1 to [`MAX_FLEET_SERVERS`].
    pub servers: Vec<String>,
    /// This node, unique within its site: 1 to 32 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// Its site: 1 to 32 of `a-z`, `0-9` and `-`; default "main".
    pub site: String,
    /// A NATS credentials file (`.creds`), instead of the one that the environment names.
    pub credentials: Option<PathBuf>,
    /// TLS with certificates of both sides.
    pub tls: Option<FleetTls>,
    /// Weight of the nodes of one site that must name a single address before it is banned here. Range 1 to 16;
    /// default 1.
    pub quorum: u8,
}

/// The files of TLS towards the NATS servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetTls {
    /// Certificates that the servers' are signed with; `None` trusts those of the system.
    pub ca: Option<PathBuf>,
    /// This node's certificate and its key, where the servers ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Most servers of a fleet that a node is given.
pub const MAX_FLEET_SERVERS: usize = 16;
