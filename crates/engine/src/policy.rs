//! What an operator sets.

use std::time::Duration;

/// The ban policy. Every value has a range that [`Policy::validate`] checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Failures within `window` that ban a source. Range 1 to 1,000; default 5.
    pub max_failures: u32,
    /// Length of the sliding window. Range 1 s to 7 d; default 10 min.
    pub window: Duration,
    /// Length of a first ban. Range 1 s to 365 d; default 1 h.
    pub ban_time: Duration,
    /// Longer bans for repeat offenders.
    pub escalation: Escalation,
    /// Prefix length that an IPv4 source is counted and banned by. Range 24 to 32; default 32.
    pub ipv4_prefix: u8,
    /// Prefix length that an IPv6 source is counted and banned by. Range 48 to 128; default 64.
    pub ipv6_prefix: u8,
    /// Sources remembered at most. Default 262,144.
    pub max_tracked: usize,
    /// Unproven sources remembered at most, in a table of their own. Default 16,384.
    pub max_unproven: usize,
    /// Bans at most; beyond it new bans are refused with an alarm. Default 500,000.
    pub max_bans: usize,
}

/// Longer bans for repeat offenders: ban n lasts `ban_time * factor^(n-1)`, at most `max`.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    /// Multiplier for each earlier ban. Range 1.0 (off) to 100; default 2.
    pub factor: f64,
    /// Longest automatic ban. Default 7 d.
    pub max: Duration,
    /// An offender without a new ban for this long after its last one is forgotten. Default 30 d.
    pub forget_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_failures: 5,
            window: Duration::from_secs(600),
            ban_time: Duration::from_secs(3600),
            escalation: Escalation::default(),
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            max_tracked: 262_144,
            max_unproven: 16_384,
            max_bans: 500_000,
        }
    }
}

impl Default for Escalation {
    fn default() -> Self {
        Self {
            factor: 2.0,
            max: Duration::from_secs(7 * 86_400),
            forget_after: Duration::from_secs(30 * 86_400),
        }
    }
}
