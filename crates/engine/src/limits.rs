//! The policy in the units the engine counts with.

use std::time::Duration;

use crate::sources::Key;
use crate::{Grade, Policy, Timestamp};

/// Weights are counted in thousandths: sums of them are exact.
pub(crate) const UNIT: u32 = 1_000;

/// A validated policy, made ready for one failure after the other.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) policy: Policy,
    /// `max_failures` in thousandths.
    pub(crate) threshold: u32,
    pub(crate) window_ms: u32,
    /// Weight of each grade in thousandths, in the order of [`Grade::ALL`].
    weights: [u32; Grade::ALL.len()],
    /// Failures of one source that can matter: as many of the lightest reach the threshold.
    pub(crate) max_history: usize,
}

impl Limits {
    pub(crate) fn new(policy: Policy) -> Self {
        let given = &policy.weights;
        let weights = [
            thousandths(given.unjoined),
            thousandths(given.unproven),
            thousandths(given.unchallenged),
            thousandths(given.answered),
            thousandths(given.answered),
        ];
        let threshold = policy.max_failures.saturating_mul(UNIT);
        let lightest = weights
            .iter()
            .copied()
            .filter(|&weight| weight > 0)
            .min()
            .unwrap_or(UNIT);
        Self {
            threshold,
            window_ms: u32::try_from(policy.window.as_millis()).unwrap_or(u32::MAX),
            weights,
            max_history: threshold.div_ceil(lightest) as usize,
            policy,
        }
    }

    /// What a failure of this grade counts, in thousandths.
    pub(crate) fn weight(&self, grade: Grade) -> u32 {
        self.weights
            .get(grade as usize)
            .copied()
            .unwrap_or_default()
    }

    /// What an address is counted under.
    pub(crate) fn key(&self, addr: std::net::IpAddr) -> Key {
        Key::of(&self.source_net(addr))
    }

    /// The network an address is counted and banned by.
    pub(crate) fn source_net(&self, addr: std::net::IpAddr) -> ipnet::IpNet {
        let prefix = if addr.is_ipv4() {
            self.policy.ipv4_prefix
        } else {
            self.policy.ipv6_prefix
        };
        crate::net::net_of(addr, prefix)
    }

    /// Length of ban number `count` (from 1) of one source.
    pub(crate) fn ban_time(&self, count: u32) -> Duration {
        let exponent = i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds =
            self.policy.ban_time.as_secs_f64() * self.policy.escalation.factor.powi(exponent);
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(Duration::MAX)
            .min(self.policy.escalation.max)
    }

    /// After this time without a failure nothing is left to count of a source.
    pub(crate) fn idle(&self) -> Duration {
        self.policy.window
    }
}

fn thousandths(weight: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "weights are 0 to 1: `Policy::validate`"
    )]
    let thousandths = (weight * f64::from(UNIT)).round() as u32;
    thousandths
}

/// Milliseconds as a wrapping 32-bit clock: differences are right up to 49 days, and nothing that is
/// compared is kept longer than the longest window (7 days).
pub(crate) fn millis(at: Timestamp) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the clock is meant to wrap"
    )]
    let millis = (at.as_micros() / 1_000) as u32;
    millis
}
