//! Pauses between attempts that fail, one after the other.

use std::time::Duration;

/// Pauses that double from the first to the longest.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row, the first of them 1.
    pub fn pause(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(15) };
        let pauses: Vec<u64> = (0..7).map(|failures| backoff.pause(failures).as_secs()).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 15, 15]);
        assert_eq!(backoff.pause(u32::MAX), backoff.longest);
    }
}
