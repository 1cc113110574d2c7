//! Applies changes: pipelined, verified, reported.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::route::RouteType;
use nix::errno::Errno;

use super::Enforcer;
use crate::blackhole::{self, Filter, Winner};
use crate::netlink::{Batch, Refusal, Reply};
use crate::{Change, Enforcement, HostFacts, Report, RouteError};

/// Changes in one send. Their answers (at most a refusal and a lookup each, 768 bytes of kernel memory
/// apiece) and their notifications to the monitor must fit into a receive buffer of the default size,
/// 212,992 bytes, because nothing is read while the kernel works through a send.
pub(super) const SEND: usize = 128;
/// Bans looked up again at most when this host is connected to a network: far more than live in one.
const MOST_RECHECKED: usize = 1024;
/// Routes at most. The engine holds half a million bans; this only bounds what a caller could ask.
const MOST_ROUTES: usize = 1_000_000;

impl Enforcer {
    /// Applies changes and reports each.
    pub(super) async fn apply(&mut self, changes: &[Change]) -> Result<(), RouteError> {
        for part in fold(changes).chunks(SEND) {
            self.apply_part(part).await?;
            self.monitor.drain().map_err(RouteError::Socket)?;
        }
        Ok(())
    }

    async fn apply_part(&mut self, changes: &[Change]) -> Result<(), RouteError> {
        let mut steps: Vec<Step> = changes.iter().map(|change| self.plan(*change)).collect();
        self.execute(&mut steps).await?;
        if steps.iter().any(Step::found_taken) {
            self.read_back(&mut steps).await?;
        }
        for step in steps {
            let report = self.conclude(step);
            self.outbox.push(report);
        }
        Ok(())
    }

    /// Looks up again the bans that overlap a network this host was connected to since, and reports
    /// them anew: a connected network can win.
    pub(super) async fn recheck(&mut self, before: &HostFacts) -> Result<(), RouteError> {
        let is_new = |link: &&IpNet| !before.on_link.contains(link);
        let new: Vec<IpNet> = self.host.on_link.iter().filter(is_new).copied().collect();
        let overlaps = |net: &&IpNet| new.iter().any(|new| new.contains(*net) || net.contains(new));
        let nets = self.wanted.iter().filter(overlaps).take(MOST_RECHECKED);
        let mut steps: Vec<Step> = nets.map(|net| Step::standing(*net)).collect();
        for part in steps.chunks_mut(SEND) {
            self.execute(part).await?;
        }
        for step in steps {
            let report = self.conclude(step);
            self.outbox.push(report);
        }
        Ok(())
    }

    /// Decides what a change needs.
    fn plan(&self, change: Change) -> Step {
        let net = change.net();
        let stands = self.wanted.contains(&net);
        let lost = match change {
            Change::Block(_) => self.host.lost_by(net),
            Change::Unblock(_) => None,
        };
        let task = match change {
            Change::Block(_) if let Some(lost) = lost => {
                Task::Refuse(format!("it would cut this host off from {lost}"))
            }
            Change::Block(_) if !stands && self.wanted.len() >= MOST_ROUTES => {
                Task::Refuse(format!("{MOST_ROUTES} routes stand already"))
            }
            Change::Block(_) if !stands => Task::Add,
            Change::Unblock(_) if stands => Task::Delete,
            Change::Block(_) | Change::Unblock(_) => Task::Nothing,
        };
        Step { change, net, task, refusal: None, winner: None }
    }

    /// Sends everything at once: first the changes, then the lookups that show what they came to.
    async fn execute(&mut self, steps: &mut [Step]) -> Result<(), RouteError> {
        let mut batch = Batch::default();
        // Which step a message belongs to, by its place in the batch.
        let mut owners = Vec::with_capacity(steps.len() * 2);
        for (index, step) in steps.iter().enumerate() {
            match step.task {
                Task::Add => self.blackholes.add(&mut batch, step.net),
                Task::Delete => self.blackholes.delete(&mut batch, step.net),
                Task::Nothing | Task::Refuse(_) => continue,
            };
            owners.push(index);
        }
        let first_lookup = owners.len();
        for (index, step) in steps.iter().enumerate() {
            if step.wants_lookup() {
                blackhole::lookup(&mut batch, sample(step.net), self.mark(step.net));
                owners.push(index);
            }
        }
        self.route
            .exchange(batch, |place, reply| {
                let Some(step) = owners.get(place).and_then(|index| steps.get_mut(*index)) else {
                    return;
                };
                match reply {
                    Reply::Refused(refusal) if place < first_lookup => step.refusal = Some(refusal),
                    Reply::Refused(refusal) => step.winner = Some(Winner::of_refusal(&refusal)),
                    Reply::Object(_, payload) => step.winner = Some(Winner::of_route(payload)),
                    Reply::Done => {}
                }
            })
            .await
    }

    /// Where a prefix was taken, looks by whom: a route of ours (type and protocol) is what was asked
    /// for.
    async fn read_back(&mut self, steps: &mut [Step]) -> Result<(), RouteError> {
        let ours = self.standing().await?;
        for step in steps {
            if step.found_taken() && ours.contains(&step.net) {
                step.refusal = None;
            }
        }
        Ok(())
    }

