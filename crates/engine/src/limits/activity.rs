//! How many events of one source are too many.

use std::time::Duration;

use super::window_ms;
use crate::{Rule, Rules};

/// A source that did nothing for this long is challenged anew: the longest life of a nonce by default
/// ([`crate::dialogs`]).
const CHALLENGE_LIFE: Duration = Duration::from_secs(90);

/// The rules that count events, in the units that are counted in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActivityLimits {
    pub(crate) flood: Limit,
    pub(crate) challenges: Limit,
    pub(crate) calls: Limit,
    /// After this time without an event nothing is left to count of a source.
    pub(crate) keep_seconds: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) threshold: u32,
    pub(crate) window_ms: u32,
}

impl ActivityLimits {
    pub(crate) fn new(rules: &Rules) -> Self {
        let Rules { flood, challenges, calls, .. } = rules;
        let limit =
            |rule: &Rule| Limit { threshold: rule.threshold, window_ms: window_ms(rule.window) };
        let windows = [flood.window, challenges.window, calls.window];
        let keep = windows.into_iter().fold(CHALLENGE_LIFE, Duration::max);
        Self {
            flood: limit(flood),
            challenges: limit(challenges),
            calls: limit(calls),
            keep_seconds: u32::try_from(keep.as_secs()).unwrap_or(u32::MAX),
        }
    }
}
