//! What the engine's task does: route changes to the kernel, questions to FreeSWITCH, records to the world.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use sipward_engine::{
    self as engine, Action, Cause, Expiry, Flow, Input, RuleName, SLOWED_FOR, Scope, Success,
    Timestamp, UnblockReason,
};
use sipward_route::{Change, Enforcement, Report, Stranger};

use super::restore::limit_of;
use super::shielding::scanners;
use super::{EngineTask, Happened, Shielding, UNDER_WAY, UnderWay};
use crate::freeswitch_queries::Query;
use crate::host_exemptions;
use crate::route_queue::{flow_of, route_flow, route_scope};
use sipward_model::record::{Ban, FlowDenied, Record};
use sipward_model::text::Time;
use sipward_store::{Entry, SavedBan, SavedFlow};

/// A larger difference between FreeSWITCH's clock and sipward's is not a delay: the clocks differ.
const MOST_DELAY: Duration = Duration::from_secs(600);

impl EngineTask {
    pub(super) fn report(&mut self, report: Report) {
        match report {
            Report::Blocked { net, enforcement } => self.blocked(net, &enforcement),
            Report::Unblocked { net, still } => self.unblocked(net, still),
            Report::Failed { change, error } => self.failed(change, error),
            Report::Denied { flow, enforcement } => {
                self.denied(flow_of(flow), Ok(&enforcement));
            }
            // Recorded at the decision, because the kernel does not report elements that it expires itself.
            Report::Allowed { flow: _ } => {}
            Report::Healed { routes, rules, gate, elements } => {
                self.publish(Record::Healed { routes, rules, gate, elements });
            }
            Report::Moved { routes, table, preference: _, because } => {
                self.publish(Record::BansMoved { routes, table, because });
            }
            Report::Strays { nets, count } => {
                if count > 0 {
                    self.publish(Record::StrayRoutes { count, nets });
                }
            }
            Report::Packets { count } => {
                self.flood.arrived(count, self.clock.steady());
                self.handle(Input::Packets { count });
            }
            Report::Shield(counts) => {
                let (requests, now) = (self.requests(), self.clock.steady());
                self.flood.counted(&counts, requests, now);
                self.flood.dropped_at(self.clock.wall(now), counts.dropped.total());
            }
            Report::Strangers(strangers) => {
                self.busy_strangers(&strangers);
                // Only the kernel sees them: OPTIONS, SUBSCRIBE, MESSAGE and INVITE without SDP cause no event.
                for (source, packets) in scanners(&strangers) {
                    self.handle(Input::Scanner { source, packets });
                }
            }
            Report::Dropped(packets) => self.kernel.count_dropped(packets),
            Report::Shielded { hosts } => tracing::debug!(hosts, "the shield knows all hosts"),
            Report::ShieldFailed { error } => self.publish(Record::NotSpared { error }),
            Report::Coverage(coverage) => {
                if let Some(prober) = &mut self.prober {
                    prober.counts(coverage.gate);
                }
                self.publish((&coverage).into());
            }
            Report::Host(host) => {
                if let Some(prober) = &mut self.prober {
                    prober.moved(host.own.clone());
                }
                for (class, nets) in host_exemptions(&host) {
                    self.exempt(class, nets);
                }
            }
        }
    }

    fn busy_strangers(&mut self, strangers: &[Stranger]) {
        let limit = self.shielding.as_ref().map(Shielding::stranger_packets);
        let list = strangers.iter().map(|one| (one.source, one.packets, one.is_slowed));
        let now = self.clock.steady();
        for record in self.flood.busy(list, limit.unwrap_or(u32::MAX), now) {
            self.publish(record);
        }
    }

