//! The networks that the limit never touches, as the kernel's interval sets want them.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::RouteError;

/// Networks at most that the limit can spare ([`Enforcer::spare_from`](crate::Enforcer::spare_from)). The phones, proxies and gateways of a large host are some thousands; 65,536 are
/// one transaction of 5 MB, which the kernel works through in about four seconds when all are
/// new; 8,000 take 50 ms.
pub const MOST_SPARED: usize = 65_536;

/// Networks that the limit spares, by family: ranges of addresses that neither overlap nor touch, since
/// the kernel refuses sets that contradict themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spared {
    pub(super) ipv4: BTreeSet<Range>,
    pub(super) ipv6: BTreeSet<Range>,
}

/// A range of addresses, both ends included. IPv4 addresses are the numbers below 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) first: u128,
    pub(super) last: u128,
}

impl Spared {
    /// Takes networks in any order, overlapping or not.
    ///
    /// # Errors
    /// When there are too many.
    pub(crate) fn new(nets: &[IpNet]) -> Result<Self, RouteError> {
        if nets.len() > MOST_SPARED {
            let (what, count) = (super::SPARE.to_owned(), nets.len());
            let reason = format!("{count} networks are too many, at most {MOST_SPARED} can be");
            return Err(RouteError::Refused { what, reason });
        }
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
        Ok(Self { ipv4: merged(ipv4), ipv6: merged(ipv6) })
    }

    /// Ranges of both families.
    pub(super) fn len(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }
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