    /// Our routes as the kernel has them now.
    pub(super) async fn standing(&mut self) -> Result<HashSet<IpNet>, RouteError> {
        let mut ours = HashSet::with_capacity(self.wanted.len());
        let filter = Filter {
            protocol: Some(self.settings.protocol),
            table: Some(self.settings.table_id()),
            kind: Some(RouteType::BlackHole),
        };
        let blackholes = self.blackholes;
        blackhole::dump(&mut self.route, filter, |route| {
            if blackholes.owns(&route) {
                ours.insert(route.net);
            }
        })
        .await?;
        Ok(ours)
    }

    /// Puts the outcome of a step into `wanted` and into words.
    fn conclude(&mut self, step: Step) -> Report {
        let Step { change, net, task, refusal, winner } = step;
        let failure = match (task, refusal) {
            (Task::Refuse(reason), _) => Some(reason),
            // Gone is gone.
            (Task::Delete, Some(refusal)) if refusal.errno == Errno::ESRCH => None,
            (Task::Add | Task::Delete | Task::Nothing, Some(refusal)) => {
                Some(self.explain(net, &refusal))
            }
            (Task::Add | Task::Delete | Task::Nothing, None) => None,
        };
        if let Some(error) = failure {
            return Report::Failed { change, error };
        }
        match change {
            Change::Block(_) => {
                self.wanted.insert(net);
                Report::Blocked { net, enforcement: self.enforcement(net, winner) }
            }
            Change::Unblock(_) => {
                self.wanted.remove(&net);
                Report::Unblocked { net }
            }
        }
    }

    fn enforcement(&self, net: IpNet, winner: Option<Winner>) -> Enforcement {
        match winner {
            Some(Winner::Blackhole) if self.coverage.covers(net) => Enforcement::Full,
            Some(Winner::Blackhole) => Enforcement::RepliesOnly,
            Some(Winner::Other(winner)) => Enforcement::Outranked { winner },
            None => {
                Enforcement::Outranked { winner: "unknown (no answer to the lookup)".to_owned() }
            }
        }
    }

    pub(super) fn explain(&self, net: IpNet, refusal: &Refusal) -> String {
        match refusal.errno {
            Errno::EEXIST => {
                let family = if matches!(net, IpNet::V6(_)) { "-6 " } else { "" };
                let table = self.settings.table_id();
                format!(
                    "a route of somebody else with this prefix exists, see \
                     `ip {family}route show table {table} exact {net}`; remove it to ban {net}"
                )
            }
            Errno::EPERM => RouteError::NotPermitted.to_string(),
            _ => refusal.to_string(),
        }
    }

    /// The mark the gate's own lookup carries.
    fn mark(&self, net: IpNet) -> Option<u32> {
        match net {
            IpNet::V4(_) => self.coverage.gate.then_some(self.settings.gate.mark),
            IpNet::V6(_) => None,
        }
    }
}

/// One change on its way through the kernel.
struct Step {
    change: Change,
    net: IpNet,
    task: Task,
    refusal: Option<Refusal>,
    winner: Option<Winner>,
}

/// What a change needs of the kernel.
enum Task {
    Add,
    Delete,
    /// It is already so.
    Nothing,
    /// It would do harm.
    Refuse(String),
}

impl Step {
    /// A ban that stands already and is only looked up.
    fn standing(net: IpNet) -> Self {
        Self { change: Change::Block(net), net, task: Task::Nothing, refusal: None, winner: None }
    }

    fn wants_lookup(&self) -> bool {
        match (&self.change, &self.task) {
            (Change::Block(_), Task::Add | Task::Nothing) => true,
            (Change::Block(_), Task::Delete | Task::Refuse(_)) | (Change::Unblock(_), _) => false,
        }
    }

    /// Whether the kernel refused to add the route because its prefix is taken.
    fn found_taken(&self) -> bool {
        matches!(self.task, Task::Add)
            && self.refusal.as_ref().is_some_and(|refusal| refusal.errno == Errno::EEXIST)
    }
}

/// Keeps the last change of each network, in the order of these, with networks in canonical form.
fn fold(changes: &[Change]) -> Vec<Change> {
    let mut seen = HashSet::with_capacity(changes.len());
    let mut last: Vec<Change> = changes
        .iter()
        .rev()
        .map(|change| match change {
            Change::Block(net) => Change::Block(net.trunc()),
            Change::Unblock(net) => Change::Unblock(net.trunc()),
        })
        .filter(|change| seen.insert(change.net()))
        .collect();
    last.reverse();
    last
}

/// The address to look up for a network: one in its middle, where hardly ever an address or a gateway
/// of this host sits, for which more specific routes exist.
pub(crate) fn sample(net: IpNet) -> IpAddr {
    let half =
        1_u128.checked_shl(u32::from(net.max_prefix_len() - net.prefix_len()).wrapping_sub(1));
    let half = half.unwrap_or(0);
    match net {
        IpNet::V4(net) => {
            let half = u32::try_from(half).unwrap_or(0);
            IpAddr::V4((u32::from(net.network()) | half).into())
        }
        IpNet::V6(net) => IpAddr::V6((u128::from(net.network()) | half).into()),
    }
}

#[cfg(test)]
mod tests;