    /// Slows a host down, as the engine decided, or ends that.
    fn slow(&mut self, source: IpAddr, until: Timestamp, cause: Arc<Cause>) {
        let now = self.clock.steady();
        if until <= now {
            if let Some(shielding) = &mut self.shielding {
                shielding.release(source);
            }
            return;
        }
        let times = (now, until);
        let evidence = cause.evidence();
        let rule = evidence.map_or(RuleName::Insider, |evidence| evidence.rule);
        let scan = evidence.filter(|evidence| evidence.rule == RuleName::Scan);
        let time = self.clock.until_steady(until);
        let Self { shielding, engine, .. } = self;
        let shielding = shielding.as_mut();
        let host = shielding.map(|shielding| shielding.slow(engine, (source, rule), time, times));
        let record = if let Some(evidence) = scan {
            let (packets, seconds) = (u64::from(evidence.failures), SLOWED_FOR.as_secs());
            Record::Scanner { net: host.unwrap_or_else(|| source.into()), packets, seconds }
        } else {
            // It counts after a restart, too.
            let slowed = self.saved_flow(limit_of(source), times, Arc::clone(&cause));
            self.store.put(Entry::Slowed(slowed));
            Record::Slowed { address: source, until: Time(self.clock.wall(until)), cause }
        };
        self.publish(record);
    }

    fn blocked(&mut self, net: IpNet, enforcement: &Enforcement) {
        let enforced = enforcement.is_full();
        let because = (!enforced).then(|| enforcement.to_string());
        let before = self.engine.ban(net).map(|ban| match ban.enforcement {
            engine::Enforcement::Pending => None,
            other => Some(other.is_enforced()),
        });
        if let Some(before) = before {
            self.kernel.take_note(net, enforcement);
            if before.is_some_and(|before| before != enforced) {
                self.kernel.changed(net, enforced, because.clone());
            }
        }
        self.answered(net, enforced, because);
        self.handle(Input::Applied { net, enforced });
    }

    /// The kernel has answered for a flow: its record is complete.
    fn denied(&mut self, flow: Flow, answer: Result<&Enforcement, &str>) {
        let because = match answer {
            Ok(enforcement) if enforcement.is_full() => None,
            Ok(enforcement) => Some(enforcement.to_string()),
            Err(error) => Some(error.to_owned()),
        };
        let enforced = because.is_none();
        if let Some(mut denied) = self.flows_under_way.remove(&flow) {
            denied.enforced = enforced;
            denied.not_enforced_because = because;
            self.publish(Record::FlowDenied(denied));
        }
        self.handle(match answer {
            Ok(_) => Input::FlowApplied { flow, enforced },
            Err(error) => Input::FlowFailed { flow, error: error.to_owned() },
        });
    }

    fn unblocked(&mut self, net: IpNet, still: Option<String>) {
        if let Some(reason) = self.kernel.left(net, still.as_deref()) {
            self.publish(Record::Unban { net, reason, still_stopped_by: still });
        }
    }

    pub(super) fn failed(&mut self, change: Change, error: String) {
        let (net, word) = match change {
            Change::Block { net, .. } => {
                self.kernel.forget(net);
                self.answered(net, false, Some(error.clone()));
                self.handle(Input::ApplyFailed { net, error: error.clone() });
                (net, "block")
            }
            Change::Unblock(net) => (net, "unblock"),
            Change::Deny { flow, .. } => {
                self.denied(flow_of(flow), Err(&error));
                (flow.source.into(), "deny a flow of")
            }
            Change::Allow(flow) => (flow.source.into(), "allow a flow of"),
        };
        self.publish(Record::RouteFailed { net, change: word, error });
    }

    /// The kernel has answered: the ban's record is complete.
    pub(super) fn answered(&mut self, net: IpNet, enforced: bool, because: Option<String>) {
        let Some(UnderWay { mut ban, cause }) = self.under_way.remove(&net) else {
            return;
        };
        let waiting = self.awaited.remove(&net).unwrap_or_default();
        if self.under_way.is_empty() {
            // What a burst has needed is not needed for good.
            self.under_way.shrink_to(UNDER_WAY);
        }
        ban.enforced = enforced;
        ban.not_enforced_because = because;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        ban.event_to_route_us = cause.map(|cause| micros(cause.received.elapsed()));
        ban.event_time_to_route_us = cause.and_then(|cause| self.delay(cause.dated?)).map(micros);
        self.publish(Record::Ban(ban));
        for answer in waiting {
            // A request that timed out needs no answer.
            let _ = answer.send(());
        }
    }

