//! Restoring at the start: stored bans, and routes of unknown origin.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use serde::Deserialize;
use sipward_engine::{
    Action, Engine, Expiry, Flow, Input, Offender, PeerName, ShadowedBecause, Success, Transport,
    UnblockReason,
};
use sipward_route::{Change, Found, Report};
use tokio::sync::mpsc;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::{EngineTask, TURN};
use crate::route_queue::{flow_of, route_flow, route_scope};
use sipward_model::record::Record;
use sipward_model::wire::AlarmKind;
use sipward_store::{Saved, SavedAlarm, SavedBan, SavedFlow};

/// The limit of a host, as the store keeps it among the denied flows: it counts for the same hour. No packet comes
/// from port 0.
pub(super) fn limit_of(source: IpAddr) -> Flow {
    Flow { source, transport: Transport::Udp, port: 0 }
}

fn is_limit(flow: Flow) -> bool {
    flow.port == 0
}

/// Longest wait for the kernel to have all bans back before FreeSWITCH's events are read: twice what half
/// a million take, and within the time that systemd gives a start.
const RETURN: Duration = Duration::from_secs(20);

/// Time until the end of a ban that should have ended already.
const AT_ONCE: Duration = Duration::from_millis(1);

/// The fields of an alarm of a node in shadow.
#[derive(Deserialize)]
struct Shadowed {
    peer: PeerName,
    because: ShadowedBecause,
}

/// What the start has brought back.
#[derive(Clone, Debug)]
pub struct TakenOver {
    /// Restored bans.
    pub bans: usize,
    /// Routes that became bans, because no stored ban explains them.
    pub adopted: usize,
    /// Bans whose routes were not there and are on their way.
    pub missing: HashSet<IpNet>,
}

impl EngineTask {
    /// Takes over what was stored, and what the kernel held of an earlier run.
    pub fn take_over(&mut self, saved: Saved, found: &Found) -> TakenOver {
        // A route whose ban has ended meanwhile is explained too: it is on its way out.
        let explained: HashSet<IpNet> = saved.bans.iter().map(|ban| ban.net).collect();
        // Flows that nothing explains make room first: the kernel's set may be full.
        let stored: HashSet<Flow> = saved.flows.iter().map(|saved| saved.flow).collect();
        self.allow_found(found, |_, flow| !stored.contains(&flow));
        let mut missing = self.restore(saved);
        let bans = missing.len();
        for net in &found.routes {
            missing.remove(net);
        }
        // Those that were stored and are not denied any more.
        self.allow_found(found, |engine, flow| {
            stored.contains(&flow) && engine.flow(flow).is_none()
        });
        let adopted = self.adopt(found, &explained);
        TakenOver { bans, adopted, missing }
    }

    /// Makes bans of the routes that are there and not `explained`, and removes the rest that no ban explains. Gives
    /// the number of the former.
    pub(super) fn adopt(&mut self, found: &Found, explained: &HashSet<IpNet>) -> usize {
        let before = self.totals.bans;
        for net in found.routes.iter().filter(|net| !explained.contains(net)) {
            self.handle(Input::Adopt { net: *net });
        }
        // Their reason is unknown, and unlike a route each has an unknown end.
        for net in found.sip_bans.iter().filter(|net| self.engine.ban(**net).is_none()) {
            self.routes_out.push(Change::Unblock(*net));
        }
        usize::try_from(self.totals.bans - before).unwrap_or(usize::MAX)
    }

    /// Allows those of the flows that the kernel denies for which `which` holds.
    pub(super) fn allow_found(&mut self, found: &Found, which: impl Fn(&Engine, Flow) -> bool) {
        for (flow, _) in &found.flows {
            if which(&self.engine, flow_of(*flow)) {
                self.routes_out.push(Change::Allow(*flow));
            }
        }
    }

