//! "If this had been on last week": what happened, judged again by a changed policy. Nothing is changed.
//!
//! Two things are kept of what happened, and each answers a part of the question:
//!
//! | kept | answers |
//! |---|---|
//! | the evidence of every ban, in the history of the store | whether that ban would have been made |
//! | the latest failures, in memory | who would have been banned besides |
//!
//! Failures that led to no ban and are no longer in memory are counted by the quarter of an hour only: nothing can be
//! said of them.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{
    self as engine, Action, Engine, Forecast, Judgement, Policy, RuleName, Timestamp,
};
use tokio::sync::Mutex;

use super::attacks::of_memory;
use super::error::ControlError;
use super::healthy::look;
use super::overlap::list;
use super::{Control, aside, convert, policy};
use crate::PolicyEdit;
use sipward_model::text::Time;
use sipward_model::wire::{
    NotMadeBecause, PolicyChange, PolicyReplay, ReplayedBan, ReplayedLift, ValueChange,
};
use sipward_store::{HistoryKind, HistoryQuery, What};

/// How far back.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Bans of the history that are read at most, the newest.
const MOST_BANS: u64 = 100_000;

/// No further page of the history is read after this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Addresses introduced to a rehearsal in one call to the engine.
const INTRODUCED: usize = 64;

/// Networks at which known hosts are looked for, and those of one call.
const LOOKED_AT: usize = 4_096;
const LOOKED_AT_ONCE: usize = 64;

/// Seconds until a replay may follow another that is not finished.
const AGAIN: u32 = 5;

/// One replay at a time.
pub(super) type Replays = Arc<Mutex<()>>;

/// What another policy would have made of the bans of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// No ban.
    NotMade(RuleName, NotMadeBecause),
    /// The evidence of the latest ban at this time does not suffice to tell.
    Unsure(Timestamp),
    /// At least one.
    Made,
}

/// What the history says.
#[derive(Default)]
struct Past {
    nets: BTreeMap<IpNet, Verdict>,
    bans: u64,
    from: Option<Timestamp>,
    is_whole: bool,
}

/// What the failures in memory say.
struct Rehearsed {
    failures: u64,
    from: Timestamp,
    /// Networks banned by the policy in force, and by the other one, each with the rule.
    now: BTreeMap<IpNet, RuleName>,
    then: BTreeMap<IpNet, RuleName>,
}

impl Control {
    /// What a change of the policy would have done in the last week, as far as that is known.
    ///
    /// # Errors
    /// When a replay is running, or the change cannot be.
    pub async fn replay_policy(&self, change: PolicyChange) -> Result<PolicyReplay, ControlError> {
        let Ok(_one) = self.replays.try_lock() else {
            let detail = "another replay is running".to_owned();
            return Err(ControlError::TooMany { detail, retry_after: AGAIN });
        };
        let stored = change.stored;
        let edit = PolicyEdit::Set { values: policy::wanted(change)?, stored };
        let (now, then) = self.settings.preview_policy(&edit).await?;
        let changes = policy::differences(&now, &then)
            .into_iter()
            .map(|(key, from, to)| ValueChange { key, from, to })
            .collect();
        let then = Arc::new(then);
        let past = self.past(&then).await?;
        let rehearsed = self.rehearse(now, &then).await?;
        let (past, added) = compare(past, &rehearsed);
        self.report(changes, past, added, &rehearsed).await
    }

    /// Reads the bans of the last week, the newest first.
    async fn past(&self, then: &Arc<Policy>) -> Result<Past, ControlError> {
        self.store.settled().await;
        let began = Instant::now();
        let start = self.clock().await?.now().earlier(WEEK);
        let mut query = HistoryQuery {
            kind: Some(HistoryKind::Ban),
            from: Some(start),
            limit: HistoryQuery::MAX_LIMIT,
            ..HistoryQuery::default()
        };
        let mut past = Past::default();
        loop {
            let page = self.store.history(query.clone()).await?;
            let then = Arc::clone(then);
            past = aside(move || {
                for event in &page.events {
                    past.from = Some(event.at);
                    if let What::Ban { cause, .. } = &event.what {
                        past.judge(event.at, event.net, cause, &then);
                    }
                }
                past
            })
            .await?;
            query.before = page.next;
            if page.next.is_none() {
                past.is_whole = true;
                return Ok(past);
            }
            if past.bans >= MOST_BANS || began.elapsed() > PATIENCE {
                return Ok(past);
            }
        }
    }

    /// Judges the failures in memory again, by both policies.
    async fn rehearse(&self, now: Policy, then: &Arc<Policy>) -> Result<Rehearsed, ControlError> {
        let (failures, from) = of_memory(self, |seen| {
            let mut failures: Vec<(Timestamp, Judgement)> =
                seen.failures().map(|(at, kept)| (at, kept.with_texts(|text| **text))).collect();
            failures.reverse();
            (failures, seen.since)
        })
        .await?;
        let sources: HashSet<IpAddr> = failures.iter().map(|(_, it)| it.address).collect();
        let sources: Vec<IpAddr> = sources.into_iter().collect();
        let then = Policy::clone(then);
        let engines = self.engine.call(move |task| {
            let engine = task.engine();
            let boxed = |policy| engine.rehearsal(policy).map(Box::new);
            Ok::<_, engine::PolicyError>((boxed(now)?, boxed(then)?))
        });
        // Cannot fail: both have been checked.
        let (mut now, mut then) =
            engines.await?.map_err(|error| ControlError::Unavailable(error.to_string()))?;
        for part in sources.chunks(INTRODUCED) {
            let part = part.to_vec();
            (now, then) = self
                .engine
                .call(move |task| {
                    task.engine().introduce(&part, &mut now);
                    task.engine().introduce(&part, &mut then);
                    (now, then)
                })
                .await?;
        }
        aside(move || Rehearsed {
            failures: failures.len() as u64,
            from,
            now: banned(now, &failures),
            then: banned(then, &failures),
        })
        .await
    }

