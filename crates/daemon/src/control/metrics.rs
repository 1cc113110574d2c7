//! What Prometheus reads, before it is text.

use std::sync::Arc;

use super::Control;
use super::error::ControlError;
use crate::EngineTask;
use crate::metrics::{FloodNow, Snapshot, Tally};
use sipward_config::Mode;
use sipward_model::wire::Fleet;
use sipward_notify::Delivery;
use sipward_store::Health;

impl Control {
    /// Counts and states of this moment.
    pub async fn metrics(&self) -> Result<Snapshot, ControlError> {
        let (mode, store) = (self.settings.mode(), self.store.health());
        let (tally, deliveries) = (self.metrics.tally(), self.metrics.deliveries());
        let fleet = self.fleet.view();
        let taken =
            move |task: &mut EngineTask| snapshot(task, mode, store, (tally, deliveries), fleet);
        Ok(self.engine.call(taken).await?)
    }
}

fn snapshot(
    task: &EngineTask,
    mode: Mode,
    store: Health,
    (tally, deliveries): (Tally, Vec<Delivery>),
    fleet: Arc<Fleet>,
) -> Snapshot {
    let (clock, standing, totals) = (task.clock(), task.standing(), task.totals());
    let stats = task.engine().stats();
    let count = |size: usize| size as u64;
    let observe = mode == Mode::Observe;
    let away = match task.peer() {
        Some(_) => 0.0,
        None => clock.now().since(standing.since).as_secs_f64(),
    };
    // What is not refused and not under way is in the kernel: each ban of a host is one route.
    let without_route = stats.not_enforced + task.under_way() + stats.sip_bans;
    let routes = if observe { 0 } else { stats.bans.saturating_sub(without_route) };
    Snapshot {
        version: env!("CARGO_PKG_VERSION"),
        started: std::time::Duration::from_micros(clock.at_start().as_micros()).as_secs_f64(),
        observe,
        events: totals.events,
        events_dropped: standing.dropped,
        esl_connected: task.peer().is_some(),
        esl_away: away,
        registrations: count(stats.registrations),
        bans: count(stats.bans),
        sip_bans: count(stats.sip_bans),
        max_bans: count(task.engine().policy().max_bans),
        not_enforced: count(stats.not_enforced + task.kernel().ineffective()),
        routes: count(routes),
        flows: count(stats.flows),
        max_flows: count(sipward_engine::MAX_FLOWS),
        flows_not_enforced: count(stats.flows_not_enforced),
        gate: standing.gate.as_ref().map(|gate| [gate.ipv4_inbound, gate.ipv6_inbound]),
        sources: [stats.tracked, stats.weightless, stats.known, stats.attention, stats.offenders]
            .map(count),
        flood: flood(task),
        store,
        tally,
        deliveries,
        fleet,
    }
}

fn flood(task: &EngineTask) -> FloodNow {
    let flood = task.flood();
    FloodNow {
        shielded: flood.shielded_since().is_some(),
        deaf: flood.profiles.is_deaf(),
        answer: flood.profiles.slowest().map(|took| took.as_secs_f64()),
        healthy_hosts: task.healthy_hosts().map(|hosts| hosts as u64),
        counts: *flood.totals(),
    }
}