    /// Passes the stored data to the engine. Returns the restored bans, whose routes are on their way.
    fn restore(&mut self, saved: Saved) -> HashSet<IpNet> {
        // Allowed hosts and changed settings are in force before: they decide what comes back.
        let Saved { bans, flows, offenders, successes, alarms, unreadable, .. } = saved;
        if unreadable > 0 {
            let error = format!(
                "{unreadable} unreadable rows were skipped; was the file edited, or written by \
                 another version?"
            );
            self.publish(Record::StoreIncomplete { error });
        }
        for success in successes {
            let by = |at| self.clock.restored(at, success.at);
            let (since, at) = (by(success.since), by(success.at));
            let success = Success { since, at, ..success };
            self.handle(Input::Remember(success));
            if let Some(publisher) = &self.publisher {
                publisher.succeeded(&self.engine, &success);
            } else if let Some(remembered) = &mut self.remembered {
                remembered.push(success);
            }
        }
        for offender in offenders {
            let until = self.clock.restored(offender.until, offender.until);
            self.handle(Input::Offender(Offender { until, ..offender }));
        }
        for alarm in &alarms {
            self.restore_shadow(alarm);
        }
        for flow in flows {
            self.restore_flow(flow);
        }
        bans.into_iter().filter_map(|ban| self.restore_ban(ban)).collect()
    }

    /// Another node of the fleet that broke its bounds before the start is not believed now either.
    fn restore_shadow(&mut self, alarm: &SavedAlarm) {
        if alarm.kind != AlarmKind::PeerShadowed {
            return;
        }
        // Of another version: the node is put in shadow when it breaks a bound again.
        let Ok(Shadowed { peer, because }) = serde_json::from_str(&alarm.data) else { return };
        let age = self.clock.now().since(alarm.last);
        self.handle(Input::Shadowed { peer, because, age });
    }

    fn restore_flow(&mut self, saved: SavedFlow) {
        let is_over = saved.is_over();
        let SavedFlow { flow, cause, .. } = saved;
        let by = |at| self.clock.restored(at, saved.since);
        let (since, until) = (by(saved.since), by(saved.until));
        // No denial lasts longer than its length, whatever the clock does.
        let until = until.min(self.clock.steady() + saved.until.since(saved.since));
        if is_limit(flow) {
            let source = flow.source;
            self.handle(Input::RestoreSlowed { source, since, until });
            return;
        }
        self.engine.handle(
            Input::RestoreFlow { flow, since, until, cause },
            self.clock.steady(),
            &mut self.actions,
        );
        if is_over {
            // It counts, and that it is allowed was reported then.
            self.actions.retain(|action| !matches!(action, Action::AllowFlow { .. }));
        }
        // A flow restored unchanged needs no record.
        let before = self.actions.len();
        self.actions.retain(|action| {
            !matches!(action, Action::DenyFlow { flow: f, since: s, until: u, .. }
                if (*f, *s, *u) == (flow, since, until))
        });
        if self.actions.len() < before {
            let end = Instant::now() + self.clock.until_steady(until);
            self.routes_out.push(Change::Deny { flow: route_flow(flow), until: end });
        }
        self.carry_out(None);
    }

    fn restore_ban(&mut self, ban: SavedBan) -> Option<IpNet> {
        let (since, mut until) = self.restored_times(&ban);
        let SavedBan { net, scope, cause, .. } = ban;
        let now = self.clock.steady();
        let is_over = until <= Expiry::At(now);
        if is_over && self.engine.ban(net).is_some() {
            // It is active by a wrong clock: the engine ends it like others.
            until = Expiry::At(now + AT_ONCE);
            self.stored.ending.insert(net);
        }
        let input = Input::Restore { net, since, until, scope, cause };
        self.engine.handle(input, now, &mut self.actions);
        if is_over {
            self.keep_ended(net);
        }
        let before = self.actions.len();
        // A ban restored unchanged needs no record, neither in the log nor in the history.
        self.actions.retain(|action| {
            !matches!(action, Action::Block { net: n, scope: c, since: s, until: u, .. }
                if (*n, *c, *s, *u) == (net, scope, since, until))
        });
        let stands = self.actions.len() < before;
        if stands {
            self.routes_out.push(Change::Block { net, scope: route_scope(scope) });
        }
        self.carry_out(None);
        stands.then_some(net)
    }

