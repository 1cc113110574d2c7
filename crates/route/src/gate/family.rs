//! The two families, and the two transports that SIP takes.

use std::net::IpAddr;

pub(super) use crate::Transport;
use crate::ban::Exact;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// `NFPROTO_IPV4`, `NFPROTO_IPV6`.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    /// The family of a kind of key.
    pub(super) fn of(exact: Exact) -> Self {
        match exact {
            Exact::Ipv4 => Self::V4,
            Exact::Ipv6 | Exact::Ipv6Net => Self::V6,
        }
    }

    /// The family of an address.
    pub(super) fn of_address(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Its last address.
    pub(super) fn last_address(self) -> u128 {
        match self {
            Self::V6 => u128::MAX,
            Self::V4 => u32::MAX.into(),
        }
    }

    /// What its hosts are.
    pub(super) fn host(self) -> &'static str {
        match self {
            Self::V4 => "IPv4 address",
            Self::V6 => "IPv6 /64",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}
