//! Applies changes: pipelined, verified, reported.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_route::route::RouteType;
use nix::errno::Errno;

use super::Enforcer;
use super::unsettled::Why;
use crate::blackhole::{self, Filter, Route, Winner};
use crate::netlink::{Batch, Refusal, Reply};
use crate::{Change, Enforcement, Report, RouteError};

/// Changes in one send. Their answers (at most a refusal and a lookup each, 768 bytes of kernel memory
/// apiece) and their notifications to the monitor must fit into a receive buffer of the default size,
/// 212,992 bytes, because nothing is read while the kernel works through a send.
pub(super) const SEND: usize = 128;
/// Routes of one network that are deleted at an unban at most: ours, and a few that others set with our mark.
const MOST_LEFT: usize = 4;
/// Routes at most. The engine holds half a million bans; this only bounds what a caller could ask.
const MOST_ROUTES: usize = 1_000_000;

impl Enforcer {
    /// Applies changes and reports each.
    pub(super) async fn apply(&mut self, changes: &[Change]) -> Result<(), RouteError> {
        for part in fold(changes).chunks(self.part()) {
            self.apply_part(part).await?;
            self.monitor.drain().map_err(RouteError::Socket)?;
        }
        Ok(())
    }

    async fn apply_part(&mut self, changes: &[Change]) -> Result<(), RouteError> {
        let mut steps: Vec<Step> = changes.iter().map(|change| self.plan(*change)).collect();
        self.carry_out(&mut steps).await?;
        for step in steps {
            let report = self.conclude(&step).report;
            self.outbox.push(report);
        }
        Ok(())
    }

    /// Changes in one send, so that their answers fit: most need one look-up, with rules before the bans
    /// some need more.
    pub(super) fn part(&self) -> usize {
        (SEND * 2 / (1 + self.proof.width())).max(1)
    }

    pub(super) async fn carry_out(&mut self, steps: &mut [Step]) -> Result<(), RouteError> {
        self.execute(steps).await?;
        if steps.iter().any(Step::found_taken) {
            self.read_back(steps).await?;
        }
        self.delete_what_is_left(steps).await
    }

