//! One of the ways in that a host has.

use std::net::IpAddr;

use crate::links::Vrf;

/// Packets that the rules treat alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    /// One of the own addresses that they are sent to; `None` stands for all that no rule names.
    pub(crate) destination: Option<IpAddr>,
    /// The VRF that they come in by.
    pub(crate) vrf: Option<Vrf>,
    /// Their type of service.
    pub(crate) tos: u8,
    /// TCP (6) or UDP (17), where rules select by it.
    pub(crate) transport: Option<u8>,
}
