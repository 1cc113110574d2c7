//! Applies changes: pipelined, verified, reported.

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;
use netlink_packet_route::route::RouteType;
use nix::errno::Errno;

use super::Enforcer;
use super::step::{Step, Task, Wish, fold};
use super::unsettled::Why;
use crate::blackhole::{self, Filter, Route, Winner};
use crate::net_set::NetSet;
use crate::netlink::{Batch, Refusal, Reply};
use crate::proof::sample;
use crate::{Change, Enforcement, Report, RouteError, Scope};

/// Changes in one send. Their answers (at most a refusal and a lookup each, 768 bytes of kernel memory
/// apiece) and their notifications to the monitor must fit into a receive buffer of the default size,
/// 212,992 bytes, because nothing is read while the kernel works through a send.
pub(super) const SEND: usize = 128;
/// Routes of one network that are deleted at an unban at most: ours, and a few that others set with our mark.
const MOST_LEFT: usize = 4;
/// Bans at most. The engine holds half a million; this only bounds what a caller could ask.
const MOST_BANS: usize = 1_000_000;
/// Networks with [`Scope::Sip`] at most that no hash set holds: the kernel looks them up in a tree.
const MOST_SIP_NETS: usize = 65_536;

impl Enforcer {
    /// Applies changes and reports each.
    pub(super) async fn apply(&mut self, changes: &[Change]) -> Result<(), RouteError> {
        let folded = fold(changes);
        if !folded.nets.is_empty() {
            let mut steps: Vec<Step> =
                folded.nets.into_iter().map(|(wish, net)| self.plan(wish, net)).collect();
            for outcome in self.carry_out(&mut steps).await? {
                self.outbox.push(outcome.report);
            }
        }
        self.apply_flows(&folded.flows).await
    }

    /// Changes in one send, so that their answers fit: most need one look-up, with rules before the bans
    /// some need more.
    pub(super) fn part(&self) -> usize {
        (SEND * 2 / (1 + self.proof.width())).max(1)
    }

    /// Carries steps out: what goes into a set of the gate first, then the routes, then what leaves a set. So
    /// something stops the packets of a ban at any moment, also while its scope changes.
    pub(super) async fn carry_out(
        &mut self,
        steps: &mut [Step],
    ) -> Result<Vec<Outcome>, RouteError> {
        self.enter_sets(steps).await?;
        let part = self.part();
        for (index, some) in steps.chunks_mut(part).enumerate() {
            if index > 0 {
                self.monitor.drain().map_err(RouteError::Socket)?;
                // The kernel answers at once, so this task never waits: the others of its thread get their turn here.
                tokio::task::yield_now().await;
            }
            self.change_routes(some).await?;
        }
        self.leave_sets(steps).await?;
        let outcomes = steps.iter().map(|step| self.conclude(step)).collect();
        self.mend_sets().await?;
        Ok(outcomes)
    }

    async fn change_routes(&mut self, steps: &mut [Step]) -> Result<(), RouteError> {
        self.execute(steps).await?;
        if steps.iter().any(Step::found_taken) {
            self.read_back(steps).await?;
        }
        self.delete_what_is_left(steps).await
    }

    /// Decides what a change needs of the routes.
    pub(super) fn plan(&self, wish: Wish, net: IpNet) -> Step {
        let stands = self.wanted.contains(&net);
        let task = match wish {
            Wish::Block(scope) if let Some(reason) = self.forbids(net, scope, stands) => {
                Task::Refuse(reason)
            }
            // On its way from another table, it need not be here yet.
            Wish::Block(Scope::Host) if !stands || self.moving.is_some() => Task::Add,
            Wish::Block(Scope::Sip) | Wish::Unblock if stands => Task::Delete,
            Wish::Block(_) | Wish::Unblock => Task::Nothing,
        };
        Step::new(wish, net, task, stands)
    }

    /// Why a network must not be blocked, or cannot be. `stands`: it is banned from everything already.
    fn forbids(&self, net: IpNet, scope: Scope, stands: bool) -> Option<String> {
        let lost = match scope {
            Scope::Host => self.host.lost_by(net),
            Scope::Sip => (net.prefix_len() == 0).then(|| "all phones".to_owned()),
        };
        let cut_off = lost.map(|lost| format!("it would cut this host off from {lost}"));
        cut_off
            .or_else(|| {
                let is_full = self.wanted.len() + self.at_sip.len() >= MOST_BANS
                    && !stands
                    && !self.at_sip.contains(net);
                is_full.then(|| format!("the limit of {MOST_BANS} bans is reached"))
            })
            .or_else(|| {
                let is_full = scope == Scope::Sip
                    && crate::ban::Exact::of(net).is_none()
                    && !self.at_sip.contains(net)
                    && self.at_sip.nets.len() >= MOST_SIP_NETS;
                is_full
                    .then(|| format!("the limit of {MOST_SIP_NETS} bans with scope sip is reached"))
            })
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

    /// Where a prefix was taken, looks by whom: one of our routes (type and protocol) is what was asked
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

    /// An unban is over when none of our routes covers the address: what a second program or somebody by
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

    /// Whether one of our bans covers a network.
    fn is_banned(&self, net: IpNet) -> bool {
        !self.bans_around(IpNet::from(sample(net))).iter().all(|around| *around == net)
    }

    /// Our routes as the kernel has them now, where the bans are.
    pub(super) async fn standing(&mut self) -> Result<NetSet, RouteError> {
        let mut ours = NetSet::default();
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
    fn conclude(&mut self, step: &Step) -> Outcome {
        let net = step.net;
        let failure = match (&step.task, &step.refusal) {
            (Task::Refuse(reason), _) => Some(reason.clone()),
            (_, Some(refusal)) if step.has_failed() => Some(self.explain(net, refusal)),
            (_, Some(_) | None) => None,
        };
        if let Some(error) = failure {
            let change = step.change();
            let report = self.stopped_by_other(step).unwrap_or(Report::Failed { change, error });
            let is_full = self.unsettled.len() >= MOST_BANS;
            let is_news = is_full || self.unsettled.note(net, Why::Refused(step.wish), &report);
            return Outcome { report, is_news };
        }
        let enforcement = match step.wish {
            Wish::Block(Scope::Host) => {
                self.at_sip.remove(net);
                self.wanted.insert(net);
                self.enforcement(net, &step.answers)
            }
            Wish::Block(Scope::Sip) => {
                self.wanted.remove(&net);
                self.at_sip.insert(net);
                self.sip_enforcement()
            }
            Wish::Unblock => {
                self.wanted.remove(&net);
                self.at_sip.remove(net);
                self.unsettled.settle(net);
                let is_stopped = step.is_still_blackholed() && !self.is_banned(net);
                let still = is_stopped.then(|| {
                    format!(
                        "a blackhole of another program covers it, see `ip route get {}`",
                        sample(net)
                    )
                });
                return Outcome { report: Report::Unblocked { net, still }, is_news: true };
            }
        };
        let is_settled = matches!(enforcement, Enforcement::Full | Enforcement::SipOnly);
        let report = Report::Blocked { net, enforcement };
        let is_news = if is_settled {
            self.unsettled.settle(net)
        } else {
            self.unsettled.note(net, Why::Weak, &report)
        };
        Outcome { report, is_news }
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
            Some(passed) if self.is_in_set(net) => {
                Enforcement::InboundOnly { because: passed.to_string() }
            }
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
                    "a route of another program with this prefix exists, see \
                     `ip {family}route show table {table} exact {net}`; {net} is banned when that \
                         route is removed"
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