    /// Decides what a change needs.
    pub(super) fn plan(&self, change: Change) -> Step {
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
            // On its way from another table, it need not be here yet.
            Change::Block(_) if !stands || self.moving.is_some() => Task::Add,
            Change::Unblock(_) if stands => Task::Delete,
            Change::Block(_) | Change::Unblock(_) => Task::Nothing,
        };
        Step::new(change, net, task)
    }

    /// Sends everything at once: first the changes, then the lookups that show what they came to.
    async fn execute(&mut self, steps: &mut [Step]) -> Result<(), RouteError> {
        let mut batch = Batch::default();
        // What the answer to a message is about, by its place in the batch.
        let mut owners = Vec::with_capacity(steps.len() * 2);
        for (index, step) in steps.iter().enumerate() {
            match step.task {
                Task::Add => self.blackholes.add(&mut batch, step.net),
                Task::Delete => self.blackholes.delete(&mut batch, step.net),
                Task::Nothing | Task::Refuse(_) => continue,
            };
            owners.push(About::Change(index));
            if let (Task::Delete, Some(moving)) = (&step.task, &self.moving) {
                for old in moving.old_tables() {
                    old.delete_any(&mut batch, step.net);
                    owners.push(About::Nothing);
                }
            }
        }
        self.ask(&mut batch, &mut owners, steps, Step::wants_lookup);
        self.send(batch, &owners, steps).await
    }

    fn ask(
        &self,
        batch: &mut Batch,
        owners: &mut Vec<About>,
        steps: &mut [Step],
        which: impl Fn(&Step) -> bool,
    ) {
        for (index, step) in steps.iter_mut().enumerate().filter(|(_, step)| which(step)) {
            let count = self.proof.ask(batch, sample(step.net));
            owners.extend((0..count).map(|way| About::LookUp(index, way)));
            step.answers = vec![None; count];
        }
    }

    async fn send(
        &mut self,
        batch: Batch,
        owners: &[About],
        steps: &mut [Step],
    ) -> Result<(), RouteError> {
        self.route
            .exchange(batch, |place, reply| match owners.get(place) {
                Some(About::Change(index)) => {
                    if let (Some(step), Reply::Refused(refusal)) = (steps.get_mut(*index), reply) {
                        step.refusal = Some(refusal);
                    }
                }
                Some(About::LookUp(index, way)) => {
                    let slot = steps.get_mut(*index).and_then(|step| step.answers.get_mut(*way));
                    if let (Some(slot), Some(winner)) = (slot, Winner::of(&reply)) {
                        *slot = Some(winner);
                    }
                }
                Some(About::Nothing) | None => {}
            })
            .await
    }

    /// Where a prefix was taken, looks by whom: a route of ours (type and protocol) is what was asked
    /// for; one of somebody else may stop the packets as well.
    async fn read_back(&mut self, steps: &mut [Step]) -> Result<(), RouteError> {
        let taken: HashSet<IpNet> =
            steps.iter().filter(|step| step.found_taken()).map(|step| step.net).collect();
        let mut found: HashMap<IpNet, Route> = HashMap::with_capacity(taken.len());
        for kind in [RouteType::BlackHole, RouteType::Unreachable, RouteType::Prohibit] {
            let table = Some(self.proof.place.table);
            let filter = Filter { protocol: None, table, kind: Some(kind) };
            blackhole::dump(&mut self.route, filter, |route| {
                if taken.contains(&route.net) {
                    found.insert(route.net, route);
                }
            })
            .await?;
        }
        for step in steps.iter_mut().filter(|step| step.found_taken()) {
            match found.remove(&step.net) {
                Some(route) if self.blackholes.owns(&route) => step.refusal = None,
                Some(route) => step.obstacle = Some(route),
                None => {}
            }
        }
        Ok(())
    }

    /// An unban is over when no route of ours covers the address: what a second program or somebody by
    /// hand set with our mark goes too.
    async fn delete_what_is_left(&mut self, steps: &mut [Step]) -> Result<(), RouteError> {
        for _ in 0..MOST_LEFT {
            let left = |step: &Step| step.is_still_blackholed() && !step.nothing_is_left;
            if !steps.iter().any(|step| left(step) && !self.is_banned(step.net)) {
                return Ok(());
            }
            let (mut batch, mut owners) = (Batch::default(), Vec::new());
            for (index, step) in steps.iter_mut().enumerate().filter(|(_, step)| left(step)) {
                // Refused as soon as there is none.
                step.refusal = None;
                self.blackholes.delete_any(&mut batch, step.net);
                owners.push(About::Change(index));
            }
            self.ask(&mut batch, &mut owners, steps, left);
            self.send(batch, &owners, steps).await?;
            for step in steps.iter_mut().filter(|step| left(step)) {
                step.nothing_is_left = step.refusal.is_some();
            }
        }
        Ok(())
    }

    /// Whether a ban of ours covers a network.
    fn is_banned(&self, net: IpNet) -> bool {
        !self.bans_around(IpNet::from(sample(net))).iter().all(|around| *around == net)
    }

    /// Our routes as the kernel has them now, where the bans are.
    pub(super) async fn standing(&mut self) -> Result<HashSet<IpNet>, RouteError> {
        let mut ours = HashSet::with_capacity(self.wanted.len());
        let filter = Filter {
            protocol: Some(self.settings.protocol),
            table: Some(self.proof.place.table),
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

    /// Puts the outcome of a step into what is known, and into words.
    pub(super) fn conclude(&mut self, step: &Step) -> Outcome {
        let Step { change, net, .. } = *step;
        let failure = match (&step.task, &step.refusal) {
            (Task::Refuse(reason), _) => Some(reason.clone()),
            // Gone is gone.
            (_, Some(refusal)) if refusal.errno == Errno::ESRCH => None,
            (_, Some(refusal)) => Some(self.explain(net, refusal)),
            (_, None) => None,
        };
        if let Some(error) = failure {
            let report = self.stopped_by_other(step).unwrap_or(Report::Failed { change, error });
            let is_full = self.unsettled.len() >= MOST_ROUTES;
            let is_news = is_full || self.unsettled.note(net, Why::Refused(change), &report);
            return Outcome { report, is_news };
        }
        match change {
            Change::Block(_) => {
                self.wanted.insert(net);
                let enforcement = self.enforcement(net, &step.answers);
                let is_weak = !enforcement.is_full();
                let report = Report::Blocked { net, enforcement };
                let is_news = if is_weak {
                    self.unsettled.note(net, Why::Weak, &report)
                } else {
                    self.unsettled.settle(net)
                };
                Outcome { report, is_news }
            }
            Change::Unblock(_) => {
                self.wanted.remove(&net);
                self.unsettled.settle(net);
                let is_stopped = step.is_still_blackholed() && !self.is_banned(net);
                let still = is_stopped.then(|| {
                    format!(
                        "a blackhole of another program covers it, see `ip route get {}`",
                        sample(net)
                    )
                });
                Outcome { report: Report::Unblocked { net, still }, is_news: true }
            }
        }
    }

    /// What to report of a ban whose prefix is taken by a route that stops the same packets.
    fn stopped_by_other(&self, step: &Step) -> Option<Report> {
        let route = step.obstacle.as_ref().filter(|route| route.stops())?;
        let verdict = self.proof.judge(sample(step.net), &step.answers);
        let enforcement = match verdict.enforcement() {
            None if self.drops.all_of(step.net) => {
                Enforcement::StoppedByOther { route: route.to_string() }
            }
            None | Some(_) => return None,
        };
        Some(Report::Blocked { net: step.net, enforcement })
    }

    fn enforcement(&self, net: IpNet, answers: &[Option<Winner>]) -> Enforcement {
        match self.proof.judge(sample(net), answers).enforcement() {
            Some(passed) => passed,
            None if self.drops.all_of(net) => Enforcement::Full,
            None => Enforcement::RepliesOnly,
        }
    }

    pub(super) fn explain(&self, net: IpNet, refusal: &Refusal) -> String {
        match refusal.errno {
            Errno::EEXIST => {
                let family = if matches!(net, IpNet::V6(_)) { "-6 " } else { "" };
                let table = self.proof.place.table;
                format!(
                    "a route of somebody else with this prefix exists, see \
                     `ip {family}route show table {table} exact {net}`; {net} is banned when it goes"
                )
            }
            Errno::EPERM => RouteError::NotPermitted.to_string(),
            _ => refusal.to_string(),
        }
    }
}

/// What came of a step.
pub(super) struct Outcome {
    pub(super) report: Report,
    /// It differs from what was reported before.
    pub(super) is_news: bool,
}

/// What the answer to a message is about.
#[derive(Clone, Copy)]
enum About {
    /// The change of a step.
    Change(usize),
    /// A look-up of a step, by its way.
    LookUp(usize, usize),
    Nothing,
}

/// One change on its way through the kernel.
pub(super) struct Step {
    change: Change,
    net: IpNet,
    task: Task,
    refusal: Option<Refusal>,
    /// The route of somebody else that has the prefix.
    obstacle: Option<Route>,
    /// What each look-up found, way by way.
    answers: Vec<Option<Winner>>,
    /// No route of ours is left of an unban.
    nothing_is_left: bool,
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
    fn new(change: Change, net: IpNet, task: Task) -> Self {
        let (refusal, obstacle, answers) = (None, None, Vec::new());
        Self { change, net, task, refusal, obstacle, answers, nothing_is_left: false }
    }

    /// A ban that stands already and is only looked up.
    pub(super) fn standing(net: IpNet) -> Self {
        Self::new(Change::Block(net), net, Task::Nothing)
    }

    fn wants_lookup(&self) -> bool {
        !matches!(self.task, Task::Refuse(_))
    }

    /// Whether a blackhole wins for an address that is to be free, by some way.
    fn is_still_blackholed(&self) -> bool {
        matches!(self.change, Change::Unblock(_))
            && self.answers.iter().any(|answer| matches!(answer, Some(Winner::Blackhole)))
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
