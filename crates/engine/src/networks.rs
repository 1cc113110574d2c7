//! Failures of strangers by network: an attacker with a whole /48 or /24 guesses once from each address.
//!
//! Every failure of a stranger is counted here, so a network is one entry in one cache line. Its window slides
//! by an eleventh of its length and is never shorter than the rule says: what leaves it at once would otherwise
//! be a time for which an attacker can wait.

use std::time::Duration;

use crate::limits::{UNIT, millis};
use crate::{Grade, Timestamp};

/// Networks watched at once; the key of a network chooses its place. 2 MB.
const PLACES: usize = 32_768;

/// Parts of the window, and how many are kept: the one of now has only begun.
const PARTS: u32 = 11;
const KEPT: u32 = PARTS + 1;

/// Parts in which hosts are kept together, and how many such groups are kept: two whole ones hold all parts.
const GROUP: u32 = KEPT / 2;
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
    /// Weights of what one packet cannot forge, by part, in [`GRAIN`]s, the part of now at `part % KEPT`.
    /// Full at 65,535: the highest threshold needs 1,280.
    sure: [u16; KEPT as usize],
    /// Weights of the rest, by group: kept for a little longer than the window.
    weak: [u16; GROUPS as usize],
    /// Grades of what is sure, for each group the bits of [`SURE`].
    grades: u16,
    /// Hosts that failed with sure evidence, and with other, one bit for each hash, by group: a host counts
    /// for a little longer than what it did.
    sure_hosts: [u32; GROUPS as usize],
    weak_hosts: [u32; GROUPS as usize],
}

const _: () = assert!(size_of::<Network>() == 64, "one cache line");

/// Grades of sure evidence, weakest first: what fits beside the weights.
const SURE: [Grade; 4] = [Grade::Challenged, Grade::Assumed, Grade::Answered, Grade::Genuine];

/// A failure in a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    /// A hash of what failed.
    pub(crate) host: u64,
    /// In thousandths.
    pub(crate) weight: u32,
    pub(crate) grade: Grade,
    /// One packet cannot forge it, and it counts for the rule.
    pub(crate) sure: bool,
}

/// What a network has done within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Sum of sure weights, in thousandths.
    pub(crate) sure: u32,
    /// Of all weights.
    pub(crate) all: u32,
    /// Different hosts with sure evidence, as far as they can be told apart: 32 at most.
    pub(crate) sure_hosts: u32,
    /// With any evidence.
    pub(crate) all_hosts: u32,
    /// The weakest grade of what is sure.
    pub(crate) weakest: Option<Grade>,
}

impl Networks {
    /// A host of a network failed.
    pub(crate) fn add(
        &mut self,
        network: u64,
        failed: Failed,
        window: Duration,
        now: Timestamp,
    ) -> Found {
        if self.places.is_empty() {
            self.places = vec![Network::default(); PLACES];
        }
        let part_ms = crate::limits::window_ms(window).div_ceil(PARTS).max(1);
        // Another one than 0, and it may wrap: then a window is lost every 49 days.
        let part = millis(now) / part_ms + 1;
        let tag = (network >> 32) as u32;
        let Some(entry) = self.places.get_mut(place_of(network)) else {
            return Found::default();
        };
        if entry.tag != tag || entry.part == 0 {
            let other = entry.part != 0 && part.wrapping_sub(entry.part) < KEPT;
            // A network that has done more keeps its place while it goes on.
            if other && entry.found().all > failed.weight {
                entry.decay();
                return Found::default();
            }
            *entry = Network { tag, part, ..Network::default() };
        }
        entry.advance(part);
        entry.count(part, failed);
        entry.found()
    }

    /// A network begins anew.
    pub(crate) fn remove(&mut self, network: u64) {
        if let Some(entry) = self.of(network) {
            *entry = Network::default();
        }
    }

    /// What one packet can forge begins anew; the rest stays.
    pub(crate) fn forget_weak(&mut self, network: u64) {
        if let Some(entry) = self.of(network) {
            (entry.weak, entry.weak_hosts) = ([0; GROUPS as usize], [0; GROUPS as usize]);
        }
    }

