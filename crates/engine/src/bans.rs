//! The active bans.

mod views;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::IpAddr;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

pub use views::{BanView, Enforcement, Origin};

use crate::kept_cause::KeptCause;
use crate::net_filter::NetFilter;
use crate::slot::{Pages, Slot};
use crate::{Action, Expiry, Grade, RuleName, Scope, Timestamp};

/// Bans that keep the readable part of their evidence (about 1 kB each); older ones keep numbers only,
/// so that half a million bans stay within the daemon's memory.
const MAX_DETAILED: usize = 4_096;

/// Stale expiries tolerated beside as many as there are bans, before the heap is rebuilt.
const EXPIRY_SLACK: usize = 1_024;

/// The place in [`Bans::weak`] of bans on evidence without a nonce.
const FORGEABLE: usize = 1;

/// Active bans by network, and when each ends.
///
/// A host under attack for a year has half a million of them: a ban takes some 125 bytes in all.
#[derive(Debug)]
pub(crate) struct Bans {
    /// Where each ban stands: only a handle, because a trie keeps room for networks that are not banned.
    nets: JointPrefixMap<IpNet, Slot>,
    /// The bans. What is removed leaves `None`.
    table: Pages<Option<Ban>>,
    /// Spares the failures of the unbanned the walk through the trie.
    filter: NetFilter,
    /// May hold ends that no longer hold; its top never does. Another ban with the same end may stand in the place
    /// of one that is gone: then that end is right for it.
    expiries: BinaryHeap<Reverse<(Timestamp, Slot)>>,
    /// Bans with details, oldest first; may name some that are gone.
    detailed: VecDeque<IpNet>,
    /// Bans the kernel refused, with what it said.
    failed: BTreeMap<IpNet, Enforcement>,
    /// Bans of peers, and those on evidence that one packet can forge: without a nonce, and with one.
    /// The oldest first; may name some that are gone.
    weak: [VecDeque<IpNet>; 3],
    /// How many of the second kind there are.
    forgeable: usize,
    /// Bans of whole networks by rule.
    networks: usize,
    /// Bans from the SIP ports only.
    sip: usize,
    /// Bans that other nodes decided.
    remote: usize,
}

/// One ban: 80 bytes.
#[derive(Clone, Debug)]
pub(crate) struct Ban {
    net: IpNet,
    pub(crate) origin: Origin,
    pub(crate) scope: Scope,
    state: State,
    pub(crate) since: Timestamp,
    /// `None`: only when somebody lifts it.
    end: Option<Timestamp>,
    pub(crate) cause: KeptCause,
}

/// An [`Enforcement`]; what the kernel said is in [`Bans::failed`].
#[derive(Clone, Copy, Debug)]
enum State {
    Pending,
    Enforced,
    Ineffective,
    Failed,
}

impl Ban {
    pub(crate) fn new(
        net: IpNet,
        since: Timestamp,
        until: Expiry,
        origin: Origin,
        scope: Scope,
        cause: impl Into<KeptCause>,
    ) -> Self {
        let end = match until {
            Expiry::At(end) => Some(end),
            Expiry::Never => None,
        };
        Self { net, origin, scope, state: State::Pending, since, end, cause: cause.into() }
    }

    pub(crate) fn net(&self) -> IpNet {
        self.net
    }

    /// What has the kernel enforce it.
    pub(crate) fn block(&self) -> Action {
        let Self { net, since, scope, .. } = *self;
        Action::Block { net, since, until: self.until(), scope, cause: self.cause.get() }
    }

    pub(crate) fn until(&self) -> Expiry {
        self.end.map_or(Expiry::Never, Expiry::At)
    }

    /// It was decided by a peer, or on evidence that one packet can forge.
    pub(crate) fn is_weak(&self) -> bool {
        self.weakness().is_some()
    }

    /// The kind of weak ban it is: its place in [`Bans::weak`].
    fn weakness(&self) -> Option<usize> {
        match self.origin {
            Origin::Remote => return Some(0),
            Origin::Automatic => {}
            Origin::Manual | Origin::Forced => return None,
        }
        match self.cause.evidence()?.grade {
            Grade::Unjoined | Grade::Unproven => Some(FORGEABLE),
            Grade::Unchallenged => Some(2),
            Grade::Challenged | Grade::Assumed | Grade::Answered | Grade::Genuine => None,
        }
    }

    fn is_forgeable(&self) -> bool {
        self.weakness() == Some(FORGEABLE)
    }

