//! Flows on their way into the gate's sets: those that are denied, and those that nobody may deny.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::elements;
use super::family::{Family, Transport};
use super::hosts::STEP;
use super::limits;
use super::sets::{MOST_DENIED, Set};
use super::{Gate, content, message, refused};
use crate::netlink::{Batch, Refusal};
use crate::{Flow, RouteError};

/// Longest time that a flow is denied by one wish.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Between two looks for flows that have run out.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// How much earlier or later than wished an element may run out: the kernel counts in ticks, and reading takes time.
const TOLERANCE: Duration = Duration::from_secs(2);
/// What cannot be done when the kernel refuses.
const FLOWS: &str = "change the flows in the gate";

/// The flows in the kernel, or that shall be there.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// Until when each is denied.
    denied: HashMap<Flow, Instant>,
    kept: HashSet<Flow>,
    /// Until when each of those shall be denied for which there was no room, or that the kernel refused; tried again.
    waiting: HashMap<Flow, Instant>,
    /// When flows that have run out were last removed.
    looked: Option<Instant>,
}

/// What came of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Denied,
    Allowed,
    /// It is the flow of a live registration.
    Kept,
    /// Its time has run out already.
    Over,
    /// [`MOST_DENIED`] flows are denied already.
    Full,
    Refused(String),
}

/// A flow whose time changes.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// Its place among the wishes.
    place: usize,
    flow: Flow,
    before: Option<Instant>,
    after: Option<Instant>,
}

impl Flows {
    /// Removes flows that have run out.
    fn tidy(&mut self, now: Instant) {
        if self.looked.is_none_or(|looked| now >= looked + BETWEEN_LOOKS) {
            self.denied.retain(|_, until| *until > now);
            if !self.waiting.is_empty() {
                self.waiting.retain(|_, until| *until > now);
            }
            self.looked = Some(now);
        }
    }

    /// Notes a wish: until when a flow is denied, or that it is allowed.
    fn note(
        &mut self,
        flow: Flow,
        until: Option<Instant>,
        now: Instant,
    ) -> (Outcome, Option<Instant>, Option<Instant>) {
        if !self.waiting.is_empty() {
            self.waiting.remove(&flow);
        }
        let Some(until) = until else {
            return (Outcome::Allowed, self.denied.remove(&flow), None);
        };
        let until = until.min(now + LONGEST);
        if flow.port == 0 {
            (Outcome::Refused("0 is not a port".to_owned()), None, None)
        } else if self.kept.contains(&flow) {
            (Outcome::Kept, None, None)
        } else if until <= now {
            (Outcome::Over, self.denied.remove(&flow), None)
        } else if self.denied.len() >= MOST_DENIED && !self.denied.contains_key(&flow) {
            self.wait(flow, until);
            (Outcome::Full, None, None)
        } else {
            (Outcome::Denied, self.denied.insert(flow, until), Some(until))
        }
    }

    /// Remembers a flow that could not be denied. Of more than [`MOST_DENIED`] the later ones are not tried again.
    fn wait(&mut self, flow: Flow, until: Instant) {
        if self.waiting.len() < MOST_DENIED {
            self.waiting.insert(flow, until);
        }
    }

    /// Up to `most` of those that wait, as many as there is room for.
    fn next_waiting(&mut self, most: usize, now: Instant) -> Vec<(Flow, Option<Instant>)> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        self.tidy(now);
        let room = MOST_DENIED.saturating_sub(self.denied.len());
        let waiting = self.waiting.iter().take(room.min(most));
        waiting.map(|(flow, until)| (*flow, Some(*until))).collect()
    }
}

impl Gate {
    /// Denies flows until a time each, or allows them; at once in the kernel where the gate is `standing`, else when
    /// it stands. Gives what came of each.
    ///
    /// # Errors
    /// When netlink fails.
    pub(crate) async fn change_flows(
        &mut self,
        wishes: &[(Flow, Option<Instant>)],
        standing: bool,
    ) -> Result<Vec<Outcome>, RouteError> {
        let now = Instant::now();
        self.flows.tidy(now);
        let (mut outcomes, mut changes) = (Vec::with_capacity(wishes.len()), Vec::new());
        for (place, (flow, until)) in wishes.iter().enumerate() {
            let flow = flow.canonical();
            let (outcome, before, after) = self.flows.note(flow, *until, now);
            if before != after {
                changes.push(Change { place, flow, before, after });
            }
            outcomes.push(outcome);
        }
        if !standing || !self.settings.counts() {
            self.is_stale = true;
            return Ok(outcomes);
        }
        for changes in changes.chunks(STEP) {
            let Some(refusal) = self.write_denied(changes).await? else { continue };
            self.is_stale = true;
            for change in changes {
                self.flows.denied.remove(&change.flow);
                if let Some(until) = change.after {
                    self.flows.wait(change.flow, until);
                }
                if let Some(outcome) = outcomes.get_mut(change.place) {
                    *outcome = Outcome::Refused(refused(FLOWS, &refusal).to_string());
                }
            }
        }
        Ok(outcomes)
    }