    /// A ban that has ended while the daemon was down leaves the kernel at once, but not the store: if the clock
    /// was ahead, it comes back when that is set right.
    fn keep_ended(&mut self, net: IpNet) {
        let before = self.actions.len();
        self.actions.retain(|action| {
            !matches!(action, Action::Unblock { net: n, reason: UnblockReason::Expired } if *n == net)
        });
        if self.actions.len() < before {
            self.stored.keeps_ended = true;
            self.totals.unbans += 1;
            self.routes_out.push(Change::Unblock(net));
            self.publish(Record::Unban {
                net,
                reason: UnblockReason::Expired,
                still_stopped_by: None,
            });
        }
    }

    /// Waits until the kernel has answered for all of `nets`.
    pub async fn settle(
        &mut self,
        mut nets: HashSet<IpNet>,
        reports: &mut mpsc::Receiver<Report>,
        stop: &CancellationToken,
    ) {
        let mut some = Vec::with_capacity(TURN);
        let settled = time::timeout(RETURN, async {
            while !nets.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    count = reports.recv_many(&mut some, TURN) => {
                        if count == 0 {
                            break;
                        }
                        for report in some.drain(..) {
                            if let Some(net) = answered(&report) {
                                nets.remove(&net);
                            }
                            self.report(report);
                        }
                    }
                    () = self.routes_out.flow(), if self.routes_out.is_waiting() => {}
                }
            }
        });
        if settled.await.is_err() {
            tracing::warn!(
                routes = nets.len(),
                "not all bans are restored yet; new failures are judged"
            );
        }
    }

    /// The store could be read only now, or was read again because the clock was set right.
    pub(super) fn late(&mut self, mut saved: Saved) {
        // What was decided meanwhile is in it too.
        let standing: HashSet<_> =
            self.engine.bans().map(|ban| (ban.net, ban.since, ban.until)).collect();
        let now = self.clock.now();
        saved.bans.retain(|ban| {
            let (since, until) = self.restored_times(ban);
            // By a clock that shows a time before its beginning nothing is known of a ban's end: it stays as it is.
            let is_doubtful = ban.since > now && self.engine.ban(ban.net).is_some();
            !is_doubtful && !standing.contains(&(ban.net, since, until))
        });
        let restored = self.restore(saved).len();
        self.store.took_over();
        self.publish(Record::StoreRead { restored });
    }

    /// Writes all bans anew where some were lost on the way to the store.
    pub(super) fn complete_store(&self) {
        if !self.store.wants_bans() {
            return;
        }
        let bans = self.engine.bans();
        let bans =
            bans.map(|ban| self.saved(ban.net, ban.since, (ban.scope, ban.until), ban.cause.get()));
        let flows = self.engine.flows();
        let flows = flows
            .map(|denied| {
                self.saved_flow(denied.flow, (denied.since, denied.until), denied.cause.get())
            })
            .collect();
        self.store.put_bans(bans.collect(), flows);
    }
}

fn answered(report: &Report) -> Option<IpNet> {
    match report {
        Report::Blocked { net, .. } | Report::Unblocked { net, .. } => Some(*net),
        Report::Failed { change, .. } => change.net(),
        Report::Denied { .. }
        | Report::Allowed { .. }
        | Report::Healed { .. }
        | Report::Moved { .. }
        | Report::Strays { .. }
        | Report::Packets { .. }
        | Report::Shield(_)
        | Report::Strangers(_)
        | Report::Dropped(_)
        | Report::Shielded { .. }
        | Report::ShieldFailed { .. }
        | Report::Host(_)
        | Report::Coverage(_) => None,
    }
}
