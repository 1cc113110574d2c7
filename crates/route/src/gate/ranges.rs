//! The networks that are not limited, as the kernel's interval sets want them.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::family::Family;

/// Networks added in one transaction. A thousand are some 20 ms of the kernel's work on a busy machine,
/// in which no ban is set.
const STEP: usize = 2_048;

/// Networks that are not limited, by family: ranges of addresses that neither overlap nor touch, since
/// the kernel refuses sets that contradict themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    pub(super) ipv4: BTreeSet<Range>,
    pub(super) ipv6: BTreeSet<Range>,
}

/// A range of addresses, both ends included. IPv4 addresses are the numbers below 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) first: u128,
    pub(super) last: u128,
}

impl Ranges {
    /// Takes networks in any order, overlapping or not.
    pub(crate) fn new(nets: &[IpNet]) -> Self {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for net in nets {
            match net {
                IpNet::V4(net) => ipv4.push(Range {
                    first: u32::from(net.network()).into(),
                    last: u32::from(net.broadcast()).into(),
                }),
                IpNet::V6(net) => {
                    ipv6.push(Range { first: net.network().into(), last: net.broadcast().into() });
                }
            }
        }
        Self { ipv4: merged(ipv4), ipv6: merged(ipv6) }
    }

    /// A step from here to `target`: without what is not in it, and with some more of what is. Takes as
    /// many steps as needed; each gives sets that do not contradict themselves.
    pub(super) fn towards(&self, target: &Self) -> Self {
        let mut room = STEP;
        let ipv4 = step(&self.ipv4, &target.ipv4, &mut room);
        let ipv6 = step(&self.ipv6, &target.ipv6, &mut room);
        Self { ipv4, ipv6 }
    }

    /// Those of a family.
    pub(super) fn of(&self, family: Family) -> &BTreeSet<Range> {
        match family {
            Family::V4 => &self.ipv4,
            Family::V6 => &self.ipv6,
        }
    }

    /// Ranges of both families.
    pub(super) fn len(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }
}

fn step(now: &BTreeSet<Range>, target: &BTreeSet<Range>, room: &mut usize) -> BTreeSet<Range> {
    let mut next: BTreeSet<Range> = now.intersection(target).copied().collect();
    let kept = next.len();
    next.extend(target.difference(now).take(*room));
    *room = room.saturating_sub(next.len() - kept);
    next
}

fn merged(mut ranges: Vec<Range>) -> BTreeSet<Range> {
    ranges.sort_unstable();
    let mut merged = BTreeSet::new();
    let mut open: Option<Range> = None;
    for range in ranges {
        match &mut open {
            Some(open) if range.first <= open.last.saturating_add(1) => {
                open.last = open.last.max(range.last);
            }
            Some(done) => {
                merged.insert(*done);
                *done = range;
            }
            None => open = Some(range),
        }
    }
    merged.extend(open);
    merged
}

#[cfg(test)]
mod tests;
