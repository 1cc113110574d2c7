//! The active bans.

mod views;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

pub(crate) use views::shared;
pub use views::{BanView, Enforcement, Origin};

use crate::net_filter::NetFilter;
use crate::{Cause, Expiry, Grade, RuleName, Scope, Timestamp};

/// Bans that keep the readable part of their evidence (about 1 kB each); older ones keep numbers only,
/// so that half a million bans stay within the daemon's memory.
const MAX_DETAILED: usize = 4_096;

/// Stale expiries tolerated beside as many as there are bans, before the heap is rebuilt.
const EXPIRY_SLACK: usize = 1_024;

/// The place in [`Bans::weak`] of bans on evidence without a nonce.
const FORGEABLE: usize = 1;

/// Active bans by network, and when each ends.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    /// Boxed, because every second node of a trie is a fork without a ban.
    nets: JointPrefixMap<IpNet, Box<Ban>>,
    /// Spares the failures of the unbanned the walk through the trie.
    filter: NetFilter,
    /// May hold ends that no longer hold; its top never does.
    expiries: BinaryHeap<Reverse<(Timestamp, IpNet)>>,
    /// Bans with details, oldest first; may name some that are gone.
    detailed: VecDeque<IpNet>,
    /// Bans the kernel refused.
    failed: usize,
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

fn unboxed((net, ban): (IpNet, &impl AsRef<Ban>)) -> (IpNet, &Ban) {
    (net, ban.as_ref())
}

/// One ban.
#[derive(Clone, Debug)]
pub(crate) struct Ban {
    pub(crate) since: Timestamp,
    pub(crate) until: Expiry,
    pub(crate) origin: Origin,
    pub(crate) scope: Scope,
    pub(crate) cause: Arc<Cause>,
    pub(crate) enforcement: Enforcement,
}

impl Ban {
    pub(crate) fn new(
        since: Timestamp,
        until: Expiry,
        origin: Origin,
        scope: Scope,
        cause: Arc<Cause>,
    ) -> Self {
        Self { since, until, origin, scope, cause, enforcement: Enforcement::Pending }
    }

    pub(crate) fn view(&self, net: IpNet) -> BanView<'_> {
        let Self { since, until, origin, scope, ref cause, ref enforcement } = *self;
        BanView { net, since, until, origin, scope, cause, enforcement }
    }

    /// It was decided by a peer, or on evidence that one packet can forge.
    pub(crate) fn is_weak(&self) -> bool {
        self.weakness().is_some()
    }

    /// The kind of weak ban it is: its place in [`Bans::weak`].
    fn weakness(&self) -> Option<usize> {
        if self.origin == Origin::Remote {
            return Some(0);
        }
        let evidence = self.cause.evidence().filter(|_| self.origin == Origin::Automatic)?;
        match evidence.grade {
            Grade::Unjoined | Grade::Unproven => Some(FORGEABLE),
            Grade::Unchallenged => Some(2),
            Grade::Challenged | Grade::Assumed | Grade::Answered | Grade::Genuine => None,
        }
    }

    fn is_forgeable(&self) -> bool {
        self.weakness() == Some(FORGEABLE)
    }

    fn is_of_network(&self) -> bool {
        matches!(&*self.cause, Cause::Rule(evidence) if evidence.rule == RuleName::Network)
    }
}

impl Bans {
    pub(crate) fn new(seed: u64) -> Self {
        Self { filter: NetFilter::new(seed), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.nets.len()
    }

    pub(crate) fn get(&self, net: &IpNet) -> Option<&Ban> {
        self.nets.get(net).map(|ban| &**ban)
    }

    /// The narrowest ban that covers `addr`.
    pub(crate) fn covering(&self, addr: IpAddr) -> Option<(IpNet, &Ban)> {
        if !self.filter.may_cover(addr) {
            return None;
        }
        self.nets.get_lpm(&IpNet::from(addr)).map(unboxed)
    }

    /// Bans wider than `net`, widest first.
    pub(crate) fn around(&self, net: &IpNet) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.nets.cover(net).filter(move |(wider, _)| wider != net).map(unboxed)
    }

