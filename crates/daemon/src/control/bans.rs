//! Bans: list, make, lift.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Action, Cause, Exemption, Expiry, Input, MAX_BAN_TIME, UnblockReason};
use tokio::sync::oneshot;

use super::Control;
use super::bounds::{at_most, between, limit};
use super::convert;
use super::error::ControlError;
use super::select::select;
use crate::{EngineHandle, EngineTask, ProtectedReason};
use sipward_model::wire::{
    Ban, BanMade, BanPage, BanQuery, MAX_LISTED, NewBan, Refusal, StillStopped, Unbanned,
};

/// Longest reason, in bytes.
pub(super) const MAX_WORDS: usize = 500;

/// Addresses to spare: an SSH client has one.
const MAX_SPARED: usize = 16;

/// Widest networks that are banned without `force`: 65,536 addresses, or what a provider has.
const WIDEST_V4: u8 = 16;
const WIDEST_V6: u8 = 32;

/// Wait for the kernel's answer to a ban, which takes a fraction of a millisecond.
pub(super) const KERNEL: Duration = Duration::from_secs(2);

/// Between two looks whether the kernel has carried out unbans.
const LOOK: Duration = Duration::from_millis(2);

/// Bans lifted in one call to the engine.
const PART: usize = 256;

impl Control {
    /// Lists active bans.
    pub async fn bans(&self, query: BanQuery) -> Result<BanPage, ControlError> {
        let limit = limit(query.limit)?;
        let finder = self.lookups.geo.finder();
        let located = !finder.is_empty();
        let selected = select(&self.engine, finder, query, limit).await?;
        let nets = selected.nets;
        let items = self.engine.call(move |task| {
            // One that ended since is left out.
            let bans = nets.into_iter().filter_map(|net| task.engine().ban(net));
            bans.map(|ban| convert::ban(&ban, task.kernel(), task.clock())).collect()
        });
        let items = self.locate(items.await?).await?;
        let (total, next) = (selected.total, selected.next);
        Ok(BanPage { items, total, next, located })
    }

    /// The ban of exactly one network.
    pub async fn ban_of(&self, net: IpNet) -> Result<Ban, ControlError> {
        let ban = self.engine.call(move |task| found(task, net)).await?;
        let ban = self.locate(ban.into_iter().collect()).await?.pop();
        ban.ok_or_else(|| ControlError::NotFound(format!("no ban covers exactly {net}")))
    }

    /// Bans a network.
    ///
    /// It is answered when the kernel has answered and the store has written it.
    pub async fn ban(&self, new: NewBan) -> Result<BanMade, ControlError> {
        check(&new)?;
        let net = new.net.0;
        if let Err(refused) = guard(&new) {
            // An override that cannot work is not offered.
            let own = self.engine.call(move |task| own_in(task, net)).await?;
            let own = own.map(|net| sipward_engine::Refusal::Exempt { class: Exemption::Own, net });
            return Err(own.map_or(refused, |own| ControlError::objection(net, own)));
        }
        let decided = self.engine.call(move |task| decide(task, new)).await?;
        let kernel = decided.map_err(|objection| ControlError::objection(net, objection))?;
        // Without an answer the ban says `pending`, which it is.
        let _ = tokio::time::timeout(KERNEL, kernel).await;
        let store = self.store_settled().await;
        let ban = self.engine.call(move |task| found(task, net)).await?;
        let ban = ban.ok_or_else(|| {
            // A second ban, an unban, or its end came in between.
            ControlError::NotFound(format!("the ban of {net} has already ended"))
        })?;
        Ok(BanMade { ban, store })
    }

    /// Lifts all bans, and forgets all counted failures.
    pub async fn unban_all(&self) -> Result<Unbanned, ControlError> {
        let all = [IpAddr::from([0; 4]), IpAddr::from([0; 16])].map(everything);
        self.unban(&all).await
    }

    /// Unbans networks: lifts every ban inside them, splits wider ones around them, and forgets the failures counted
    /// against the sources in them. A network without a ban is no error: it ends none.
    pub async fn unban(&self, nets: &[IpNet]) -> Result<Unbanned, ControlError> {
        let mut ended = Ended::default();
        for net in nets.iter().copied() {
            // There may be half a million: a part at a time. Where a wider ban is to be split, all at once, or
            // each part would split it anew.
            loop {
                let part = self.engine.call(move |task| lift_part(task, net)).await?;
                let last = part.count < PART as u64;
                ended.add(part);
                if last {
                    break;
                }
            }
            // Those around it, and the failures counted in it.
            ended.add(
                self.engine.call(move |task| task.decide(Input::Unban { net }, Ended::of)).await?,
            );
        }
        let unfinished = wait_for_unbans(&self.engine).await?;
        let nets = ended.nets.clone();
        let still_stopped = self.engine.call(move |task| still_stopped(task, nets)).await?;
        let store = self.store_settled().await;
        let Ended { count, nets: ended, left, flows } = ended;
        Ok(Unbanned { count, ended, left, unfinished, flows, still_stopped, store })
    }
}

fn check(new: &NewBan) -> Result<(), ControlError> {
    at_most("reason", new.reason.as_deref(), MAX_WORDS)?;
    if new.spare.len() > MAX_SPARED {
        return Err(ControlError::field("spare", format!("more than {MAX_SPARED} addresses")));
    }
    match new.ban_time_seconds {
        Some(_) if new.permanent => {
            Err(ControlError::field("ban_time_seconds", "must be left out for a permanent ban"))
        }
        Some(time) => between("ban_time_seconds", time, &(1..=MAX_BAN_TIME.as_secs())).map(drop),
        None => Ok(()),
    }
}

