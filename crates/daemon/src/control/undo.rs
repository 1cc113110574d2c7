//! Undo of an operator's bans and unbans, for ten minutes.
//!
//! What an action ended is kept here as the engine had it: begin, end, scope and cause. So an undo restores a ban of a
//! rule as a ban of that rule, with its evidence and its end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{Action, BanView, Cause, Expiry, Input, Refusal, Scope, Timestamp};

use super::Control;
use super::bans::KERNEL;
use super::error::ControlError;
use crate::EngineTask;
use sipward_model::wire::{BanMade, MAX_LIMIT, NewBan, Unbanned};

/// How long an action can be undone.
const LIFE: Duration = Duration::from_secs(600);

/// Actions that can be undone; beyond it the oldest no longer can.
const MAX_ACTIONS: usize = 64;

/// Bans that one action may have ended, as many as a page of the list has.
const MAX_ENDED: usize = MAX_LIMIT as usize;

/// Bans kept for all actions together.
const MAX_KEPT: usize = 4 * MAX_ENDED;

/// Bans restored in one call to the engine.
const PART: usize = 256;

/// An action that can be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undoable {
    /// Its number, unique across restarts.
    pub id: u64,
    /// The network that it banned; `None` for an unban.
    pub banned: Option<IpNet>,
    /// The network of the only ban that it ended; `None` if there were none or several.
    pub unbanned: Option<IpNet>,
    /// How many bans it ended.
    pub ended: usize,
}

/// What an undo did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Bans lifted: 1 for the undo of a ban that still stood.
    pub lifted: u64,
    /// Bans restored.
    pub restored: u64,
    /// Bans that would have ended meanwhile.
    pub over: u64,
    /// Bans that the engine refused, because another one covers them or an exemption was added.
    pub refused: u64,
}

/// The actions that can be undone, the oldest first.
#[derive(Debug)]
pub(super) struct UndoLog(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    next: u64,
    actions: VecDeque<Done>,
}

#[derive(Debug)]
struct Done {
    id: u64,
    until: Instant,
    /// The ban that it made, and its begin.
    made: Option<(IpNet, Timestamp)>,
    ended: Vec<EndedBan>,
}

/// A ban that an action ended.
#[derive(Clone, Debug)]
struct EndedBan {
    net: IpNet,
    since: Timestamp,
    until: Expiry,
    scope: Scope,
    cause: Arc<Cause>,
}

impl UndoLog {
    /// `first` is the number of the first action. It differs between runs of the daemon, so that a page of the run
    /// before undoes nothing.
    pub(super) fn new(first: u64) -> Self {
        Self(Mutex::new(Kept { next: first, actions: VecDeque::new() }))
    }

    fn lock(&self, now: Instant) -> MutexGuard<'_, Kept> {
        // Every change leaves it whole.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.actions.retain(|done| done.until > now);
        kept
    }

    fn keep(
        &self,
        made: Option<(IpNet, Timestamp)>,
        ended: Vec<EndedBan>,
        now: Instant,
    ) -> Option<u64> {
        if made.is_none() && ended.is_empty() {
            return None;
        }
        let mut kept = self.lock(now);
        let id = kept.next;
        kept.next += 1;
        kept.actions.push_back(Done { id, until: now + LIFE, made, ended });
        let bans = |kept: &Kept| kept.actions.iter().map(|done| done.ended.len()).sum::<usize>();
        while kept.actions.len() > MAX_ACTIONS || bans(&kept) > MAX_KEPT {
            kept.actions.pop_front();
        }
        Some(id)
    }

    fn find(&self, id: u64, now: Instant) -> Option<Undoable> {
        let kept = self.lock(now);
        let done = kept.actions.iter().find(|done| done.id == id)?;
        let unbanned = match done.ended.as_slice() {
            [only] => Some(only.net),
            _ => None,
        };
        let banned = done.made.map(|(net, _)| net);
        Some(Undoable { id, banned, unbanned, ended: done.ended.len() })
    }

    fn take(&self, id: u64, now: Instant) -> Option<Done> {
        let mut kept = self.lock(now);
        let place = kept.actions.iter().position(|done| done.id == id)?;
        kept.actions.remove(place)
    }
}

impl Control {
    /// As [`Control::ban`]; gives the number by which it can be undone, unless it replaces too many bans.
    pub async fn ban_with_undo(&self, new: NewBan) -> Result<(BanMade, Option<u64>), ControlError> {
        let net = new.net.0;
        let before = self.touched(&[net]).await?;
        let made = self.ban(new).await?;
        let Some(before) = before else { return Ok((made, None)) };
        let ended = self.ended_of(before).await?;
        let since = self.engine.call(move |task| task.engine().ban(net).map(|ban| ban.since));
        let since = since.await?;
        let id = since.and_then(|since| self.undo.keep(Some((net, since)), ended, Instant::now()));
        Ok((made, id))
    }

    /// As [`Control::unban`]; gives the number by which it can be undone, if it ended bans, and not too many.
    pub async fn unban_with_undo(
        &self,
        nets: &[IpNet],
    ) -> Result<(Unbanned, Option<u64>), ControlError> {
        let before = self.touched(nets).await?;
        let unbanned = self.unban(nets).await?;
        let Some(before) = before else { return Ok((unbanned, None)) };
        let ended = self.ended_of(before).await?;
        Ok((unbanned, self.undo.keep(None, ended, Instant::now())))
    }

    /// The action of this number, while it can be undone.
    pub fn undoable(&self, id: u64) -> Option<Undoable> {
        self.undo.find(id, Instant::now())
    }