    /// Bans narrower than `net`.
    pub(crate) fn inside(&self, net: &IpNet) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.nets.children(net).filter(move |(inner, _)| inner != net).map(unboxed)
    }

    /// Bans of `net` and inside it, in the order of their networks.
    pub(crate) fn within(&self, net: IpNet) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.nets.children(&net).map(unboxed)
    }

    /// The bans that share an address with `net`.
    pub(crate) fn touching(&self, net: &IpNet) -> Vec<IpNet> {
        let own = self.get(net).map(|_| *net);
        let nested = self.around(net).chain(self.inside(net)).map(|(net, _)| net);
        own.into_iter().chain(nested).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.nets.iter().map(unboxed)
    }

    /// In the order of their networks, from behind `net` on.
    pub(crate) fn after(&self, net: IpNet) -> impl Iterator<Item = (IpNet, &Ban)> {
        self.nets.iter_from(&net, false).map(unboxed)
    }

    /// Adds a ban; one of the same network is replaced.
    pub(crate) fn insert(&mut self, net: IpNet, ban: Ban) {
        self.remove(&net);
        if let Expiry::At(end) = ban.until {
            self.expiries.push(Reverse((end, net)));
        }
        if ban.cause.evidence().is_some_and(|evidence| evidence.details.is_some()) {
            self.detailed.push_back(net);
        }
        self.failed += usize::from(ban.enforcement.is_failed());
        self.forgeable += usize::from(ban.is_forgeable());
        self.networks += usize::from(ban.is_of_network());
        self.sip += usize::from(ban.scope == Scope::Sip);
        self.remote += usize::from(ban.origin == Origin::Remote);
        if let Some(weak) = ban.weakness().and_then(|kind| self.weak.get_mut(kind)) {
            weak.push_back(net);
        }
        self.filter.insert(&net);
        self.nets.insert(net, Box::new(ban));
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
        let Reverse((until, net)) = *self.expiries.peek()?;
        let automatic = self.get(&net)?.origin == Origin::Automatic;
        if !automatic || Expiry::At(until) >= end {
            return None;
        }
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
        let ban = *self.nets.remove(net)?;
        self.filter.remove(net);
        self.failed -= usize::from(ban.enforcement.is_failed());
        self.forgeable -= usize::from(ban.is_forgeable());
        self.networks -= usize::from(ban.is_of_network());
        self.sip -= usize::from(ban.scope == Scope::Sip);
        self.remote -= usize::from(ban.origin == Origin::Remote);
        self.drop_stale_expiries();
        Some(ban)
    }

    /// What the kernel said about a ban. `None` when there is none.
    pub(crate) fn set_enforcement(&mut self, net: &IpNet, enforcement: Enforcement) -> Option<()> {
        let ban = self.nets.get_mut(net)?;
        self.failed -= usize::from(ban.enforcement.is_failed());
        self.failed += usize::from(enforcement.is_failed());
        ban.enforcement = enforcement;
        Some(())
    }

    /// Bans the kernel refused.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// When the next ban ends.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.peek().map(|Reverse((end, _))| *end)
    }

    /// Removes a ban whose end has come.
    pub(crate) fn pop_expired(&mut self, now: Timestamp) -> Option<(IpNet, Ban)> {
        let Reverse((end, net)) = *self.expiries.peek()?;
        if end > now {
            return None;
        }
        self.expiries.pop();
        let ban = self.remove(&net)?;
        self.drop_stale_expiries();
        Some((net, ban))
    }

    /// Keeps the top of the heap true, so that the next deadline is one.
    fn drop_stale_expiries(&mut self) {
        while let Some(Reverse((end, net))) = self.expiries.peek() {
            if self.nets.get(net).is_some_and(|ban| ban.until == Expiry::At(*end)) {
                return;
            }
            self.expiries.pop();
        }
    }

    fn rebuild_expiries(&mut self) {
        let ends = self.nets.iter().filter_map(|(net, ban)| match ban.until {
            Expiry::At(end) => Some(Reverse((end, net))),
            Expiry::Never => None,
        });
        self.expiries = ends.collect();
    }

    fn age_details(&mut self) {
        while self.detailed.len() > MAX_DETAILED {
            let Some(net) = self.detailed.pop_front() else {
                return;
            };
            if let Some(ban) = self.nets.get_mut(&net)
                && let Some(aged) = ban.cause.aged()
            {
                ban.cause = aged;
            }
        }
    }
}
