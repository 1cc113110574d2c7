//! The bans that stand elsewhere, by network and peer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use super::peers::PeerId;
use crate::{Cause, Timestamp};

/// Ends kept beside as many as there are assertions, before those of replaced ones are thrown out.
const SLACK: usize = 1_024;

/// A ban that a peer says stands.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    pub(crate) peer: PeerId,
    pub(crate) n: u64,
    pub(crate) decided: Timestamp,
    pub(crate) until: Timestamp,
    /// [`Cause::Remote`].
    pub(crate) cause: Arc<Cause>,
}

/// What an assertion does to those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The first of its peer for the network.
    New,
    /// A newer one than the one that is there.
    Newer,
    /// The same again.
    Same,
    /// An older one.
    Older,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Assertions {
    nets: JointPrefixMap<IpNet, Vec<Assertion>>,
    ends: BinaryHeap<Reverse<(Timestamp, IpNet)>>,
    count: usize,
}

impl Assertions {
    /// Those of exactly this network.
    pub(crate) fn of(&self, net: &IpNet) -> &[Assertion] {
        self.nets.get(net).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The networks with assertions that share an address with `net`, wider ones first.
    pub(crate) fn touching(&self, net: &IpNet) -> Vec<IpNet> {
        let around = self.nets.cover(net).map(|(net, _)| net).filter(|wider| wider != net);
        let within = self.nets.children(net).map(|(net, _)| net);
        around.chain(within).collect()
    }

    /// All of them, in the order of their networks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &Assertion)> {
        self.nets.iter().flat_map(|(net, all)| all.iter().map(move |one| (net, one)))
    }

    /// What an assertion of `peer` with number `n` would be.
    pub(crate) fn news(&self, net: &IpNet, peer: PeerId, n: u64) -> News {
        match self.of(net).iter().find(|held| held.peer == peer) {
            None => News::New,
            Some(held) if n > held.n => News::Newer,
            Some(held) if n == held.n => News::Same,
            Some(_) => News::Older,
        }
    }

    /// Takes an assertion in, unless an older one: of the same again the later end holds.
    pub(crate) fn put(&mut self, net: IpNet, assertion: Assertion) {
        self.ends.push(Reverse((assertion.until, net)));
        let mut all = self.nets.remove(&net).unwrap_or_default();
        match all.iter_mut().find(|held| held.peer == assertion.peer) {
            None => {
                self.count += 1;
                all.push(assertion);
            }
            Some(held) if assertion.n > held.n => *held = assertion,
            Some(held) if assertion.n == held.n => held.until = held.until.max(assertion.until),
            Some(_) => {}
        }
        self.nets.insert(net, all);
        if self.ends.len() > 2 * self.count + SLACK {
            self.ends = self.iter().map(|(net, one)| Reverse((one.until, net))).collect();
        }
    }

    /// Takes that of a peer out, unless it is newer than `n`. True when it was there.
    pub(crate) fn end(&mut self, net: &IpNet, peer: PeerId, n: u64) -> bool {
        self.retain(net, |held| held.peer != peer || held.n > n).is_some()
    }

    /// Takes one out whose end has come; gives its peer.
    pub(crate) fn pop_over(&mut self, now: Timestamp) -> Option<PeerId> {
        loop {
            let Reverse((end, net)) = *self.ends.peek()?;
            if end > now {
                return None;
            }
            let mut first = None;
            let over = |held: &Assertion| held.until <= now;
            if let Some(peer) = self.of(&net).iter().find(|held| over(held)).map(|held| held.peer) {
                self.retain(&net, |held| held.peer != peer);
                first = Some(peer);
            } else {
                self.ends.pop();
            }
            if first.is_some() {
                return first;
            }
        }
    }

    /// Takes out those that are not kept; `None` when all are.
    fn retain(&mut self, net: &IpNet, keep: impl Fn(&Assertion) -> bool) -> Option<()> {
        let all = self.nets.get_mut(net)?;
        let before = all.len();
        all.retain(keep);
        let gone = before - all.len();
        if all.is_empty() {
            self.nets.remove(net);
        }
        self.count -= gone;
        (gone > 0).then_some(())
    }
}