    /// Undoes an action, once: lifts the ban that it made, unless another replaced it, and restores the bans that it
    /// ended, as far as their time is not over.
    pub async fn undo(&self, id: u64) -> Result<Undone, ControlError> {
        let Some(Done { made, ended, .. }) = self.undo.take(id, Instant::now()) else {
            let detail =
                "this action can no longer be undone: that is possible once, within 10 minutes";
            return Err(ControlError::NotFound(detail.to_owned()));
        };
        let mut undone = Undone::default();
        if let Some((net, since)) = made {
            let stands = self
                .engine
                .call(move |task| task.engine().ban(net).is_some_and(|ban| ban.since == since));
            if stands.await? {
                undone.lifted = self.unban(&[net]).await?.count;
            }
        }
        let (mut refusal, mut last) = (None, None);
        for part in ended.chunks(PART) {
            let part = part.to_vec();
            let results = self.engine.call(move |task| {
                part.into_iter().map(|ban| (ban.net, restore(task, ban))).collect::<Vec<_>>()
            });
            for (net, result) in results.await? {
                match result {
                    Restored::Yes => {
                        undone.restored += 1;
                        last = Some(net);
                    }
                    Restored::Over => undone.over += 1,
                    Restored::Refused(objection) => {
                        undone.refused += 1;
                        refusal = Some((net, objection));
                    }
                }
            }
        }
        if let Some(net) = last {
            let answer = self.engine.call(move |task| task.kernel_answer(net)).await?;
            // Without an answer the bans are pending, and listed so.
            let _ = tokio::time::timeout(KERNEL, answer).await;
        }
        self.store_settled().await;
        match refusal {
            Some((net, objection)) if undone.restored + undone.lifted == 0 => {
                Err(ControlError::objection(net, objection))
            }
            _ => Ok(undone),
        }
    }

    /// The bans that touch these networks; `None` if there are too many to keep.
    async fn touched(&self, nets: &[IpNet]) -> Result<Option<Vec<EndedBan>>, ControlError> {
        let mut found = BTreeMap::new();
        for net in nets.iter().copied() {
            let touching = self.engine.call(move |task| {
                let bans = task.engine().bans_covering(net).chain(task.engine().bans_inside(net));
                bans.take(MAX_ENDED + 2)
                    .map(|ban| (ban.net, EndedBan::of(&ban)))
                    .collect::<Vec<_>>()
            });
            found.extend(touching.await?);
            if found.len() > MAX_ENDED {
                return Ok(None);
            }
        }
        Ok(Some(found.into_values().collect()))
    }

    /// Those of `before` that no longer are.
    async fn ended_of(&self, mut before: Vec<EndedBan>) -> Result<Vec<EndedBan>, ControlError> {
        Ok(self
            .engine
            .call(move |task| {
                before.retain(|was| {
                    task.engine().ban(was.net).is_none_or(|ban| ban.since != was.since)
                });
                before
            })
            .await?)
    }
}

impl EndedBan {
    fn of(ban: &BanView<'_>) -> Self {
        let BanView { net, since, until, scope, .. } = *ban;
        Self { net, since, until, scope, cause: ban.cause.get() }
    }
}

enum Restored {
    Yes,
    Over,
    Refused(Refusal),
}

fn restore(task: &mut EngineTask, ban: EndedBan) -> Restored {
    let EndedBan { net, since, until, scope, cause } = ban;
    if until <= Expiry::At(task.clock().steady()) {
        return Restored::Over;
    }
    if task.engine().ban(net).is_some() {
        // Banned anew since.
        return Restored::Refused(Refusal::Covered { net });
    }
    task.decide(Input::Restore { net, since, until, scope, cause }, |actions| {
        let refused = actions.iter().find_map(|action| match action {
            Action::Refused { net: refused, reason, .. } if *refused == net => Some(*reason),
            _ => None,
        });
        refused.map_or(Restored::Yes, Restored::Refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(last: u8) -> EndedBan {
        EndedBan {
            net: format!("192.0.2.{last}/32").parse().unwrap(),
            since: Timestamp::from_micros(1),
            until: Expiry::Never,
            scope: Scope::Host,
            cause: Arc::new(Cause::Adopted),
        }
    }

    #[test]
    fn an_action_is_undone_once_and_within_its_time() {
        let (log, now) = (UndoLog::new(7), Instant::now());
        let id = log.keep(None, vec![ban(1)], now).unwrap();
        let found = log.find(id, now).unwrap();
        assert_eq!((found.banned, found.unbanned, found.ended), (None, Some(ban(1).net), 1));
        assert!(log.take(id, now).is_some());
        assert!(log.take(id, now).is_none());
        let id = log.keep(None, vec![ban(1), ban(2)], now).unwrap();
        assert_eq!(log.find(id, now).unwrap().unbanned, None);
        assert!(log.find(id, now + LIFE).is_none());
        assert!(log.take(id, now).is_none(), "it was forgotten");
    }

    #[test]
    fn what_changed_nothing_cannot_be_undone() {
        assert_eq!(UndoLog::new(0).keep(None, Vec::new(), Instant::now()), None);
    }

    #[test]
    fn actions_and_their_bans_are_bounded_and_the_newest_count() {
        let (log, now) = (UndoLog::new(0), Instant::now());
        let ids: Vec<u64> =
            (0..=MAX_ACTIONS).map(|_| log.keep(None, vec![ban(1)], now).unwrap()).collect();
        assert!(log.find(ids[0], now).is_none());
        assert!(ids[1..].iter().all(|id| log.find(*id, now).is_some()));
        let page = vec![ban(1); MAX_ENDED];
        let pages: Vec<u64> = (0..5).map(|_| log.keep(None, page.clone(), now).unwrap()).collect();
        assert!(ids.iter().all(|id| log.find(*id, now).is_none()));
        assert!(log.find(pages[0], now).is_none() && log.find(pages[1], now).is_some());
    }
}