    fn is_of_network(&self) -> bool {
        self.cause.is_of(RuleName::Network)
    }
}

impl Bans {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nets: JointPrefixMap::new(),
            table: Pages::new(),
            filter: NetFilter::new(seed),
            expiries: BinaryHeap::new(),
            detailed: VecDeque::new(),
            failed: BTreeMap::new(),
            weak: <[VecDeque<IpNet>; 3]>::default(),
            forgeable: 0,
            networks: 0,
            sip: 0,
            remote: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nets.len()
    }

    pub(crate) fn get(&self, net: &IpNet) -> Option<&Ban> {
        self.at(*self.nets.get(net)?)
    }

    fn at(&self, slot: Slot) -> Option<&Ban> {
        self.table.get(slot)?.as_ref()
    }

    fn get_mut(&mut self, net: &IpNet) -> Option<&mut Ban> {
        self.table.get_mut(*self.nets.get(net)?)?.as_mut()
    }

    fn behind<'a>(
        &'a self,
        slots: impl Iterator<Item = (IpNet, &'a Slot)>,
    ) -> impl Iterator<Item = (IpNet, &'a Ban)> {
        slots.filter_map(|(net, slot)| Some((net, self.at(*slot)?)))
    }

    /// A ban as others see it.
    pub(crate) fn view<'a>(&'a self, ban: &'a Ban) -> BanView<'a> {
        let Ban { net, since, origin, scope, state, ref cause, .. } = *ban;
        let enforcement = match state {
            State::Pending => &Enforcement::Pending,
            State::Enforced => &Enforcement::Enforced,
            State::Ineffective => &Enforcement::Ineffective,
            State::Failed => self.failed.get(&net).unwrap_or(&Enforcement::Pending),
        };
        BanView { net, since, until: ban.until(), origin, scope, cause, enforcement }
    }

    /// The narrowest ban that covers `addr`.
    pub(crate) fn covering(&self, addr: IpAddr) -> Option<(IpNet, &Ban)> {
        if !self.filter.may_cover(addr) {
            return None;
        }
        let (net, slot) = self.nets.get_lpm(&IpNet::from(addr))?;
        Some((net, self.at(*slot)?))
    }

    /// Bans wider than `net`, widest first.
    pub(crate) fn around(&self, net: &IpNet) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.behind(self.nets.cover(net).filter(move |(wider, _)| wider != net))
    }

    /// Bans narrower than `net`.
    pub(crate) fn inside(&self, net: &IpNet) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.behind(self.nets.children(net).filter(move |(inner, _)| inner != net))
    }

    /// Bans of `net` and inside it, in the order of their networks.
    pub(crate) fn within(&self, net: IpNet) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.behind(self.nets.children(&net))
    }

    /// The bans that share an address with `net`.
    pub(crate) fn touching(&self, net: &IpNet) -> Vec<IpNet> {
        let own = self.get(net).map(|_| *net);
        let nested = self.around(net).chain(self.inside(net)).map(|(net, _)| net);
        own.into_iter().chain(nested).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.behind(self.nets.iter())
    }

    /// In the order of their networks, from behind `net` on.
    pub(crate) fn after(&self, net: IpNet) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.behind(self.nets.iter_from(&net, false))
    }

    /// Adds a ban, which is pending; one of the same network is replaced.
    pub(crate) fn insert(&mut self, mut ban: Ban) {
        let (net, end) = (ban.net, ban.end);
        self.remove(&net);
        ban.state = State::Pending;
        if ban.cause.has_details() {
            self.detailed.push_back(net);
        }
        self.forgeable += usize::from(ban.is_forgeable());
        self.networks += usize::from(ban.is_of_network());
        self.sip += usize::from(ban.scope == Scope::Sip);
        self.remote += usize::from(ban.origin == Origin::Remote);
        if let Some(weak) = ban.weakness().and_then(|kind| self.weak.get_mut(kind)) {
            weak.push_back(net);
        }
        self.filter.insert(&net);
        let slot = self.table.store(Some(ban));
        self.nets.insert(net, slot);
        if let Some(end) = end {
            self.expiries.push(Reverse((end, slot)));
        }
        self.age_details();
        self.drop_stale_weak();
        if self.expiries.len() > 2 * self.nets.len() + EXPIRY_SLACK {
            self.rebuild_expiries();
        }
    }

    /// Bans on evidence that one packet without a nonce can forge.
    pub(crate) fn forgeable(&self) -> usize {
        self.forgeable
    }

    /// Bans of whole networks by rule.
    pub(crate) fn networks(&self) -> usize {
        self.networks
    }

    /// Removes the oldest ban on the weakest evidence, if any is weak.
    pub(crate) fn pop_weakest(&mut self) -> Option<IpNet> {
        for kind in 0..self.weak.len() {
            while let Some(net) = self.weak.get_mut(kind).and_then(VecDeque::pop_front) {
                if self.get(&net).and_then(Ban::weakness) == Some(kind) {
                    self.remove(&net);
                    return Some(net);
                }
            }
        }
        None
    }

    /// Removes the automatic ban that ends first, if that is before `end`.
    pub(crate) fn pop_first_to_end(&mut self, end: Expiry) -> Option<IpNet> {
        let Reverse((until, slot)) = *self.expiries.peek()?;
        let ban = self.at(slot)?;
        if ban.origin != Origin::Automatic || Expiry::At(until) >= end {
            return None;
        }
        let net = ban.net;
        self.remove(&net);
        Some(net)
    }

    /// Bans from the SIP ports only.
    pub(crate) fn sip(&self) -> usize {
        self.sip
    }

    /// Bans that other nodes decided.
    pub(crate) fn remote(&self) -> usize {
        self.remote
    }

    fn drop_stale_weak(&mut self) {
        for kind in 0..self.weak.len() {
            let Some(weak) = self.weak.get_mut(kind) else { continue };
            if weak.len() > 2 * self.nets.len() + EXPIRY_SLACK {
                let mut kept = std::mem::take(weak);
                kept.retain(|net| self.get(net).and_then(Ban::weakness) == Some(kind));
                if let Some(weak) = self.weak.get_mut(kind) {
                    *weak = kept;
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, net: &IpNet) -> Option<Ban> {
        let slot = self.nets.remove(net)?;
        let ban = self.table.get_mut(slot).and_then(Option::take)?;
        self.table.release(slot);
        self.filter.remove(net);
        self.failed.remove(net);
        self.forgeable -= usize::from(ban.is_forgeable());
        self.networks -= usize::from(ban.is_of_network());
        self.sip -= usize::from(ban.scope == Scope::Sip);
        self.remote -= usize::from(ban.origin == Origin::Remote);
        self.drop_stale_expiries();
        Some(ban)
    }

    /// What the kernel said about a ban. `None` when there is none.
    pub(crate) fn set_enforcement(&mut self, net: &IpNet, enforcement: Enforcement) -> Option<()> {
        let ban = self.get_mut(net)?;
        ban.state = match enforcement {
            Enforcement::Pending => State::Pending,
            Enforcement::Enforced => State::Enforced,
            Enforcement::Ineffective => State::Ineffective,
            Enforcement::Failed { .. } => State::Failed,
        };
        if enforcement.is_failed() {
            self.failed.insert(*net, enforcement);
        } else {
            self.failed.remove(net);
        }
        Some(())
    }

    /// Bans the kernel refused.
    pub(crate) fn failed(&self) -> usize {
        self.failed.len()
    }

    /// When the next ban ends.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.peek().map(|Reverse((end, _))| *end)
    }

    /// Removes a ban whose end has come.
    pub(crate) fn pop_expired(&mut self, now: Timestamp) -> Option<IpNet> {
        let Reverse((end, slot)) = *self.expiries.peek()?;
        if end > now {
            return None;
        }
        let net = self.at(slot)?.net;
        self.remove(&net).map(|_| net)
    }

    /// Keeps the top of the heap true, so that the next deadline is one.
    fn drop_stale_expiries(&mut self) {
        while let Some(Reverse((end, slot))) = self.expiries.peek() {
            if self.at(*slot).is_some_and(|ban| ban.end == Some(*end)) {
                return;
            }
            self.expiries.pop();
        }
    }

    fn rebuild_expiries(&mut self) {
        let ends =
            self.nets.iter().filter_map(|(_, slot)| Some(Reverse((self.at(*slot)?.end?, *slot))));
        self.expiries = ends.collect();
    }

    fn age_details(&mut self) {
        while self.detailed.len() > MAX_DETAILED {
            let Some(net) = self.detailed.pop_front() else {
                return;
            };
            if let Some(ban) = self.get_mut(&net) {
                ban.cause.age();
            }
        }
    }
}

#[cfg(test)]
mod tests;
