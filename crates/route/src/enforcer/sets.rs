//! The bans and flows in the gate's sets: set before the routes, taken out after them, restored when another program
//! changed them.

use std::collections::HashSet;
use std::time::{Duration, Instant as Moment};

use ipnet::IpNet;
use tokio::time::Instant;
use tracing::warn;

use super::step::{Step, Wish};
use super::unsettled::Extent;
use super::{Enforcer, TAKE};
use crate::ban::Exact;
use crate::gate::{self, Direction, Gate, MOST_COUNTED, MOST_DENIED, Outcome};
use crate::{Change, Enforcement, Flow, GateMode, Report, RouteError, Scope};

/// From a refusal to put the sets right to the next try.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// Changes from which on the monitor does not listen to them: below, to stop and begin again takes longer.
const MANY: usize = 32;

impl Enforcer {
    /// Puts into the sets what is to be banned, in one transaction.
    pub(super) async fn enter_sets(&mut self, steps: &[Step]) -> Result<(), RouteError> {
        let is_sip = |step: &&Step| step.wish == Wish::Block(Scope::Sip) && !step.has_failed();
        if steps.iter().any(|step| is_sip(&step)) {
            self.need_gate().await?;
        }
        let mut bans = Vec::new();
        let mut nets = Vec::new();
        for step in steps.iter().filter(|step| !step.has_failed()) {
            match step.wish {
                Wish::Block(Scope::Host) if !step.stood && !self.is_on_link(step.net) => {
                    bans.push((step.net, Scope::Host));
                }
                Wish::Block(Scope::Sip) if !self.at_sip.contains(step.net) => {
                    bans.push((step.net, Scope::Sip));
                    nets.extend(Exact::of(step.net).is_none().then_some(step.net));
                }
                Wish::Block(_) | Wish::Unblock => {}
            }
        }
        let nets = (!nets.is_empty()).then(|| gate::nets(self.at_sip.nets.iter().chain(&nets)));
        self.change_sets(Direction::In, bans, nets).await
    }

    /// Takes out of the sets what is not banned any more, or is banned with the other scope, in one transaction.
    pub(super) async fn leave_sets(&mut self, steps: &[Step]) -> Result<(), RouteError> {
        let mut bans = Vec::new();
        // Those that came with the same steps are not in the list yet, and stay.
        let (mut nets, mut entered) = (HashSet::new(), Vec::new());
        for step in steps {
            let net = step.net;
            let leaves_hosts = !self.is_on_link(net)
                && match step.wish {
                    // It was put there in vain.
                    Wish::Block(Scope::Host) => step.refusal.is_some() && !step.stood,
                    Wish::Block(Scope::Sip) | Wish::Unblock => step.stood && !step.has_failed(),
                };
            let leaves_sip = !step.has_failed()
                && step.wish != Wish::Block(Scope::Sip)
                && self.at_sip.contains(net);
            bans.extend(leaves_hosts.then_some((net, Scope::Host)));
            bans.extend(leaves_sip.then_some((net, Scope::Sip)));
            if Exact::of(net).is_some() || step.has_failed() {
                continue;
            }
            if leaves_sip {
                nets.insert(net);
            } else if step.wish == Wish::Block(Scope::Sip) {
                entered.push(net);
            }
        }
        let nets = (!nets.is_empty()).then(|| {
            let stay = self.at_sip.nets.iter().filter(|net| !nets.contains(*net));
            gate::nets(stay.chain(&entered))
        });
        self.change_sets(Direction::Out, bans, nets).await
    }

    pub(super) async fn change_sets(
        &mut self,
        direction: Direction,
        bans: Vec<(IpNet, Scope)>,
        nets: Option<gate::Ranges>,
    ) -> Result<(), RouteError> {
        let are_counted = self.are_counted(bans.len());
        let Ok(gate) = &mut self.gate else { return Ok(()) };
        if bans.is_empty() && nets.is_none() {
            return Ok(());
        }
        if !self.coverage.gate {
            // What is left of it, if anything, is compared when it stands again.
            gate.make_stale();
            return Ok(());
        }
        let is_many = bans.len() >= MANY;
        let before = if is_many { gate.generation().await? } else { 0 };
        if is_many {
            self.monitor.mute().map_err(RouteError::Socket)?;
        }
        let refused = gate.change_bans(direction, &bans, nets, are_counted).await?;
        if is_many {
            self.monitor.unmute().map_err(RouteError::Socket)?;
            // Each transaction of any program counts one.
            let expected = before.wrapping_add(u32::from(refused.is_none()));
            if gate.generation().await? != expected {
                self.monitor.note_unheard();
            }
        }
        if let Some(error) = refused {
            // Usually another program changed the sets: then they are corrected below.
            warn!(error, "the gate's sets are compared with the bans");
        }
        Ok(())
    }