    /// Whether flows wait to be denied that were refused before.
    pub(crate) fn has_waiting_flows(&self) -> bool {
        !self.flows.waiting.is_empty()
    }

    /// Up to `most` flows that were refused before and for which there is room now.
    pub(crate) fn waiting_flows(&mut self, most: usize) -> Vec<(Flow, Option<Instant>)> {
        self.flows.next_waiting(most, Instant::now())
    }

    /// Denied flows, with the time that each has left.
    pub(crate) fn denied(&self) -> impl Iterator<Item = (Flow, Duration)> {
        let now = Instant::now();
        self.flows
            .denied
            .iter()
            .filter_map(move |(flow, until)| Some((*flow, until.checked_duration_since(now)?)))
    }

    /// Kept flows in the kernel.
    pub(crate) fn kept(&self) -> impl Iterator<Item = Flow> {
        self.flows.kept.iter().copied()
    }

    /// Keeps flows, or ends that, in one transaction. One that is denied is allowed.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses; then the gate is not as it was left.
    pub(crate) async fn keep_flows(&mut self, flows: &[(Flow, bool)]) -> Result<(), RouteError> {
        if flows.is_empty() || !self.settings.counts() {
            return Ok(());
        }
        let changed = |wanted: bool| {
            let kept = &self.flows.kept;
            let changes = flows.iter().filter(move |(_, keep)| *keep == wanted);
            changes.map(|(flow, _)| *flow).filter(move |flow| kept.contains(flow) != wanted)
        };
        let (fresh, stale): (Vec<_>, Vec<_>) = (changed(true).collect(), changed(false).collect());
        let batch = message::transaction(|batch| self.kept_changes(batch, &fresh, &stale));
        self.transact_all(batch, FLOWS).await?;
        self.flows.kept.extend(&fresh);
        for flow in &stale {
            self.flows.kept.remove(flow);
        }
        let denied: Vec<_> = fresh.into_iter().map(|flow| (flow, None)).collect();
        self.change_flows(&denied, true).await.map(drop)
    }

    /// The table was set anew: it keeps no flows.
    pub(super) fn forget_kept(&mut self) {
        self.flows.kept.clear();
    }