    fn of(&mut self, network: u64) -> Option<&mut Network> {
        let entry = self.places.get_mut(place_of(network))?;
        (entry.tag == (network >> 32) as u32).then_some(entry)
    }
}

impl Network {
    /// Forgets the parts that have left the window.
    fn advance(&mut self, part: u32) {
        let gone = part.wrapping_sub(self.part);
        if gone == 0 {
            return;
        }
        for n in 1..=gone.min(KEPT) {
            if let Some(weight) = self.sure.get_mut((self.part.wrapping_add(n) % KEPT) as usize) {
                *weight = 0;
            }
        }
        let (last, now) = (self.part / GROUP, part / GROUP);
        for n in 1..=now.wrapping_sub(last).min(GROUPS) {
            let group = (last.wrapping_add(n) % GROUPS) as usize;
            if let Some(weak) = self.weak.get_mut(group) {
                *weak = 0;
            }
            for hosts in [&mut self.sure_hosts, &mut self.weak_hosts] {
                if let Some(hosts) = hosts.get_mut(group) {
                    *hosts = 0;
                }
            }
            self.grades &= !(((1 << SURE.len()) - 1) << (group * SURE.len()));
        }
        self.part = part;
    }

    fn count(&mut self, part: u32, failed: Failed) {
        let grains = u16::try_from(failed.weight.div_ceil(GRAIN)).unwrap_or(u16::MAX);
        let group = (part / GROUP % GROUPS) as usize;
        let (sum, hosts) = if failed.sure {
            (self.sure.get_mut((part % KEPT) as usize), &mut self.sure_hosts)
        } else {
            (self.weak.get_mut(group), &mut self.weak_hosts)
        };
        if let (Some(sum), Some(hosts)) = (sum, hosts.get_mut(group)) {
            *sum = sum.saturating_add(grains);
            *hosts |= 1 << (failed.host % 32);
        }
        if !failed.sure {
            return;
        }
        let grade = SURE.iter().position(|grade| *grade == failed.grade).unwrap_or_default();
        self.grades |= 1 << (group * SURE.len() + grade);
    }

    /// Gives way a little to another network in this place.
    fn decay(&mut self) {
        let mut weights = self.sure.iter_mut().chain(&mut self.weak);
        if let Some(weight) = weights.find(|weight| **weight > 0) {
            *weight -= 1;
        }
    }

    fn found(&self) -> Found {
        let sum =
            |weights: &[u16]| -> u32 { weights.iter().map(|weight| u32::from(*weight)).sum() };
        let (sure, weak) = (sum(&self.sure), sum(&self.weak));
        let union = |hosts: &[u32]| -> u32 { hosts.iter().fold(0, |all, hosts| all | hosts) };
        let (sure_hosts, weak_hosts) = (union(&self.sure_hosts), union(&self.weak_hosts));
        let grades =
            (0..GROUPS as usize).fold(0, |all, group| all | self.grades >> (group * SURE.len()));
        let weakest = (grades & ((1 << SURE.len()) - 1)).trailing_zeros();
        Found {
            sure: sure.saturating_mul(GRAIN),
            all: sure.saturating_add(weak).saturating_mul(GRAIN),
            sure_hosts: sure_hosts.count_ones(),
            all_hosts: (sure_hosts | weak_hosts).count_ones(),
            weakest: SURE.get(weakest as usize).copied(),
        }
    }
}