/// What a slip of the finger must not do.
fn guard(new: &NewBan) -> Result<(), ControlError> {
    if new.force {
        return Ok(());
    }
    let net = new.net.0;
    let refused = |reason: &str, by: Option<IpNet>, why: String| {
        let refusal = Refusal {
            reason: reason.to_owned(),
            class: None,
            prevented_by: by,
            force_overrides: true,
        };
        Err(ControlError::refused(net, refusal, why))
    };
    if let Some(spared) = new.spare.iter().find(|spared| net.contains(&spared.to_canonical())) {
        let spared = spared.to_canonical();
        let why = format!("it would cover {spared}, the address of this client");
        return refused("spared", Some(spared.into()), why);
    }
    let widest = if net.addr().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
    if net.prefix_len() < widest {
        return refused("too_wide", None, format!("it is wider than /{widest}"));
    }
    Ok(())
}

/// An address of this host or a reserved one that the network covers, which nothing overrides.
fn own_in(task: &EngineTask, net: IpNet) -> Option<IpNet> {
    let own = ProtectedReason::Exempt(Exemption::Own);
    let entries = task.protected().touching(&net);
    entries.into_iter().find(|entry| entry.reason == own).map(|entry| entry.net)
}

/// Tells the engine; gives its objection, or the kernel's answer to come.
fn decide(
    task: &mut EngineTask,
    new: NewBan,
) -> Result<oneshot::Receiver<()>, sipward_engine::Refusal> {
    let net = new.net.0;
    let ban_time = match new.ban_time_seconds {
        Some(seconds) => Duration::from_secs(seconds),
        None => task.engine().policy().ban_time,
    };
    let until =
        if new.permanent { Expiry::Never } else { Expiry::At(task.clock().steady() + ban_time) };
    let reason = new.reason.unwrap_or_default();
    let (scope, force) = (new.scope.map(convert::engine_scope), new.force);
    let objection = task.decide(Input::Ban { net, until, scope, reason, force }, |actions| {
        actions.iter().find_map(|action| match action {
            Action::Refused { net: refused, reason, cause }
                if *refused == net && matches!(**cause, Cause::Manual { .. }) =>
            {
                Some(*reason)
            }
            _ => None,
        })
    });
    objection.map_or_else(|| Ok(task.kernel_answer(net)), Err)
}

fn found(task: &mut EngineTask, net: IpNet) -> Option<Ban> {
    task.engine().ban(net).map(|ban| convert::ban(&ban, task.kernel(), task.clock()))
}

/// `0.0.0.0/0` or `::/0`.
fn everything(zero: IpAddr) -> IpNet {
    IpNet::new_assert(zero, 0)
}

/// Waits until no route is left of what was unbanned; gives how many still are when the kernel makes no
/// progress any more.
pub(super) async fn wait_for_unbans(engine: &EngineHandle) -> Result<u64, ControlError> {
    let (mut fewest, mut progress) = (usize::MAX, Instant::now());
    loop {
        let leaving = engine.call(|task| task.kernel().leaving()).await?;
        if leaving < fewest {
            (fewest, progress) = (leaving, Instant::now());
        }
        if leaving == 0 || progress.elapsed() > KERNEL {
            return Ok(leaving as u64);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn still_stopped(task: &mut EngineTask, nets: Vec<IpNet>) -> Vec<StillStopped> {
    let of = |net: IpNet| {
        let by = task.kernel().still_stopped_by(net)?.to_owned();
        task.kernel().has_left(net).then_some(StillStopped { net, by })
    };
    nets.into_iter().filter_map(of).collect()
}

/// Lifts some of the bans inside a network around which there is none.
fn lift_part(task: &mut EngineTask, net: IpNet) -> Ended {
    let mut ended = Ended::default();
    if task.engine().bans_covering(net).next().is_some() {
        return ended;
    }
    let part: Vec<IpNet> = task.engine().bans_inside(net).take(PART).map(|ban| ban.net).collect();
    for net in part {
        ended.add(task.decide(Input::Unban { net }, Ended::of));
    }
    ended
}

/// Bans that ended on request.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) count: u64,
    pub(super) nets: Vec<IpNet>,
    pub(super) left: Vec<IpNet>,
    pub(super) flows: u64,
}

impl Ended {
    /// What `actions` end on purpose, and what they leave of it.
    pub(super) fn of(actions: &[Action]) -> Self {
        let mut this = Self::default();
        for action in actions {
            match action {
                Action::Unblock { net, reason } => match reason {
                    UnblockReason::Manual | UnblockReason::Exempted | UnblockReason::Split => {
                        this.count += 1;
                        this.nets.push(*net);
                    }
                    UnblockReason::Expired
                    | UnblockReason::Superseded
                    | UnblockReason::MadeRoom
                    | UnblockReason::NotAdopted
                    | UnblockReason::Registered
                    | UnblockReason::Withdrawn => {}
                },
                Action::AllowFlow { reason: UnblockReason::Manual, .. } => this.flows += 1,
                Action::Block { net, cause, .. } if matches!(**cause, Cause::Split { .. }) => {
                    this.left.push(*net);
                }
                _ => {}
            }
        }
        this
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.flows += other.flows;
        let room = |list: &Vec<IpNet>| MAX_LISTED.saturating_sub(list.len());
        let (nets, left) = (room(&self.nets), room(&self.left));
        self.nets.extend(other.nets.into_iter().take(nets));
        self.left.extend(other.left.into_iter().take(left));
    }
}

#[cfg(test)]
mod tests;