    /// Time since `dated` by FreeSWITCH's clock, if it can be compared with sipward's.
    fn delay(&self, dated: Timestamp) -> Option<Duration> {
        let now = self.clock.now();
        let delay = now.since(dated);
        (dated <= now && delay <= MOST_DELAY).then_some(delay)
    }

    /// A ban as the store has it.
    pub(super) fn saved(
        &self,
        net: IpNet,
        since: Timestamp,
        (scope, until): (Scope, Expiry),
        cause: Arc<Cause>,
    ) -> SavedBan {
        let (since, until) = (self.clock.wall(since), self.clock.wall_end(until));
        SavedBan { net, scope, since, until, cause }
    }

    /// A denied flow as the store has it.
    pub(super) fn saved_flow(
        &self,
        flow: Flow,
        (since, until): (Timestamp, Timestamp),
        cause: Arc<Cause>,
    ) -> SavedFlow {
        SavedFlow { flow, since: self.clock.wall(since), until: self.clock.wall(until), cause }
    }

    pub(super) fn carry_out(&mut self, because: Option<Happened>) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Block { net, since, until, scope, cause } => {
                    self.block(net, since, (scope, until), cause, because);
                }
                Action::Unblock { net, reason } => self.unblock(net, reason),
                Action::Refused { net, reason, cause } => {
                    self.totals.refused += 1;
                    let (at, cause_kept) = (self.clock.now(), Arc::clone(&cause));
                    self.store.put(Entry::Refused { net, at, refusal: reason, cause: cause_kept });
                    self.publish(Record::Refused { net, refusal: reason, cause });
                }
                Action::Judged(judgement) => {
                    self.totals.failures += 1;
                    self.publish(Record::AuthFailure(judgement));
                }
                Action::Shadowed { net, cause } => {
                    self.publish(Record::Shadowed { net, cause });
                }
                Action::NeedsAttention { source, user, user_agent, last_success } => {
                    let last_success = last_success.map(|at| Time(self.clock.wall(at)));
                    self.publish(Record::NeedsAttention {
                        address: source,
                        user,
                        user_agent,
                        last_success,
                    });
                }
                Action::Slow { source, until, cause } => self.slow(source, until, cause),
                Action::DenyFlow { flow, since, until, cause } => {
                    self.deny_flow(flow, (since, until), cause);
                }
                Action::AllowFlow { flow, reason } => self.allow_flow(flow, reason),
                Action::Distrust { source, until } => {
                    if let Some(shielding) = &mut self.shielding {
                        shielding.distrust(&self.engine, source, until, self.clock.steady());
                    }
                    if until > self.clock.steady() {
                        let until = Time(self.clock.wall(until));
                        self.publish(Record::Distrusted { address: source, until });
                    }
                }
                Action::AskAcl { addr } => self.ask_acl(addr),
                Action::Remember(success) => self.remember(success),
                Action::Alarm(alarm) => self.publish(Record::Alarm(alarm)),
            }
        }
        let stats = self.engine.stats();
        self.totals.banned_now = stats.bans;
        self.totals.registered_now = self.protected.phones.count();
        for addr in std::mem::take(&mut self.unasked) {
            self.handle(Input::AclAnswer { addr, allowed: None });
        }
        // The buffer is kept: the next event needs it.
        self.actions = actions;
    }

    fn block(
        &mut self,
        net: IpNet,
        since: Timestamp,
        (scope, until): (Scope, Expiry),
        cause: Arc<Cause>,
        because: Option<Happened>,
    ) {
        self.totals.bans += 1;
        if let Some(reason) = self.kernel.left(net, None) {
            // Banned again before the kernel had carried out the unban: the unban is recorded anyway.
            self.publish(Record::Unban { net, reason, still_stopped_by: None });
        }
        // The route first: nothing that becomes of the store delays it.
        self.routes_out.push(Change::Block { net, scope: route_scope(scope) });
        if let Some(publisher) = &self.publisher {
            publisher.banned(&self.engine, net);
        }
        let ban = self.saved(net, since, (scope, until), Arc::clone(&cause));
        self.store.put(Entry::Ban { at: self.clock.now(), ban });
        let ban = Ban::decided(net, scope, self.clock.wall_end(until), cause);
        self.under_way.insert(net, UnderWay { ban, cause: because });
    }

    fn unblock(&mut self, net: IpNet, reason: UnblockReason) {
        self.totals.unbans += 1;
        self.routes_out.push(Change::Unblock(net));
        if let Some(publisher) = &self.publisher {
            publisher.ended(net, reason);
        }
        if self.stored.ending.remove(&net) && reason == UnblockReason::Expired {
            self.stored.keeps_ended = true;
        } else {
            self.store.put(Entry::Unban { net, at: self.clock.now(), reason });
        }
        self.awaited.remove(&net);
        if let Some(UnderWay { ban, .. }) = self.under_way.remove(&net) {
            // Lifted before the kernel had answered: the ban is recorded anyway.
            self.publish(Record::Ban(ban));
        }
        // Recorded when no route of sipward is left.
        self.kernel.leave(net, reason);
    }

    /// Stores a log-in, so that its host is known after a restart.
    fn remember(&self, success: Success) {
        if let Some(publisher) = &self.publisher {
            publisher.succeeded(&self.engine, &success);
        }
        let Success { since, at, .. } = success;
        let (since, at) = (self.clock.wall(since), self.clock.wall(at));
        self.store.put(Entry::Remember(Box::new(Success { since, at, ..success })));
    }

    fn deny_flow(&mut self, flow: Flow, times: (Timestamp, Timestamp), cause: Arc<Cause>) {
        let (_, until) = times;
        let end = Instant::now() + self.clock.until_steady(until);
        self.routes_out.push(Change::Deny { flow: route_flow(flow), until: end });
        let saved = self.saved_flow(flow, times, Arc::clone(&cause));
        self.store.put(Entry::DenyFlow { at: self.clock.now(), flow: saved });
        let denied = FlowDenied::decided(flow, self.clock.wall(until), cause);
        self.flows_under_way.insert(flow, denied);
    }

    fn allow_flow(&mut self, flow: Flow, reason: UnblockReason) {
        // The kernel lets it go by itself when its time is over, and does not mind to hear of it.
        self.routes_out.push(Change::Allow(route_flow(flow)));
        self.store.put(Entry::AllowFlow { flow, at: self.clock.now(), reason });
        if let Some(denied) = self.flows_under_way.remove(&flow) {
            // Allowed before the kernel had answered: the denial is recorded anyway.
            self.publish(Record::FlowDenied(denied));
        }
        self.publish(Record::FlowAllowed { address: flow.source, flow, reason });
    }

    /// A snapshot that finds no room is made after the next connection; a wish for the log is not made again.
    pub(super) fn ask(&mut self, question: Query) {
        let is_log = matches!(question, Query::Log { .. });
        let refused = self.questions.try_send(question).is_err();
        if refused && is_log {
            let (question, error) = ("log".to_owned(), "too many requests are queued".to_owned());
            self.publish(Record::DirectoryFailed { question, error });
        }
    }

    /// A query that cannot be sent is answered at once as unknown.
    pub(super) fn ask_acl(&mut self, addr: IpAddr) {
        if self.questions.try_send(Query::Acl(addr)).is_err() {
            self.unasked.push(addr);
        }
    }

    pub fn publish(&mut self, record: Record) {
        self.standing.note(&record, self.clock.now());
        record.publish(&self.records);
    }
}
