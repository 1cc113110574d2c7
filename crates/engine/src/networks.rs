//! Failures of strangers by network: an attacker with a whole /48 or /24 guesses once from each address.
//!
//! Every failure of a stranger is counted here, so a network is one entry in one cache line and its
//! window slides by a tenth of its length.

use std::time::Duration;

use crate::Timestamp;
use crate::limits::{UNIT, millis};

/// Networks watched at once; the key of a network chooses its place. 2 MB.
const PLACES: usize = 32_768;

/// Parts of the window.
const PARTS: u32 = 10;

/// Parts in which hosts are kept together, and how many such groups are kept.
const GROUP: u32 = PARTS / 2;
const GROUPS: u32 = 3;

/// The smallest weight that counts: a twentieth of a failure ([`crate::Weights`]).
const GRAIN: u32 = UNIT / 20;

/// Strangers' failures by network.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    places: Vec<Network>,
}

/// One cache line: every failure of a stranger waits for one of these, and a place that lay in two would
/// take twice as long.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Network {
    tag: u32,
    /// The part of time that was counted last, plus one; 0 for an empty place.
    part: u32,
    /// Weights by part, in [`GRAIN`]s, the part of now at `part % PARTS`. Full at 65,535: the
    /// highest threshold needs 1,280.
    weights: [u16; PARTS as usize],
    /// Hosts that failed, one bit for each hash, of the last three halves of the window: a host counts for
    /// a little longer than what it did.
    hosts: [u64; GROUPS as usize],
}

/// What a network has done within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Sum of weights, in thousandths.
    pub(crate) score: u32,
    /// Different hosts, as far as they can be told apart: 64 at most.
    pub(crate) hosts: u32,
}

impl Networks {
    /// A host of a network failed with this weight.
    pub(crate) fn add(
        &mut self,
        network: u64,
        host: u64,
        weight: u32,
        window: Duration,
        now: Timestamp,
    ) -> Found {
        if self.places.is_empty() {
            self.places = vec![Network::default(); PLACES];
        }
        let part_ms = (crate::limits::window_ms(window) / PARTS).max(1);
        // Another one than 0, and it may wrap: then a window is lost every 49 days.
        let part = millis(now) / part_ms + 1;
        let tag = (network >> 32) as u32;
        let Some(entry) = self.places.get_mut(place_of(network)) else {
            return Found::default();
        };
        if entry.tag != tag || entry.part == 0 {
            let other = entry.part != 0 && part.wrapping_sub(entry.part) < PARTS;
            // A network that has done more keeps its place while it goes on.
            if other && entry.found().score > weight {
                entry.decay(GRAIN);
                return Found::default();
            }
            *entry = Network { tag, part, ..Network::default() };
        }
        entry.advance(part);
        if let Some(sum) = entry.weights.get_mut((part % PARTS) as usize) {
            let grains = u16::try_from(weight.div_ceil(GRAIN)).unwrap_or(u16::MAX);
            *sum = sum.saturating_add(grains);
        }
        if let Some(hosts) = entry.hosts.get_mut(group(part)) {
            *hosts |= 1 << (host % 64);
        }
        entry.found()
    }

    /// A network begins anew.
    pub(crate) fn remove(&mut self, network: u64) {
        if let Some(entry) = self.places.get_mut(place_of(network))
            && entry.tag == (network >> 32) as u32
        {
            *entry = Network::default();
        }
    }
}

impl Network {
    /// Forgets the parts that have left the window.
    fn advance(&mut self, part: u32) {
        let gone = part.wrapping_sub(self.part);
        if gone == 0 {
            return;
        }
        for n in 1..=gone.min(PARTS) {
            if let Some(weight) = self.weights.get_mut((self.part.wrapping_add(n) % PARTS) as usize)
            {
                *weight = 0;
            }
        }
        let (last, now) = (self.part / GROUP, part / GROUP);
        for n in 1..=now.wrapping_sub(last).min(GROUPS) {
            if let Some(hosts) = self.hosts.get_mut((last.wrapping_add(n) % GROUPS) as usize) {
                *hosts = 0;
            }
        }
        self.part = part;
    }

    fn decay(&mut self, by: u32) {
        let grains = u16::try_from(by / GRAIN).unwrap_or(1);
        if let Some(weight) = self.weights.iter_mut().find(|weight| **weight > 0) {
            *weight = weight.saturating_sub(grains);
        }
    }

    fn found(&self) -> Found {
        let grains: u32 = self.weights.iter().map(|weight| u32::from(*weight)).sum();
        let hosts = self.hosts.iter().fold(0, |all, hosts| all | hosts);
        Found { score: grains.saturating_mul(GRAIN), hosts: hosts.count_ones() }
    }
}

/// Keys are hashes already, seeded.
fn place_of(network: u64) -> usize {
    usize::try_from(network % PLACES as u64).unwrap_or_default()
}

/// Where the hosts of a part are kept.
fn group(part: u32) -> usize {
    (part / GROUP % GROUPS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const WINDOW: Duration = Duration::from_secs(600);
    const NETWORK: u64 = 0x1234_5678_0000_0009;

    #[test]
    fn weights_add_up_while_they_are_in_the_window() {
        let mut networks = Networks::default();
        for host in 0..4 {
            networks.add(NETWORK, host, UNIT, WINDOW, NOW);
        }
        let found = networks.add(NETWORK, 9, UNIT / 4, WINDOW, NOW + Duration::from_secs(540));
        assert_eq!(found, Found { score: 4 * UNIT + UNIT / 4, hosts: 5 });
        let found = networks.add(NETWORK, 9, UNIT, WINDOW, NOW + Duration::from_secs(720));
        assert_eq!(found.score, UNIT + UNIT / 4, "the first four have left");
        let found = networks.add(NETWORK, 9, UNIT, WINDOW, NOW + Duration::from_secs(180_000));
        assert_eq!(found, Found { score: UNIT, hosts: 1 });
    }

    #[test]
    fn a_network_in_the_same_place_takes_it_only_from_one_that_has_gone() {
        let mut networks = Networks::default();
        for host in 0..8 {
            networks.add(NETWORK, host, UNIT, WINDOW, NOW);
        }
        let other = NETWORK ^ 1 << 50;
        assert_eq!(networks.add(other, 1, UNIT, WINDOW, NOW), Found::default());
        assert!(networks.add(NETWORK, 1, UNIT, WINDOW, NOW).score > 8 * UNIT);
        let later = NOW + 2 * WINDOW;
        assert_eq!(networks.add(other, 1, UNIT, WINDOW, later), Found { score: UNIT, hosts: 1 });
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let mut networks = Networks::default();
        let mut score = 0;
        for host in 0..100_000 {
            score = networks.add(NETWORK, host, UNIT, WINDOW, NOW).score;
        }
        assert!(score >= 64 * UNIT);
    }
}