    /// Whether the packets of each banned host are counted, with so many `more` bans.
    pub(super) fn are_counted(&self, more: usize) -> bool {
        self.ban_count() + more <= MOST_COUNTED
    }

    /// Bans of both scopes.
    pub(super) fn ban_count(&self) -> usize {
        self.wanted.len() + self.at_sip.len()
    }

    /// Denies and allows flows, and reports each.
    pub(super) async fn apply_flows(
        &mut self,
        wishes: &[(Flow, Option<Moment>)],
    ) -> Result<(), RouteError> {
        if wishes.is_empty() {
            return Ok(());
        }
        if wishes.iter().any(|(_, until)| until.is_some()) {
            self.need_gate().await?;
        }
        let standing = self.coverage.gate;
        let outcomes = match &mut self.gate {
            Ok(gate) => gate.change_flows(wishes, standing).await?,
            Err(_) => wishes
                .iter()
                .map(|(_, until)| until.map_or(Outcome::Allowed, |_| Outcome::Denied))
                .collect(),
        };
        for ((flow, until), outcome) in wishes.iter().zip(outcomes) {
            let report = self.report_of(*flow, *until, outcome);
            self.outbox.push(report);
        }
        self.mend_sets().await?;
        if self.has_waiting_flows() && wishes.iter().any(|(_, until)| until.is_none()) {
            // There is room now.
            self.round.note(Extent::Unsettled, Instant::now());
        }
        Ok(())
    }

    /// Whether flows that were refused are to be tried again.
    pub(super) fn has_waiting_flows(&self) -> bool {
        self.gate.as_ref().is_ok_and(Gate::has_waiting_flows)
    }

    /// Tries flows again that were refused, as many as there is room for, some at a time; reports those that are not
    /// refused any more.
    pub(super) async fn deny_waiting_flows(&mut self) -> Result<(), RouteError> {
        let standing = self.coverage.gate;
        let Ok(gate) = &mut self.gate else { return Ok(()) };
        let wishes = gate.waiting_flows(TAKE);
        if wishes.is_empty() {
            return Ok(());
        }
        let outcomes = gate.change_flows(&wishes, standing).await?;
        let mut is_refused = false;
        for ((flow, until), outcome) in wishes.iter().zip(outcomes) {
            if matches!(outcome, Outcome::Full | Outcome::Refused(_)) {
                // As was reported before.
                is_refused = true;
                continue;
            }
            let report = self.report_of(*flow, *until, outcome);
            self.outbox.push(report);
        }
        if !is_refused && self.has_waiting_flows() {
            self.round.note(Extent::Unsettled, Instant::now());
        }
        self.mend_sets().await
    }

    fn report_of(&self, flow: Flow, until: Option<Moment>, outcome: Outcome) -> Report {
        let change = until.map_or(Change::Allow(flow), |until| Change::Deny { flow, until });
        let not = |reason: &str| Report::Denied {
            flow,
            enforcement: Enforcement::NotEnforced { reason: reason.to_owned() },
        };
        match outcome {
            Outcome::Denied => Report::Denied { flow, enforcement: self.sip_enforcement() },
            Outcome::Kept => not("it is the flow of a live registration"),
            Outcome::Over => not("it has expired"),
            Outcome::Allowed => Report::Allowed { flow },
            Outcome::Full => Report::Failed {
                change,
                error: format!("the limit of {MOST_DENIED} denied flows is reached"),
            },
            Outcome::Refused(error) => Report::Failed { change, error },
        }
    }

    /// What a ban from the SIP ports is worth: it is in its set, and the gate stands.
    pub(super) fn sip_enforcement(&self) -> Enforcement {
        match self.sip_gap() {
            None => Enforcement::SipOnly,
            Some(reason) => Enforcement::NotEnforced { reason },
        }
    }

    /// Whether the gate's set of banned hosts drops what a banned network sends, whatever routes say.
    pub(super) fn is_in_set(&self, net: IpNet) -> bool {
        let is_held = Exact::of(net).is_some() && !self.is_on_link(net);
        self.coverage.gate && !self.has_stale_sets() && is_held
    }

    /// Whether this host is connected to a network. A ban of it has a route, which loses, and no place in the set,
    /// where it would cut this host off from all neighbours.
    fn is_on_link(&self, net: IpNet) -> bool {
        self.host.on_link.binary_search(&net).is_ok()
    }

