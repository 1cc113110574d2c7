//! Puts back what others took away, and decides when to look.

use std::time::Duration;

use ipnet::IpNet;
use nix::errno::Errno;
use tokio::time::Instant;
use tracing::warn;

use super::Enforcer;
use super::apply::SEND;
use super::step::Wish;
use super::unsettled::Extent;
use crate::gate::Direction;
use crate::monitor::Signs;
use crate::net_set::NetSet;
use crate::netlink::{Batch, Refusal, Reply};
use crate::{Report, RouteError, Scope};

/// From a sign to the look. Removals come in swarms (`ip route flush` deletes one by one); a look at
/// their start would be followed by another.
const SETTLE: Duration = Duration::from_millis(50);
/// Between two looks at addresses and routes of others, which on a router never rest.
const HOST_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks without any sign, in case one was never announced.
const AUDIT: Duration = Duration::from_secs(300);
/// Bans whose sets are compared without any sign. The kernel begins each part of a set's dump at the first element,
/// so the time grows with the square of their number: some 3 s for a quarter of a million, in which no ban is set.
pub(super) const MOST_AUDITED: usize = 65_536;
/// A look that finds nothing may take this share of the time: one part in it, then that many parts of
/// rest. A host on which others never rest would keep us looking; damage is repaired at once.
const REST: u32 = 3;
/// Most reported routes with sipward's protocol number that are not bans.
const MOST_STRAYS: usize = 64;

/// When to look at what.
#[derive(Debug)]
pub(super) struct Schedule {
    /// What to look at, except at the host.
    pending: Signs,
    due: Option<Instant>,
    host_due: Option<Instant>,
    audit: Instant,
    /// The audit is what is due.
    is_audit: bool,
    rested: Instant,
    host_rested: Instant,
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            pending: Signs::default(),
            due: None,
            host_due: None,
            audit: now + AUDIT,
            is_audit: false,
            rested: now,
            host_rested: now,
        }
    }

    /// Notes signs of change.
    pub(super) fn note(&mut self, signs: Signs, now: Instant) {
        if signs.host {
            self.host_due.get_or_insert((now + SETTLE).max(self.host_rested));
        }
        let others = Signs { host: false, ..signs };
        if others.any() {
            self.pending.add(others);
            self.due.get_or_insert((now + SETTLE).max(self.rested));
        }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Instant {
        [self.due, self.host_due].into_iter().flatten().fold(self.audit, Instant::min)
    }

    /// Takes what is due. An audit without a sign compares the gate's sets only when they are small.
    pub(super) fn due(&mut self, now: Instant, are_sets_small: bool) -> Signs {
        if now >= self.audit {
            self.audit = now + AUDIT;
            self.note(Signs { sets: are_sets_small, ..Signs::ALL }, now);
            self.is_audit = true;
            (self.due, self.host_due) = (Some(now), Some(now));
        }
        let mut signs = Signs::default();
        if self.host_due.is_some_and(|due| due <= now) {
            self.host_due = None;
            signs.host = true;
        }
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            signs.add(std::mem::take(&mut self.pending));
        }
        signs
    }

    /// Whether the audit is what is due: then every ban is looked up again.
    pub(super) fn take_audit(&mut self) -> bool {
        std::mem::take(&mut self.is_audit)
    }

    /// Notes what a look took, so that looking never takes all the time. `healed`: it found damage.
    pub(super) fn finished(&mut self, signs: Signs, healed: bool, started: Instant, now: Instant) {
        let rest = now.duration_since(started) * REST;
        if signs.host {
            self.host_rested = now + rest.max(HOST_INTERVAL);
        }
        self.rested = if healed { now } else { now + rest };
    }
}

impl Enforcer {
    /// Looks at what the signs are about and puts back what is missing; returns whether anything was.
    pub(super) async fn heal(&mut self, signs: Signs) -> Result<bool, RouteError> {
        let (mut healed_rules, mut healed_gate) = (0, false);
        if signs.fixtures {
            match self.reroute().await {
                Ok(added) => healed_rules += added,
                Err(error @ RouteError::Refused { .. }) => warn!(%error, "the rule of sipward is \
                    missing"),
                Err(error) => return Err(error),
            }
            let before = self.coverage.clone();
            let repaired = self.cover().await?;
            if before.gate {
                healed_rules += repaired.rules;
                healed_gate = repaired.ruleset;
            }
            if self.coverage != before {
                self.outbox.push(Report::Coverage(self.coverage.clone()));
            }
        }
        if signs.obstacles && !self.unsettled.is_empty() {
            self.round.note(Extent::Unsettled, Instant::now());
        }
        // While they move, a look comes at the end.
        let routes = if signs.routes && self.moving.is_none() { self.restore().await? } else { 0 };
        // A gate that was put back was filled.
        let elements = if signs.sets && !healed_gate { self.fill_sets().await? } else { 0 };
        let healed = routes > 0 || healed_rules > 0 || healed_gate || elements > 0;
        if healed {
            let (rules, gate) = (healed_rules, healed_gate);
            self.outbox.push(Report::Healed { routes, rules, gate, elements });
        }
        Ok(healed)
    }

    /// Puts back missing routes; returns how many.
    async fn restore(&mut self) -> Result<usize, RouteError> {
        let mut standing = self.standing().await?;
        let missing: Vec<IpNet> = self.wanted.difference(&standing).collect();
        let mut failures = Vec::new();
        for nets in missing.chunks(SEND) {
            failures.extend(self.put_back(nets).await?);
            tokio::task::yield_now().await;
            self.monitor.drain().map_err(RouteError::Socket)?;
        }
        if failures.iter().any(|(_, refusal)| refusal.errno == Errno::EEXIST) {
            // Not missing after all: the first look ran into a change.
            standing = self.standing().await?;
            failures.retain(|(net, _)| !standing.contains(net));
        }
        let restored = missing.len() - failures.len();
        for (net, _) in &failures {
            // Tried again with a look at what is in the way, and reported then.
            self.wanted.remove(net);
            self.unsettled.await_change(*net, Wish::Block(Scope::Host));
            self.round.note(Extent::Unsettled, Instant::now());
        }
        if !failures.is_empty() {
            let lost = failures.iter().map(|(net, _)| (*net, Scope::Host)).collect();
            self.change_sets(Direction::Out, lost, None).await?;
        }
        self.report_strays(&standing);
        Ok(restored)
    }

    /// Reports routes with sipward's protocol number that are not bans, when they change.
    fn report_strays(&mut self, standing: &NetSet) {
        let is_on_its_way = |net: &IpNet| self.unsettled.get(*net).is_none();
        let all: Vec<IpNet> = standing.difference(&self.wanted).filter(is_on_its_way).collect();
        let count = all.len();
        let mut nets = all;
        nets.sort_unstable();
        nets.truncate(MOST_STRAYS);
        if nets != self.strays {
            self.strays.clone_from(&nets);
            self.outbox.push(Report::Strays { nets, count });
        }
    }

    /// Adds routes again; returns which could not be.
    async fn put_back(&mut self, nets: &[IpNet]) -> Result<Vec<(IpNet, Refusal)>, RouteError> {
        let mut batch = Batch::default();
        for net in nets {
            self.blackholes.add(&mut batch, *net);
        }
        let mut refused = Vec::new();
        self.route
            .exchange(batch, |place, reply| {
                if let (Reply::Refused(refusal), Some(net)) = (reply, nets.get(place)) {
                    refused.push((*net, refusal));
                }
            })
            .await?;
        Ok(refused)
    }
}

#[cfg(test)]
mod tests;
