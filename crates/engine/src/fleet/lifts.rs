//! What operators have lifted.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use super::views::LiftView;
use crate::Timestamp;

/// Lifts remembered; of more the oldest is forgotten.
const MAX_LIFTS: usize = 65_536;

/// How long a lift is remembered: as long as the stream keeps a ban.
const KEPT: Duration = Duration::from_secs(8 * 86_400);

/// What is decided so soon after a lift may have been decided before: two clocks, each wrong by ten minutes.
pub(crate) const CLOCKS_DIFFER: Duration = Duration::from_secs(20 * 60);

#[derive(Clone, Debug)]
struct Lift {
    since: Timestamp,
    hold_until: Timestamp,
    reason: Box<str>,
}

/// All lifts.
#[derive(Debug, Default)]
pub(crate) struct Lifts {
    nets: JointPrefixMap<IpNet, Lift>,
    by_time: BTreeSet<(Timestamp, IpNet)>,
    holds: BTreeSet<(Timestamp, IpNet)>,
}

impl Lifts {
    /// A lift of `net`, made at `since`. Of two of the same network the later times hold.
    pub(crate) fn put(
        &mut self,
        net: IpNet,
        since: Timestamp,
        hold_until: Timestamp,
        reason: Box<str>,
    ) {
        let mut lift = Lift { since, hold_until, reason };
        if let Some(held) = self.remove(&net) {
            if held.since > lift.since {
                (lift.since, lift.reason) = (held.since, held.reason);
            }
            lift.hold_until = lift.hold_until.max(held.hold_until);
        }
        while self.by_time.len() >= MAX_LIFTS {
            let Some((_, oldest)) = self.by_time.first().copied() else { break };
            self.remove(&oldest);
        }
        self.by_time.insert((lift.since, net));
        self.holds.insert((lift.hold_until, net));
        self.nets.insert(net, lift);
    }

    /// The lift that forbids a ban of `net` that was decided at `decided`.
    pub(crate) fn against(&self, net: &IpNet, decided: Timestamp, now: Timestamp) -> Option<IpNet> {
        let within = self.nets.children(net).filter(move |(inner, _)| inner != net);
        let mut touching = self.nets.cover(net).chain(within);
        let forbids = |lift: &Lift| now < lift.hold_until || decided < lift.since + CLOCKS_DIFFER;
        touching.find(|(_, lift)| forbids(lift)).map(|(net, _)| net)
    }

    /// A network whose hold is over since the last call.
    pub(crate) fn pop_released(&mut self, now: Timestamp) -> Option<IpNet> {
        let (until, net) = *self.holds.first().filter(|(until, _)| *until <= now)?;
        self.holds.remove(&(until, net));
        Some(net)
    }

    /// Forgets those that are older than any ban in the stream.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((since, net)) = self.by_time.first().copied() {
            let holds = self.nets.get(&net).is_some_and(|lift| now < lift.hold_until);
            if now.since(since) < KEPT || holds {
                return;
            }
            self.remove(&net);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }

    pub(crate) fn views(&self) -> impl Iterator<Item = LiftView<'_>> {
        self.nets.iter().map(|(net, lift)| LiftView {
            net,
            since: lift.since,
            hold_until: lift.hold_until,
            reason: &lift.reason,
        })
    }

    fn remove(&mut self, net: &IpNet) -> Option<Lift> {
        let lift = self.nets.remove(net)?;
        self.by_time.remove(&(lift.since, *net));
        self.holds.remove(&(lift.hold_until, *net));
        Some(lift)
    }
}