    /// Brings the set of banned hosts in line with other networks that this host is connected to now.
    pub(super) async fn follow_links(&mut self, before: &[IpNet]) -> Result<(), RouteError> {
        let changed = |one: &[IpNet], other: &[IpNet]| {
            one.iter().any(|net| !other.contains(net) && self.wanted.contains(net))
        };
        if changed(before, &self.host.on_link) || changed(&self.host.on_link, before) {
            self.fill_sets().await?;
        }
        Ok(())
    }

    /// Why nothing drops packets to the SIP ports.
    fn sip_gap(&self) -> Option<String> {
        let settings = &self.settings.gate;
        if settings.mode != GateMode::Auto {
            return Some("the gate is switched off".to_owned());
        }
        if !self.coverage.gate {
            let gap = self.coverage.gaps.iter().find(|gap| gap.starts_with("the gate"));
            return Some(gap.map_or("the gate is not active", String::as_str).to_owned());
        }
        if !settings.counts() {
            return Some("no SIP ports are known".to_owned());
        }
        self.has_stale_sets().then(|| "the gate's sets could not be changed".to_owned())
    }

    fn has_stale_sets(&self) -> bool {
        self.gate.as_ref().is_ok_and(Gate::is_stale)
    }

    /// Whether anything needs the gate's sets.
    pub(super) fn needs_sets(&self) -> bool {
        self.needs_gate || !self.at_sip.is_empty()
    }

    /// Sets the gate where nothing but bans from the SIP ports needs it.
    async fn need_gate(&mut self) -> Result<(), RouteError> {
        if std::mem::replace(&mut self.needs_gate, true) || self.coverage.gate {
            return Ok(());
        }
        let before = self.coverage.clone();
        self.cover().await?;
        if self.coverage != before {
            self.outbox.push(Report::Coverage(self.coverage.clone()));
        }
        Ok(())
    }

    /// Takes over what the sets hold that an earlier run left: bans from the SIP ports and flows. The banned hosts
    /// are those with routes.
    pub(super) async fn adopt_sets(&mut self) -> Result<Vec<(Flow, Duration)>, RouteError> {
        self.are_sets_adopted = true;
        let standing = self.coverage.gate;
        let Ok(gate) = self.gate.as_mut() else { return Ok(Vec::new()) };
        if !standing {
            return Ok(Vec::new());
        }
        let outcome = async {
            gate.learn_flows().await?;
            gate.bans(Scope::Sip).await
        };
        match outcome.await {
            Ok(bans) => {
                for net in bans.into_iter().filter(|net| !self.wanted.contains(net)) {
                    self.at_sip.insert(net);
                }
            }
            Err(error @ (RouteError::Socket(_) | RouteError::Silent)) => return Err(error),
            Err(error) => warn!(%error, "the contents of the gate's sets are unknown"),
        }
        self.fill_sets().await?;
        let mut flows: Vec<_> = self.gate.iter().flat_map(Gate::denied).collect();
        flows.sort_unstable();
        Ok(flows)
    }

    /// Puts the sets right at once when a change was refused, at most every few seconds.
    pub(super) async fn mend_sets(&mut self) -> Result<(), RouteError> {
        if self.coverage.gate && self.has_stale_sets() && self.mend_sets_at <= Instant::now() {
            self.fill_sets().await?;
        }
        Ok(())
    }

    /// Compares the sets with bans and flows and puts right what differs; gives how many elements. Sets that cannot
    /// be put right are stale.
    pub(super) async fn fill_sets(&mut self) -> Result<usize, RouteError> {
        let are_counted = self.are_counted(0);
        let Ok(gate) = &mut self.gate else { return Ok(0) };
        if !self.coverage.gate || !self.are_sets_adopted {
            return Ok(0);
        }
        let outcome = async {
            let flows = gate.restore_flows().await?;
            let (hosts, sip, connected) = (&self.wanted, &self.at_sip, &self.host.on_link);
            Ok(flows + gate.restore_bans(hosts, sip, connected, are_counted).await?)
        };
        match outcome.await {
            Ok(elements) => {
                self.monitor.drain().map_err(RouteError::Socket)?;
                self.round.note(Extent::Unsettled, Instant::now());
                Ok(elements)
            }
            Err(error @ (RouteError::Socket(_) | RouteError::Silent)) => Err(error),
            Err(error) => {
                warn!(%error, "the gate's sets are out of date");
                self.mend_sets_at = Instant::now() + AFTER_REFUSAL;
                Ok(0)
            }
        }
    }
}

#[cfg(test)]
mod tests;
