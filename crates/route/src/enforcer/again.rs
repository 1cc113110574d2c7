//! Looks at bans again, and tries again what was refused: after signs, and at intervals.

use ipnet::IpNet;
use tokio::time::Instant;

use super::Enforcer;
use super::step::Step;
use super::unsettled::{Extent, Why};
use crate::{HostFacts, RouteError, Scope};

/// Bans looked up again at most when this host is connected to a network: far more than live in one.
const MOST_RECHECKED: usize = 1024;

impl Enforcer {
    /// Asks for a look at the bans that overlap a network this host was connected to since: a connected
    /// network can win.
    pub(super) fn recheck(&mut self, before: &HostFacts) {
        let is_new = |link: &&IpNet| !before.on_link.contains(link);
        let new: Vec<IpNet> = self.host.on_link.iter().filter(is_new).copied().collect();
        let overlaps = |net: &IpNet| new.iter().any(|new| new.contains(net) || net.contains(new));
        let nets = self.wanted.iter().filter(overlaps).take(MOST_RECHECKED);
        self.round.add(nets.collect::<Vec<_>>(), Instant::now());
        // A refusal may have been for a gateway that this host has no more.
        self.round.note(Extent::Unsettled, Instant::now());
    }

    /// Asks for a look at the bans that new routes of others are about.
    pub(super) fn hear_of_routes(&mut self) {
        let now = Instant::now();
        let arrived = self.monitor.take_arrived();
        if arrived.iter().any(|(_, table)| self.proof.is_read_before(*table)) {
            self.round.note(Extent::All, now);
        }
        let table = self.proof.place.table;
        let here = arrived.into_iter().filter(|(_, of)| *of == table);
        let nets: Vec<IpNet> = here.flat_map(|(net, _)| self.bans_around(net)).collect();
        self.round.add(nets, now);
    }

    /// Our bans that a network lies in, or is.
    pub(super) fn bans_around(&self, net: IpNet) -> Vec<IpNet> {
        let around = (0..=net.prefix_len()).filter_map(|length| {
            let wider = IpNet::new(net.addr(), length).ok()?.trunc();
            self.wanted.contains(&wider).then_some(wider)
        });
        around.collect()
    }

    /// When a round goes on, or something is tried again.
    pub(super) fn round_due(&self) -> Option<Instant> {
        // What is on its way to another table is looked at there.
        if self.moving.is_some() { None } else { self.round.due(self.has_unsettled()) }
    }

    /// Whether something is to be tried at intervals.
    fn has_unsettled(&self) -> bool {
        !self.unsettled.is_empty() || self.has_waiting_flows()
    }

    /// Looks at some bans again, and tries again what was refused; reports what has changed.
    pub(super) async fn look_again(&mut self) -> Result<(), RouteError> {
        let started = Instant::now();
        match self.round.begins(self.has_unsettled(), started) {
            Some(Extent::All) => {
                let is_new =
                    |net: &IpNet| !self.wanted.contains(net) && !self.at_sip.contains(*net);
                let refused = self.unsettled.nets().filter(is_new);
                let standing = self.wanted.iter().chain(self.at_sip.iter());
                let all: Vec<IpNet> = standing.chain(refused).collect();
                self.round.add(all, started);
            }
            Some(Extent::Unsettled) => {
                let some: Vec<IpNet> = self.unsettled.nets().collect();
                self.round.add(some, started);
            }
            None => {}
        }
        let nets = self.round.take(self.part());
        let mut steps: Vec<Step> =
            nets.into_iter().filter_map(|net| self.plan_again(net)).collect();
        for outcome in self.carry_out(&mut steps).await? {
            if outcome.is_news {
                self.outbox.push(outcome.report);
            }
        }
        self.deny_waiting_flows().await?;
        self.round.finished(started, Instant::now());
        self.monitor.drain().map_err(RouteError::Socket)
    }

    /// What a network needs that is looked at again; nothing when it was unbanned meanwhile.
    fn plan_again(&self, net: IpNet) -> Option<Step> {
        match self.unsettled.get(net) {
            Some(Why::Refused(wish)) => Some(self.plan(wish, net)),
            Some(Why::Weak) | None if self.wanted.contains(&net) => {
                Some(Step::standing(net, Scope::Host))
            }
            Some(Why::Weak) | None if self.at_sip.contains(net) => {
                Some(Step::standing(net, Scope::Sip))
            }
            Some(Why::Weak) | None => None,
        }
    }
}