    async fn report(
        &self,
        changes: Vec<ValueChange>,
        past: Past,
        added: BTreeMap<IpNet, RuleName>,
        rehearsed: &Rehearsed,
    ) -> Result<PolicyReplay, ControlError> {
        let mut lifted = Vec::new();
        let (mut made, mut unsure) = (0, 0);
        for (net, verdict) in &past.nets {
            match verdict {
                Verdict::Made => made += 1,
                Verdict::Unsure(_) => unsure += 1,
                Verdict::NotMade(rule, because) => lifted.push((*net, *rule, *because)),
            }
        }
        let healthy_of = |nets: Vec<IpNet>| self.healthy_among(nets);
        let spared = healthy_of(lifted.iter().map(|(net, ..)| *net).collect()).await?;
        let hit = healthy_of(added.keys().copied().collect()).await?;
        let mut replay = PolicyReplay {
            changes,
            bans_from: past.from.map(Time),
            bans_whole: past.is_whole,
            bans: past.bans,
            banned: past.nets.len() as u64,
            banned_again: made,
            unsure,
            not_banned_total: lifted.len() as u64,
            not_banned_healthy: spared.len() as u64,
            not_banned: Vec::new(),
            failures: rehearsed.failures,
            failures_from: Time(rehearsed.from),
            added_total: added.len() as u64,
            added_healthy: hit.len() as u64,
            added: Vec::new(),
        };
        // Those that matter most come first.
        let mut lifts: Vec<ReplayedLift> = lifted
            .into_iter()
            .map(|(net, rule, because)| ReplayedLift {
                net,
                rule,
                because,
                healthy: spared.contains(&net),
            })
            .collect();
        lifts.sort_by_key(|lift| !lift.healthy);
        list(&mut replay.not_banned, lifts);
        let mut bans: Vec<ReplayedBan> = added
            .into_iter()
            .map(|(net, rule)| ReplayedBan { net, rule, healthy: hit.contains(&net) })
            .collect();
        bans.sort_by_key(|ban| !ban.healthy);
        list(&mut replay.added, bans);
        Ok(replay)
    }

    /// Those of some networks that hold known, registered or exempt hosts now.
    async fn healthy_among(&self, nets: Vec<IpNet>) -> Result<HashSet<IpNet>, ControlError> {
        let mut healthy = HashSet::new();
        for part in nets.get(..LOOKED_AT).unwrap_or(&nets).chunks(LOOKED_AT_ONCE) {
            let part = part.to_vec();
            let found = self.engine.call(move |task| {
                let is_healthy = |net: &IpNet| !look(task, *net).hosts.is_empty();
                part.into_iter().filter(is_healthy).collect::<Vec<_>>()
            });
            healthy.extend(found.await?);
        }
        Ok(healthy)
    }
}

impl Past {
    fn judge(&mut self, at: Timestamp, net: IpNet, cause: &engine::Cause, then: &Policy) {
        // An operator's ban needs no rule, and a piece of a split one was counted with it.
        let engine::Cause::Rule(evidence) = cause else { return };
        self.bans += 1;
        let verdict = match engine::forecast(evidence, then) {
            Forecast::Made => Verdict::Made,
            Forecast::Unsure => Verdict::Unsure(at),
            Forecast::NotMade(because) => {
                Verdict::NotMade(evidence.rule, convert::not_made_because(because))
            }
        };
        let known = self.nets.entry(net).or_insert(verdict);
        *known = (*known).max(verdict);
    }
}

/// What both together say: verdicts of the history, completed by what the failures in memory tell, and the networks
/// that would have been banned besides.
fn compare(mut past: Past, rehearsed: &Rehearsed) -> (Past, BTreeMap<IpNet, RuleName>) {
    for (net, verdict) in &mut past.nets {
        let Verdict::Unsure(at) = *verdict else { continue };
        // Before, failures are missing.
        if at < rehearsed.from {
            continue;
        }
        match (rehearsed.now.get(net), rehearsed.then.get(net)) {
            (_, Some(_)) => *verdict = Verdict::Made,
            (Some(rule), None) => *verdict = Verdict::NotMade(*rule, NotMadeBecause::Threshold),
            (None, None) => {}
        }
    }
    let is_new = |net: &IpNet| !past.nets.contains_key(net) && !rehearsed.now.contains_key(net);
    let added = rehearsed.then.iter().filter(|(net, _)| is_new(net));
    let added = added.map(|(net, rule)| (*net, *rule)).collect();
    (past, added)
}

/// The networks that a rehearsal bans.
fn banned(
    mut engine: Box<Engine>,
    failures: &[(Timestamp, Judgement)],
) -> BTreeMap<IpNet, RuleName> {
    let (mut banned, mut actions) = (BTreeMap::new(), Vec::new());
    // What was exempt then is exempt: by an access list, say, which is not asked again.
    for (at, judged) in failures.iter().filter(|(_, judged)| judged.exempt.is_none()) {
        engine.rejudge(judged, *at, &mut actions);
        for action in actions.drain(..) {
            if let Action::Block { net, cause, .. } = action
                && let Some(evidence) = cause.evidence()
            {
                banned.entry(net).or_insert(evidence.rule);
            }
        }
    }
    banned
}

#[cfg(test)]
mod tests;