    /// Learns which flows a gate from an earlier run denies and keeps.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn learn_flows(&mut self) -> Result<(), RouteError> {
        let now = Instant::now();
        let found = self.denied_in_kernel().await?;
        // One that never runs out is not ours.
        let ours = found.into_iter().filter(|(_, left)| !left.is_zero());
        self.flows.denied =
            ours.take(MOST_DENIED).map(|(flow, left)| (flow, now + left.min(LONGEST))).collect();
        self.flows.kept = self.kept_in_kernel().await?;
        Ok(())
    }

    /// Flows that the kernel denies, with the time that each has left.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn denied_in_kernel(&mut self) -> Result<HashMap<Flow, Duration>, RouteError> {
        let gate = self.in_force();
        let mut all = HashMap::new();
        for family in Family::BOTH {
            all.extend(content::flows(&mut self.netfilter, &gate, Set::Denied(family)).await?);
        }
        Ok(all)
    }

    /// Compares the sets with what was left there and puts right what differs; gives how many elements.
    ///
    /// # Errors
    /// When netlink fails or the kernel refuses.
    pub(crate) async fn restore_flows(&mut self) -> Result<usize, RouteError> {
        if !self.settings.counts() {
            return Ok(0);
        }
        let started = Instant::now();
        let mut extra = self.denied_in_kernel().await?;
        if self.flows.denied.keys().any(|flow| !extra.contains_key(flow)) {
            // A dump may pass elements by, see the bans.
            extra.extend(self.denied_in_kernel().await?);
        }
        let now = Instant::now();
        let change = |flow, before, after| Change { place: 0, flow, before, after };
        let mut changes = Vec::new();
        for (flow, until) in self.flows.denied.iter().filter(|(_, until)| **until > now) {
            match extra.remove(flow) {
                None => changes.push(change(*flow, None, Some(*until))),
                Some(left) if !runs_out(left, *until, (started, now)) => {
                    // Written anew: with this the one that is there is deleted.
                    let there = Some(now + LONGEST);
                    changes.push(change(*flow, there, Some(*until)));
                }
                Some(_) => {}
            }
        }
        // One of our own that is about to run out needs no help.
        let extra = extra.into_keys().filter(|flow| !self.flows.denied.contains_key(flow));
        changes.extend(extra.map(|flow| change(flow, Some(now + LONGEST), None)));
        for changes in changes.chunks(STEP) {
            if let Some(refusal) = self.write_denied(changes).await? {
                return Err(refused(FLOWS, &refusal));
            }
        }
        let found = self.kept_in_kernel().await?;
        let missing: Vec<Flow> = self.flows.kept.difference(&found).copied().collect();
        let extra: Vec<Flow> = found.difference(&self.flows.kept).copied().collect();
        for (fresh, stale) in missing
            .chunks(STEP)
            .map(|some| (some, [].as_slice()))
            .chain(extra.chunks(STEP).map(|some| ([].as_slice(), some)))
        {
            let batch = message::transaction(|batch| self.kept_changes(batch, fresh, stale));
            self.transact_all(batch, FLOWS).await?;
        }
        Ok(changes.len() + missing.len() + extra.len())
    }

    async fn kept_in_kernel(&mut self) -> Result<HashSet<Flow>, RouteError> {
        let gate = self.in_force();
        let mut all = HashSet::new();
        for family in Family::BOTH {
            for transport in Transport::BOTH {
                let set = Set::KeptFlows(transport, family);
                all.extend(content::flows(&mut self.netfilter, &gate, set).await?.into_keys());
            }
        }
        Ok(all)
    }

    fn kept_changes(&self, batch: &mut Batch, fresh: &[Flow], stale: &[Flow]) {
        let gate = self.in_force();
        let shield = gate.shield.unwrap_or_default();
        for family in Family::BOTH {
            for transport in Transport::BOTH {
                let is_of = |flow: &&Flow| {
                    flow.transport == transport && Family::of_address(flow.source) == family
                };
                let set = Set::KeptFlows(transport, family);
                elements::delete_flows(batch, &gate, set, stale.iter().filter(is_of).copied());
                let rate = limits::healthy(transport, &shield, 1);
                elements::keep(batch, &gate, set, fresh.iter().filter(is_of).copied(), rate);
            }
        }
    }

    /// Writes denied flows in one transaction; where one to delete is not there any more, one by one.
    async fn write_denied(&mut self, changes: &[Change]) -> Result<Option<Refusal>, RouteError> {
        match self.transact(self.denied_changes(changes, true)).await? {
            Some(refusal) if refusal.errno == Errno::ENOENT => {}
            outcome => return Ok(outcome),
        }
        for change in changes {
            for with_deletion in [true, false] {
                let batch = self.denied_changes(&[*change], with_deletion);
                match self.transact(batch).await? {
                    None => break,
                    Some(refusal) if with_deletion && refusal.errno == Errno::ENOENT => {}
                    Some(refusal) => return Ok(Some(refusal)),
                }
            }
        }
        Ok(None)
    }

    fn denied_changes(&self, changes: &[Change], with_deletion: bool) -> Batch {
        let (gate, now) = (self.in_force(), Instant::now());
        message::transaction(|batch| {
            for family in Family::BOTH {
                let changes =
                    || changes.iter().filter(|it| Family::of_address(it.flow.source) == family);
                let set = Set::Denied(family);
                let stale = changes()
                    .filter(|it| with_deletion && it.before.is_some_and(|before| before > now));
                elements::delete_flows(batch, &gate, set, stale.map(|it| it.flow));
                let fresh = changes().filter_map(|it| {
                    let left = it.after?.checked_duration_since(now)?;
                    // No time at all would mean for ever.
                    Some((it.flow, left.max(Duration::from_millis(1))))
                });
                elements::deny(batch, &gate, set, fresh);
            }
        })
    }
}

/// Whether an element that was read between two moments, with so much time `left`, runs out at `until`. One without a
/// time never does.
fn runs_out(left: Duration, until: Instant, (begun, read): (Instant, Instant)) -> bool {
    !left.is_zero() && begun + left <= until + TOLERANCE && read + left + TOLERANCE >= until
}

#[cfg(test)]
mod tests;
