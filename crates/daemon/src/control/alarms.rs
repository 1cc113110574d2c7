//! What needs an operator.

use sipward_engine::Timestamp;

use super::Control;
use super::bounds::at_most;
use super::error::ControlError;
use crate::EngineTask;
use crate::activity::{ActiveState, Report, Seen};
use sipward_model::record::line;
use sipward_model::text::{self, Time};
use sipward_model::wire::{Acknowledged, Acknowledgement, Alarm, AlarmKind, AlarmList, AlarmState};
use sipward_store::{self as store, Health};

/// Longest `about`, in bytes: a path of a file may be long.
const MAX_ABOUT: usize = 1_024;

impl Control {
    /// The alarms, with the states that their owners report.
    pub async fn alarms(&self) -> Result<AlarmList, ControlError> {
        let store = self.store.health();
        let standing = self.engine.call(move |task| standing(task, store)).await?;
        let (seen, now) =
            self.metrics.recall(|activity, now| (activity.alarms.read(&standing, now), now));
        let items: Vec<Alarm> = seen.into_iter().map(|seen| alarm(seen, now)).collect();
        let counting = items.iter().filter(|alarm| alarm.counts).map(|alarm| alarm.severity);
        let state = counting.max().unwrap_or(AlarmState::Ok);
        Ok(AlarmList { state, items })
    }

    /// Acknowledges the alarms of a kind, or only the one about this: they no longer count, but stay listed. It is
    /// stored.
    pub async fn acknowledge(
        &self,
        kind: AlarmKind,
        about: Option<String>,
        name: String,
    ) -> Result<Acknowledged, ControlError> {
        at_most("about", about.as_deref(), MAX_ABOUT)?;
        let store = self.store.health();
        let standing = self.engine.call(move |task| standing(task, store)).await?;
        let done = self.metrics.recall(|activity, now| {
            activity.alarms.acknowledge((kind, about.as_deref()), &name, &standing, now)
        });
        if done.is_empty() {
            let detail = "there is no such alarm that is not acknowledged yet";
            return Err(ControlError::NotFound(detail.to_owned()));
        }
        let count = done.len() as u64;
        for alarm in done {
            self.store.put(store::Entry::Acknowledge(alarm));
        }
        Ok(Acknowledged { count, store: self.store_settled().await })
    }
}

fn alarm(seen: Seen, now: Timestamp) -> Alarm {
    let fields = match &seen.report {
        Some(Report::Record(record)) => line(record, now).fields,
        Some(Report::Saved { fields, .. }) => fields.clone(),
        None => serde_json::Map::new(),
    };
    Alarm {
        kind: seen.concern,
        severity: seen.concern.severity(),
        about: seen.about.clone(),
        counts: seen.weighs(now).is_some(),
        standing: seen.standing,
        since: Time(seen.first),
        at: Time(seen.last),
        times: seen.times,
        ended: seen.ended.map(Time),
        acknowledged: seen.acknowledged.map(|(name, at)| Acknowledgement { name, at: Time(at) }),
        text: seen.text,
        data: fields,
    }
}

/// The current states, from their owners.
fn standing(task: &EngineTask, store: Health) -> Vec<ActiveState> {
    let (now, daemon, engine) = (task.clock().now(), task.standing(), task.engine());
    let mut standing = Vec::new();
    let mut stands =
        |concern, since, text: String| standing.push(ActiveState { concern, since, text });
    if task.peer().is_none() {
        let error = daemon.error.as_deref().unwrap_or("not connected yet");
        stands(AlarmKind::EslDisconnected, daemon.since, format!("no FreeSWITCH: {error}"));
    }
    if let Some(gate) = daemon.gate.as_ref().filter(|gate| !gate.gaps.is_empty()) {
        stands(AlarmKind::GateOpen, now, gate.gaps.join("; "));
    }
    if let store::State::Degraded { error, since } = store.state {
        stands(
            AlarmKind::StoreDegraded,
            since.0,
            format!("STORAGE FAILED; bans continue, but are not stored: {error}"),
        );
    }
    let stats = engine.stats();
    if engine.is_full() {
        let max = engine.policy().max_bans;
        stands(AlarmKind::BanTableFull, now, format!("the ban table is full ({max})"));
    }
    let count = stats.not_enforced + task.kernel().ineffective();
    if count > 0 {
        let bans = text::count(count as u64, "ban");
        stands(AlarmKind::NotEnforced, now, format!("{bans} not enforced by the kernel"));
    }
    let (flood, clock) = (task.flood(), task.clock());
    let deaf = flood.profiles.deaf_since().map(|since| clock.wall(since));
    if engine.is_deaf() || deaf.is_some() {
        stands(AlarmKind::Deaf, deaf.unwrap_or(now), "FreeSWITCH is deaf".to_owned());
    }
    if let Some(since) = flood.shielded_since() {
        let text = "shielded: strangers together exceed their packet limit".to_owned();
        stands(AlarmKind::Shielded, clock.wall(since), text);
    }
    if let Some(since) = flood.overload.since() {
        let text = "exempt hosts, trunks and access lists send more than FreeSWITCH accepts";
        stands(AlarmKind::Overload, clock.wall(since), text.to_owned());
    }
    standing
}
