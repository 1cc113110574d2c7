//! Bans on their way into the gate's sets.

use std::collections::{BTreeSet, HashSet};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use nix::errno::Errno;

use super::elements::{self, Element, With};
use super::family::Family;
use super::ranges::{Range, Ranges};
use super::sets::Set;
use super::{Gate, content, message, refused};
use crate::ban::Exact;
use crate::ban::SipBans;
use crate::net_set::NetSet;
use crate::netlink::Batch;
use crate::{GateSettings, RouteError, Scope};

/// What cannot be done when the kernel refuses.
const BANS: &str = "change the bans in the gate";
/// Elements put back in one transaction: some milliseconds of the kernel's work, 70 kB at most.
const RESTORED: usize = 2_048;

/// Elements from which on a set is not read where its elements can be counted.
const LARGE: usize = 8_192;

/// Bans up to which the packets of each are counted: a counter takes 16 bytes of kernel memory on each CPU, and to
/// read more of them takes too long.
pub const MOST_COUNTED: usize = 8_192;

/// How a large set stands after all that it shall hold was put into it.
enum Completed {
    /// It holds nothing else. So many elements were missing.
    Equal { added: usize },
    /// It holds others too.
    WithOthers { added: usize },
    /// It is not large, or the kernel does not count (before Linux 6.16).
    Unknown,
}

/// Whether bans go in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

impl Gate {
    /// Whether the sets of bans and flows are not as they were left: they are new, or a change was refused.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Notes that bans changed without the sets.
    pub(crate) fn make_stale(&mut self) {
        self.is_stale = true;
    }

    /// Puts bans into the sets, or takes them out, in one transaction; those that no hash set holds are left alone.
    /// `nets` are all networks with [`Scope::Sip`] that shall be in the set of networks now; `None` leaves it as it
    /// is. New elements count packets if `are_counted`. Gives why the kernel refused: then all is as before.
    ///
    /// # Errors
    /// When netlink fails.
    pub(crate) async fn change_bans(
        &mut self,
        direction: Direction,
        bans: &[(IpNet, Scope)],
        nets: Option<Ranges>,
        are_counted: bool,
    ) -> Result<Option<String>, RouteError> {
        let gate = self.in_force();
        let nets = nets.filter(|_| gate.counts());
        let batch = message::transaction(|batch| {
            for exact in Exact::ALL {
                for (scope, set) in scopes(&gate, exact) {
                    let keys = bans.iter().filter(|(_, its)| *its == scope);
                    let keys = keys.filter_map(|(net, _)| Exact::of(*net));
                    let keys = keys.filter(|(its, _)| *its == exact);
                    let keys = keys.map(|(_, key)| key);
                    match direction {
                        Direction::In => add(batch, &gate, set, keys, are_counted),
                        Direction::Out => {
                            elements::delete(batch, &gate, set, keys.map(Element::value));
                        }
                    }
                }
            }
            if let Some(nets) = &nets {
                let before = Some(&self.sip_nets);
                elements::replace_ranges(batch, &gate, Set::SipBannedNets, before, nets);
            }
        });
        if let Some(refusal) = self.transact(batch).await? {
            self.is_stale = true;
            return Ok(Some(refused(BANS, &refusal).to_string()));
        }
        if let Some(nets) = nets {
            self.sip_nets = nets;
        }
        Ok(None)
    }

    /// Compares the sets with the bans and puts right what differs, a part at a time. Networks that this host is
    /// `connected` to (sorted) have no place in the set of banned hosts. New elements count packets if `are_counted`.
    /// Gives how many elements.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses; then the sets are still stale.
    pub(crate) async fn restore_bans(
        &mut self,
        hosts: &NetSet,
        sip: &SipBans,
        connected: &[IpNet],
        are_counted: bool,
    ) -> Result<usize, RouteError> {
        self.is_stale = true;
        let gate = self.in_force();
        let mut changed = 0;
        if gate.counts() {
            changed += self.restore_nets(&gate, &sip.nets).await?;
        }
        // Those without a route first.
        for scope in [Scope::Sip, Scope::Host] {
            let (bans, except): (_, &[IpNet]) =
                if scope == Scope::Sip { (&sip.hosts, &[]) } else { (hosts, connected) };
            for exact in Exact::ALL {
                let set = scopes(&gate, exact).find(|(its, _)| *its == scope);
                if let Some((_, set)) = set {
                    changed +=
                        self.restore_set(&gate, set, exact, bans, except, are_counted).await?;
                }
            }
        }
        self.is_stale = false;
        Ok(changed)
    }

