//! How the daemon is.

use std::time::Duration;

use super::error::ControlError;
use super::{Control, attacks, convert, flood};
use crate::EngineTask;
use crate::activity;
use sipward_config::Mode;
use sipward_model::text::Time;
use sipward_model::wire::{
    AlarmBrief, AlarmList, BanCounts, EventSocket, FailedNow, Gate, PolicyBrief, SourceCounts,
    Status, StoreHealth, Totals,
};

/// Alarms that are named.
const TEXTS: usize = 20;

impl Control {
    /// The state of the daemon.
    pub async fn status(&self) -> Result<Status, ControlError> {
        let store = self.store_health();
        let alarms = brief(self.alarms().await?);
        let (window, now) =
            self.engine.call(|task| (task.engine().policy().window, task.clock().now())).await?;
        let failed =
            attacks::of_memory(self, move |seen| activity::within(seen, window, now)).await?;
        let beside = Beside {
            mode: self.settings.mode(),
            store,
            alarms,
            failed_now: FailedNow {
                sources: failed.sources,
                failures: failed.failures,
                attackers: failed.attackers,
                counted: failed.counted,
                at_least: failed.is_partial,
            },
            blind: self.metrics.tally().blind,
            needs_restart: self.settings.needs_restart().into_iter().map(str::to_owned).collect(),
        };
        Ok(self.engine.call(move |task| status(task, beside)).await?)
    }
}

/// What the engine's task does not know.
struct Beside {
    mode: Mode,
    store: StoreHealth,
    alarms: AlarmBrief,
    failed_now: FailedNow,
    blind: Duration,
    needs_restart: Vec<String>,
}

fn brief(alarms: AlarmList) -> AlarmBrief {
    let last_day = alarms.items.len() as u64;
    let counting = alarms.items.into_iter().filter(|alarm| alarm.counts);
    let texts = counting.take(TEXTS).map(|alarm| alarm.text).collect();
    AlarmBrief { state: alarms.state, texts, last_day }
}

fn status(task: &EngineTask, beside: Beside) -> Status {
    let Beside { mode, store, alarms, failed_now, blind, needs_restart } = beside;
    let (clock, standing, totals) = (task.clock(), task.standing(), task.totals());
    let (stats, policy) = (task.engine().stats(), task.engine().policy());
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode,
        started: Time(clock.at_start()),
        uptime_seconds: clock.uptime().as_secs_f64(),
        event_socket: EventSocket {
            connected: task.peer().is_some(),
            peer: task.peer().map(|peer| peer.to_string()),
            since: Time(standing.since),
            error: standing.error.clone(),
            blind_seconds: blind.as_secs_f64(),
        },
        totals: Totals {
            events: totals.events,
            events_dropped: standing.dropped,
            failures: totals.failures,
            bans: totals.bans,
            unbans: totals.unbans,
            refused: totals.refused,
        },
        failures: convert::grades(stats.failures),
        failed_now,
        bans: BanCounts {
            active: stats.bans as u64,
            sip: stats.sip_bans as u64,
            not_enforced: (stats.not_enforced + task.kernel().ineffective()) as u64,
            max: policy.max_bans as u64,
            flows: stats.flows as u64,
            flows_not_enforced: stats.flows_not_enforced as u64,
        },
        sources: SourceCounts {
            tracked: stats.tracked as u64,
            weightless: stats.weightless as u64,
            known: stats.known as u64,
            attention: stats.attention as u64,
            offenders: stats.offenders as u64,
            evicted: stats.evicted,
        },
        gate: standing.gate.as_ref().map(|gate| Gate {
            ipv4_inbound: gate.ipv4_inbound,
            ipv6_inbound: gate.ipv6_inbound,
            table: gate.table,
            gaps: gate.gaps.clone(),
        }),
        flood: flood::flood(task),
        policy: PolicyBrief {
            max_failures: policy.max_failures,
            window_seconds: policy.window.as_secs_f64(),
            ban_time_seconds: policy.ban_time.as_secs_f64(),
        },
        store,
        alarms,
        needs_restart,
    }
}
