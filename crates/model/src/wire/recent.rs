//! What happened last.

use ipnet::IpNet;

use super::HistoryKind;
use crate::text::Time;

/// A decision, or failures of one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent {
    /// When, of several the last time.
    pub time: Time,
    /// What was decided; `None`: log-ins failed.
    pub event: Option<HistoryKind>,
    /// The network or the address.
    pub net: IpNet,
    /// How often in a row.
    pub times: u64,
    /// The line of the log for people; text that came from the network is escaped in it.
    pub text: String,
}