/// Keys are hashes already, seeded.
fn place_of(network: u64) -> usize {
    usize::try_from(network % PLACES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
    const WINDOW: Duration = Duration::from_secs(600);
    const NETWORK: u64 = 0x1234_5678_0000_0009;

    fn answered(host: u64) -> Failed {
        Failed { host, weight: UNIT, grade: Grade::Answered, sure: true }
    }

    fn borrowed(host: u64) -> Failed {
        Failed { host, weight: UNIT / 4, grade: Grade::Unchallenged, sure: false }
    }

    #[test]
    fn weights_add_up_while_they_are_in_the_window() {
        let mut networks = Networks::default();
        for host in 0..4 {
            networks.add(NETWORK, answered(host), WINDOW, NOW);
        }
        let at = |seconds| NOW + Duration::from_secs(seconds);
        let found = networks.add(NETWORK, borrowed(9), WINDOW, at(540));
        let weakest = Some(Grade::Answered);
        let all = 4 * UNIT + UNIT / 4;
        assert_eq!(found, Found { sure: 4 * UNIT, all, sure_hosts: 4, all_hosts: 5, weakest });
        let found = networks.add(NETWORK, answered(9), WINDOW, at(720));
        assert_eq!((found.sure, found.all), (UNIT, UNIT + UNIT / 4), "the first four have left");
        let found = networks.add(NETWORK, answered(9), WINDOW, at(180_000));
        assert_eq!(found, Found { sure: UNIT, all: UNIT, sure_hosts: 1, all_hosts: 1, weakest });
    }

    /// Nothing leaves it at a time for which an attacker could wait.
    #[test]
    fn the_window_is_never_shorter_than_it_is_said_to_be() {
        for window in [1, 7, 600, 3_601, 86_400].map(Duration::from_secs) {
            for begin in 0..300 {
                let mut networks = Networks::default();
                let begin = NOW + window * begin / 97;
                for host in 0..5 {
                    networks.add(NETWORK, answered(host), window, begin);
                }
                let end = begin + window.saturating_sub(Duration::from_millis(1));
                let found = networks.add(NETWORK, answered(5), window, end);
                assert_eq!(
                    (found.sure, found.sure_hosts),
                    (6 * UNIT, 6),
                    "{window:?} from {begin:?}"
                );
                let late = begin + window + window / 5;
                let found = networks.add(NETWORK, answered(5), window, late);
                assert!(found.sure <= 2 * UNIT, "{window:?} from {begin:?}: {found:?}");
            }
        }
    }

    #[test]
    fn the_weakest_grade_is_that_of_what_is_in_the_window() {
        let mut networks = Networks::default();
        let mut add = |grade, seconds| {
            let failed = Failed { grade, ..answered(1) };
            networks.add(NETWORK, failed, WINDOW, NOW + Duration::from_secs(seconds)).weakest
        };
        assert_eq!(add(Grade::Genuine, 0), Some(Grade::Genuine));
        assert_eq!(add(Grade::Challenged, 1), Some(Grade::Challenged));
        assert_eq!(add(Grade::Assumed, 2), Some(Grade::Challenged));
        assert_eq!(add(Grade::Answered, 300), Some(Grade::Challenged));
        assert_eq!(add(Grade::Answered, 1_200), Some(Grade::Answered));
    }

    /// A forger of many packets does not keep an attacker's network from its ban.
    #[test]
    fn what_was_reported_begins_anew_and_the_rest_stays() {
        let mut networks = Networks::default();
        for host in 0..19 {
            networks.add(NETWORK, answered(host), WINDOW, NOW);
        }
        assert_eq!(networks.add(NETWORK, borrowed(1), WINDOW, NOW).all, 19 * UNIT + UNIT / 4);
        networks.forget_weak(NETWORK);
        let found = networks.add(NETWORK, answered(20), WINDOW, NOW);
        assert_eq!((found.sure, found.all), (20 * UNIT, 20 * UNIT));
        networks.remove(NETWORK);
        assert_eq!(networks.add(NETWORK, answered(20), WINDOW, NOW).sure, UNIT);
    }

    #[test]
    fn a_network_in_the_same_place_takes_it_only_from_one_that_has_gone() {
        let mut networks = Networks::default();
        for host in 0..8 {
            networks.add(NETWORK, answered(host), WINDOW, NOW);
        }
        let other = NETWORK ^ 1 << 50;
        assert_eq!(networks.add(other, answered(1), WINDOW, NOW), Found::default());
        assert!(networks.add(NETWORK, answered(1), WINDOW, NOW).sure > 8 * UNIT);
        assert_eq!(networks.add(other, answered(1), WINDOW, NOW + 2 * WINDOW).sure, UNIT);
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let mut networks = Networks::default();
        let mut found = Found::default();
        for host in 0..100_000 {
            networks.add(NETWORK, borrowed(host), WINDOW, NOW);
            found = networks.add(NETWORK, answered(host), WINDOW, NOW);
        }
        assert!(found.sure >= 64 * UNIT && found.all > found.sure);
    }
}
