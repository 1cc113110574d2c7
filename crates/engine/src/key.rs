//! What sources, and attempts and their failures, are found by.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;

/// What an attempt shares with its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JoinKey {
    /// Hash of canonical address, port, profile, and the FreeSWITCH that tells of both.
    pub(crate) socket: u64,
    /// Hash of the beginning of the To user.
    pub(crate) user: u64,
}

/// What a source is counted under: its network as two words, IPv4 in mapped form. The prefix length
/// is the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    high: u64,
    low: u64,
}

impl Key {
    /// The key of a network that [`Limits::source_net`] made, or of a host.
    pub(crate) fn of(net: &IpNet) -> Self {
        Self::of_addr(net.network())
    }

    /// The key of a host.
    pub(crate) fn of_addr(addr: IpAddr) -> Self {
        Self::of_bits(match addr {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        })
    }

    /// The key of a network as a whole, another one than that of its first host or source.
    pub(crate) fn of_network(net: &IpNet) -> Self {
        let Self { high, low } = Self::of(net);
        // No address of the network that is counted has these bits: IPv4 keys have none in `high`, and
        // those of IPv6 sources none in `low`.
        if net.addr().is_ipv4() {
            Self { high: u64::MAX, low }
        } else {
            Self { high, low: u64::MAX }
        }
    }

    /// The bits that a prefix length keeps.
    pub(crate) fn mask(is_ipv4: bool, prefix: u8) -> Self {
        let cut = if is_ipv4 { 32 } else { 128_u32 }.saturating_sub(prefix.into());
        Self::of_bits(u128::MAX.checked_shl(cut).unwrap_or_default())
    }

    /// The key of the network whose bits `mask` keeps.
    pub(crate) fn masked(self, mask: Self) -> Self {
        Self { high: self.high & mask.high, low: self.low & mask.low }
    }

    fn of_bits(bits: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        Self { high, low }
    }

    fn bits(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// The first address of the network.
    pub(crate) fn addr(self) -> IpAddr {
        std::net::Ipv6Addr::from_bits(self.bits()).to_canonical()
    }
}

/// In one step ([`crate::hash`]). A key has no hash of its own: strangers choose addresses.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.bits());
    }
}