    async fn restore_set(
        &mut self,
        gate: &GateSettings,
        set: Set,
        exact: Exact,
        bans: &NetSet,
        except: &[IpNet],
        are_counted: bool,
    ) -> Result<usize, RouteError> {
        let bans = bans.iter().filter(|net| except.binary_search(net).is_err());
        let keys = bans.filter_map(Exact::of);
        let wanted: Vec<u128> = keys.filter(|(its, _)| *its == exact).map(|(_, key)| key).collect();
        let added = match self.complete_large(gate, set, &wanted).await? {
            Completed::Equal { added } => return Ok(added),
            Completed::WithOthers { added } => added,
            Completed::Unknown => 0,
        };
        let mut extra: HashSet<u128> = HashSet::new();
        // While the kernel enlarges the table of a set, a dump may pass elements by: what is missing is looked for
        // twice.
        for _ in 0..2 {
            content::elements(&mut self.netfilter, gate, set, |element| {
                extra.insert(element.key);
            })
            .await?;
            if wanted.iter().all(|key| extra.contains(key)) {
                break;
            }
        }
        let missing: Vec<u128> = wanted.into_iter().filter(|key| !extra.remove(key)).collect();
        self.put_in(gate, set, &missing, are_counted).await?;
        let extra: Vec<Element> = extra.into_iter().map(Element::value).collect();
        for some in extra.chunks(RESTORED) {
            let fill = |batch: &mut Batch| elements::delete(batch, gate, set, some.iter().copied());
            match self.transact(message::transaction(fill)).await? {
                // Gone meanwhile.
                Some(refusal) if refusal.errno == Errno::ENOENT => {}
                Some(refusal) => return Err(refused(BANS, &refusal)),
                None => {}
            }
        }
        Ok(added + missing.len() + extra.len())
    }

    /// Puts everything that a large set shall hold into it, which leaves alone what is there, and counts: to read a
    /// large set takes the kernel long, because it begins each part of a dump at the first element.
    async fn complete_large(
        &mut self,
        gate: &GateSettings,
        set: Set,
        wanted: &[u128],
    ) -> Result<Completed, RouteError> {
        if wanted.len() < LARGE {
            return Ok(Completed::Unknown);
        }
        let Some(before) = content::count(&mut self.netfilter, gate, set).await? else {
            return Ok(Completed::Unknown);
        };
        self.put_in(gate, set, wanted, false).await?;
        let Some(after) = content::count(&mut self.netfilter, gate, set).await? else {
            return Ok(Completed::Unknown);
        };
        let added = after.saturating_sub(before);
        let is_equal = after == wanted.len();
        Ok(if is_equal { Completed::Equal { added } } else { Completed::WithOthers { added } })
    }

