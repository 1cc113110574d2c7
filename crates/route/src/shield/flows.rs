//! The flows of live registrations whose hosts are not healthy, and what of them has changed.

use std::collections::{BTreeSet, HashSet};

use super::{Admission, MOST_KEPT_FLOWS};
use crate::Flow;

/// Kept flows.
#[derive(Debug, Default)]
pub(super) struct KeptFlows {
    table: HashSet<Flow>,
    changed: BTreeSet<Flow>,
}

impl KeptFlows {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn keep(&mut self, flow: Flow) -> Admission {
        let flow = flow.canonical();
        if self.table.contains(&flow) {
            return Admission::Admitted;
        }
        if self.table.len() >= MOST_KEPT_FLOWS {
            return Admission::Full;
        }
        self.table.insert(flow);
        self.changed.insert(flow);
        Admission::Admitted
    }

    pub(super) fn remove(&mut self, flow: Flow) {
        let flow = flow.canonical();
        if self.table.remove(&flow) {
            self.changed.insert(flow);
        }
    }

    /// Replaces all of them; gives how many found no room. What stays is not changed.
    pub(super) fn replace(&mut self, flows: impl IntoIterator<Item = Flow>) -> usize {
        let (mut fresh, mut left_out) = (HashSet::new(), 0);
        for flow in flows.into_iter().map(Flow::canonical) {
            if fresh.len() < MOST_KEPT_FLOWS {
                fresh.insert(flow);
            } else if !fresh.contains(&flow) {
                left_out += 1;
            }
        }
        self.changed.extend(self.table.symmetric_difference(&fresh));
        self.table = fresh;
        left_out
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Takes up to `most` changed flows, each with whether it is kept now.
    pub(super) fn take_changed(&mut self, most: usize) -> Vec<(Flow, bool)> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(flow) = self.changed.pop_first()
        {
            taken.push((flow, self.table.contains(&flow)));
        }
        taken
    }

    pub(super) fn mark_all(&mut self, also: impl IntoIterator<Item = Flow>) {
        self.changed.extend(self.table.iter().copied());
        self.changed.extend(also);
    }
}

#[cfg(test)]
mod tests;
