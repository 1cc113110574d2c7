//! One change on its way through the kernel.

use std::collections::HashSet;

use ipnet::IpNet;
use nix::errno::Errno;

use crate::blackhole::{Route, Winner};
use crate::netlink::Refusal;
use crate::{Change, Flow, Scope};

/// A wish about a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Block(Scope),
    Unblock,
}

/// One change on its way through the kernel.
pub(super) struct Step {
    pub(super) wish: Wish,
    pub(super) net: IpNet,
    pub(super) task: Task,
    /// Whether it was banned from everything before.
    pub(super) stood: bool,
    pub(super) refusal: Option<Refusal>,
    /// The route of another program with this prefix.
    pub(super) obstacle: Option<Route>,
    /// What each look-up found, way by way.
    pub(super) answers: Vec<Option<Winner>>,
    /// No route of sipward is left after an unban.
    pub(super) nothing_is_left: bool,
}

/// What a change needs of the kernel's routes.
pub(super) enum Task {
    Add,
    Delete,
    /// It is already so.
    Nothing,
    /// It would do harm.
    Refuse(String),
}

impl Step {
    pub(super) fn new(wish: Wish, net: IpNet, task: Task, stood: bool) -> Self {
        let (refusal, obstacle, answers) = (None, None, Vec::new());
        Self { wish, net, task, stood, refusal, obstacle, answers, nothing_is_left: false }
    }

    /// A ban that stands already and is only looked up.
    pub(super) fn standing(net: IpNet, scope: Scope) -> Self {
        Self::new(Wish::Block(scope), net, Task::Nothing, scope == Scope::Host)
    }

    /// What was asked.
    pub(super) fn change(&self) -> Change {
        match self.wish {
            Wish::Block(scope) => Change::Block { net: self.net, scope },
            Wish::Unblock => Change::Unblock(self.net),
        }
    }

    pub(super) fn wants_lookup(&self) -> bool {
        match (&self.task, self.wish) {
            // It has no route.
            (Task::Refuse(_), _) | (Task::Nothing, Wish::Block(Scope::Sip)) => false,
            (Task::Add | Task::Delete | Task::Nothing, _) => true,
        }
    }

    /// Whether a blackhole wins for an address that is to have none, by some way.
    pub(super) fn is_still_blackholed(&self) -> bool {
        self.wish != Wish::Block(Scope::Host)
            && self.answers.iter().any(|answer| matches!(answer, Some(Winner::Blackhole)))
    }

    /// Whether the kernel refused to add the route because its prefix is taken.
    pub(super) fn found_taken(&self) -> bool {
        matches!(self.task, Task::Add)
            && self.refusal.as_ref().is_some_and(|refusal| refusal.errno == Errno::EEXIST)
    }

    /// Whether it was not done. Gone is gone.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.task, Task::Refuse(_))
            || self.refusal.as_ref().is_some_and(|refusal| refusal.errno != Errno::ESRCH)
    }
}

/// Wishes about networks and flows, each once.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Folded {
    pub(super) nets: Vec<(Wish, IpNet)>,
    /// With the time until when each is denied.
    pub(super) flows: Vec<(Flow, Option<std::time::Instant>)>,
}

/// Keeps the last change of each network and flow, in the order of these, in canonical form.
pub(super) fn fold(changes: &[Change]) -> Folded {
    let mut folded = Folded::default();
    let (mut nets, mut flows) = (HashSet::with_capacity(changes.len()), HashSet::new());
    for change in changes.iter().rev() {
        let (wish, net) = match *change {
            Change::Block { net, scope } => (Wish::Block(scope), net.trunc()),
            Change::Unblock(net) => (Wish::Unblock, net.trunc()),
            Change::Deny { flow, until } => {
                let flow = flow.canonical();
                if flows.insert(flow) {
                    folded.flows.push((flow, Some(until)));
                }
                continue;
            }
            Change::Allow(flow) => {
                let flow = flow.canonical();
                if flows.insert(flow) {
                    folded.flows.push((flow, None));
                }
                continue;
            }
        };
        if nets.insert(net) {
            folded.nets.push((wish, net));
        }
    }
    folded.nets.reverse();
    folded.flows.reverse();
    folded
}

#[cfg(test)]
mod tests;