    async fn put_in(
        &mut self,
        gate: &GateSettings,
        set: Set,
        keys: &[u128],
        are_counted: bool,
    ) -> Result<(), RouteError> {
        for some in keys.chunks(RESTORED) {
            let keys = some.iter().copied();
            let batch = message::transaction(|batch| add(batch, gate, set, keys, are_counted));
            if let Some(refusal) = self.transact(batch).await? {
                return Err(refused(BANS, &refusal));
            }
            // A large set takes many of them, in which nothing waits: other tasks of this thread get their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn restore_nets(
        &mut self,
        gate: &GateSettings,
        sip: &BTreeSet<IpNet>,
    ) -> Result<usize, RouteError> {
        let target = nets(sip);
        let mut differ = 0;
        for family in Family::BOTH {
            let mut found = BTreeSet::new();
            let set = Set::SipBannedNets(family);
            content::elements(&mut self.netfilter, gate, set, |element| {
                found.insert(element);
            })
            .await?;
            let wanted = elements::ranges(family, target.of(family)).collect();
            differ += found.symmetric_difference(&wanted).count();
        }
        if differ > 0 {
            let mut before: Option<Ranges> = None;
            loop {
                let next = before.clone().unwrap_or_default().towards(&target);
                let batch = message::transaction(|batch| {
                    elements::replace_ranges(
                        batch,
                        gate,
                        Set::SipBannedNets,
                        before.as_ref(),
                        &next,
                    );
                });
                if let Some(refusal) = self.transact(batch).await? {
                    return Err(refused(BANS, &refusal));
                }
                if next == target {
                    break;
                }
                before = Some(next);
            }
        }
        self.sip_nets = target;
        Ok(differ)
    }

    /// The packets of each banned host that the gate has dropped since the host is in its set. Hosts whose packets are
    /// not counted are left out.
    ///
    /// # Errors
    /// When netlink fails.
    pub(crate) async fn dropped(&mut self) -> Result<Vec<(IpNet, u64)>, RouteError> {
        let gate = self.in_force();
        let mut dropped = Vec::new();
        for exact in Exact::ALL {
            for (_, set) in scopes(&gate, exact) {
                // Where the set is gone, nothing is counted.
                let _outcome =
                    content::read(&mut self.netfilter, &gate, set, |element, packets| {
                        dropped.extend(packets.map(|packets| (exact.net(element.key), packets)));
                    })
                    .await?;
            }
        }
        Ok(dropped)
    }

    /// The bans with [`Scope::Sip`] that the sets hold, and how many hosts with [`Scope::Host`]. Networks that touch
    /// are joined.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn bans(&mut self, scope: Scope) -> Result<BTreeSet<IpNet>, RouteError> {
        let gate = self.in_force();
        let mut found = BTreeSet::new();
        for exact in Exact::ALL {
            for (_, set) in scopes(&gate, exact).filter(|(its, _)| *its == scope) {
                content::elements(&mut self.netfilter, &gate, set, |element| {
                    found.insert(exact.net(element.key));
                })
                .await?;
            }
        }
        if scope == Scope::Sip && gate.counts() {
            for family in Family::BOTH {
                let (mut starts, mut ends) = (BTreeSet::new(), BTreeSet::new());
                let set = Set::SipBannedNets(family);
                content::elements(&mut self.netfilter, &gate, set, |element| {
                    let side = if element.is_end { &mut ends } else { &mut starts };
                    side.insert(element.key);
                })
                .await?;
                for first in starts {
                    let end = ends.range(first.saturating_add(1)..).next();
                    let last = end.map_or(family.last_address(), |end| end.saturating_sub(1));
                    found.extend(subnets(family, Range { first, last }));
                }
            }
        }
        Ok(found)
    }
}

/// Adds banned hosts, with a counter each or without.
fn add(
    batch: &mut Batch,
    gate: &GateSettings,
    set: Set,
    keys: impl Iterator<Item = u128>,
    are_counted: bool,
) {
    let with = With { counter: are_counted, ..With::default() };
    elements::add_with(batch, gate, set, keys.map(|key| (key, with)));
}

/// The set of each scope that these settings have.
fn scopes(gate: &GateSettings, exact: Exact) -> impl Iterator<Item = (Scope, Set)> {
    let sip = gate.counts().then_some((Scope::Sip, Set::SipBanned(exact)));
    [(Scope::Host, Set::Banned(exact))].into_iter().chain(sip)
}

/// The networks among bans that no hash set holds, as a set of ranges wants them.
pub(crate) fn nets<'a>(bans: impl IntoIterator<Item = &'a IpNet>) -> Ranges {
    let nets: Vec<IpNet> =
        bans.into_iter().filter(|net| Exact::of(**net).is_none()).copied().collect();
    Ranges::new(&nets)
}

/// The networks that make up a range.
fn subnets(family: Family, range: Range) -> Vec<IpNet> {
    match family {
        Family::V4 => {
            let [first, last] = [range.first, range.last]
                .map(|key| std::net::Ipv4Addr::from(u32::try_from(key).unwrap_or(u32::MAX)));
            Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
        }
        Family::V6 => {
            let [first, last] = [range.first, range.last].map(std::net::Ipv6Addr::from);
            Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
        }
    }
}

#[cfg(test)]
mod tests;
