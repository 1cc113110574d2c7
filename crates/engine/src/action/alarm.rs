//! What an operator must see.

use ipnet::IpNet;
use serde::Serialize;

use crate::PolicyError;

/// Something an operator must see. Each is raised when its state begins, not at every event of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "alarm", rename_all = "snake_case")]
pub enum Alarm {
    /// `max_bans` is reached: new bans are refused. Raised again only after the table was below 95 %.
    BanTableFull {
        /// The limit.
        max_bans: usize,
    },
    /// The kernel refused a ban, so that it is listed but not enforced. Raised for the first one and
    /// again only after every such ban was enforced or lifted.
    NotEnforced {
        /// The first network.
        net: IpNet,
        /// What the kernel said.
        error: String,
    },
    /// A new policy was out of range; the old one stays in force.
    PolicyRejected {
        /// What is wrong with it.
        #[serde(serialize_with = "display")]
        error: PolicyError,
    },
}

fn display<T: std::fmt::Display, S: serde::Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}
