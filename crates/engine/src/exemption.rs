//! Why networks are never banned.

/// Why a network is exempt from bans.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Exemption {
    /// This host's own addresses. Loopback, the unspecified address, multicast and broadcast are
    /// always in this class. Even a manual ban never covers them.
    Own,
    /// Default gateways and on-link gateways.
    Gateway,
    /// The other end of the Event Socket connection.
    EslPeer,
    /// Name servers of this host.
    NameServer,
    /// SIP gateways and peers that FreeSWITCH registers with or calls out to: the operator's trunks.
    Trunk,
    /// Configured `proxies`: SIP proxies and SBCs that every failure behind them names.
    Proxy,
    /// One of FreeSWITCH's ACLs allows it.
    Acl,
    /// Configured `allow`.
    Allow,
}

impl Exemption {
    /// All classes, the one that is named first when several cover an address first.
    pub const ALL: [Self; 8] = [
        Self::Own,
        Self::Gateway,
        Self::EslPeer,
        Self::NameServer,
        Self::Trunk,
        Self::Proxy,
        Self::Acl,
        Self::Allow,
    ];
}
