//! Why the kernel side cannot work.

use std::io;

use crate::SettingsError;

/// The kernel side could not be opened, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The kernel refuses changes to this process.
    #[error(
        "CAP_NET_ADMIN is missing: routes, rules and nftables cannot be changed. Grant it in the systemd \
         unit with AmbientCapabilities=CAP_NET_ADMIN (the shipped unit does), or to the program file with \
         `setcap cap_net_admin+ep`, or run as root"
    )]
    NotPermitted,
    /// A setting that cannot work.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// A netlink socket could not be opened, written or read.
    #[error("netlink socket: {0}")]
    Socket(#[source] io::Error),
    /// The kernel did not answer a request, or did not go on with its answer, within ten seconds.
    #[error("the kernel did not answer a netlink request")]
    Silent,
    /// The kernel refused something without which nothing can be banned.
    #[error("{what}: {reason}")]
    Refused {
        /// What was asked.
        what: String,
        /// The kernel's words.
        reason: String,
    },
}
