//! Why an address is banned, or is not.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use sipward_engine::Timestamp;
use sipward_route::Route;

use super::error::ControlError;
use super::hosts::location;
use super::{Control, convert};
use crate::explain::{self, Facts, Latest, Limit};
use crate::{EngineTask, SlowedHost};
use sipward_model::clock::Clock;
use sipward_model::text::Time;
use sipward_model::wire::{
    Exempting, HistoryEntry, KernelRoute, MAX_LISTED, RouteState, SeenFailure, SlowedSource,
    SourceReport,
};
use sipward_store::HistoryQuery;

/// Events of the history that an explanation shows.
const HISTORY: usize = 20;

impl Control {
    /// Everything that is known of an address.
    pub async fn source(&self, address: IpAddr) -> Result<SourceReport, ControlError> {
        let address = address.to_canonical();
        let mut report = self.engine.call(move |task| report(task, address)).await?;
        report.location = self.lookups.geo.look_up(address).map(location);
        let query =
            HistoryQuery { net: Some(report.net), limit: HISTORY, ..HistoryQuery::default() };
        match self.store.history(query).await {
            Ok(page) => report.history = page.events.into_iter().map(convert::history).collect(),
            Err(error) => report.history_error = Some(error.to_string()),
        }
        report.kernel = kernel(&self.routes, address).await;
        Ok(report)
    }
}

fn report(task: &EngineTask, address: IpAddr) -> SourceReport {
    let (engine, clock) = (task.engine(), task.clock());
    let view = engine.source(address);
    let failures = engine.failures(address);
    let latest = latest(task, view.source, engine.policy().window, clock.now());
    let slowed_host = task.slowed(address);
    let slowed = slowed_host.map(|host| slowed(task, host));
    let rate = slowed.as_ref().and_then(|slowed| slowed.packets_per_second);
    let verdict = explain::verdict(&Facts {
        view: &view,
        policy: engine.policy(),
        latest,
        trunk: task.protected().gateways_at(address),
        slowed: slowed_host.map(|SlowedHost { net, source, rule, .. }| Limit {
            net,
            source,
            rule,
            rate,
        }),
    });
    let bans: Vec<_> = engine.bans_covering(IpNet::from(address)).collect();
    let aged_out = failures.iter().filter(|failure| failure.text.is_none()).count();
    SourceReport {
        address: view.addr,
        net: view.source,
        verdict,
        identity: view.identity,
        failures: view.failures,
        score: view.score,
        max_failures: view.max_failures,
        window_seconds: engine.policy().window.as_secs_f64(),
        grade: view.grade,
        unproven: view.unproven,
        unjoined: view.unjoined,
        users: view.details.map_or_else(Vec::new, |details| {
            details.users.iter().map(ToString::to_string).collect()
        }),
        seen: failures.into_iter().take(MAX_LISTED).map(|failure| seen(failure, clock)).collect(),
        aged_out: u32::try_from(aged_out).unwrap_or(u32::MAX),
        exempt: engine
            .exemptions(address)
            .into_iter()
            .map(|(class, net)| Exempting { class, net })
            .collect(),
        slowed,
        bans: bans.iter().rev().map(|ban| convert::ban(ban, task.kernel(), clock)).collect(),
        flows: view
            .denied_flows
            .iter()
            .take(MAX_LISTED)
            .filter_map(|flow| engine.flow(*flow))
            .map(|denied| convert::flow(&denied, clock))
            .collect(),
        distrusted_until: view.distrusted_until.map(|until| Time(clock.wall(until))),
        ban_count: view.ban_count,
        history: Vec::<HistoryEntry>::new(),
        history_error: None,
        location: None,
        kernel: KernelRoute { state: RouteState::Unknown, detail: None },
    }
}

/// What a rule has limited a host to.
fn slowed(task: &EngineTask, host: SlowedHost) -> SlowedSource {
    let SlowedHost { net, rule, since, until, .. } = host;
    let clock = task.clock();
    let busy = task.flood().strangers.one(net, clock.steady());
    SlowedSource {
        net,
        rule,
        since: Time(clock.wall(since)),
        until: Time(clock.wall(until)),
        packets: busy.map(|busy| busy.packets),
        packets_per_second: busy.and_then(|busy| busy.rate),
    }
}

/// The latest failures of a source within the window, whether they count or not.
fn latest(task: &EngineTask, source: IpNet, window: Duration, now: Timestamp) -> Latest {
    let failures = task.standing().failures();
    let recent = failures.take_while(|failure| now.since(failure.at) <= window);
    let mut latest = Latest::default();
    for failure in recent.filter(|failure| source.contains(&failure.judgement.address)) {
        latest.failures += 1;
        latest.attention += usize::from(failure.judgement.attention);
    }
    latest
}

fn seen(failure: sipward_engine::FailureView, clock: &Clock) -> SeenFailure {
    SeenFailure {
        time: Time(clock.wall(failure.at)),
        grade: failure.grade,
        invite: failure.invite,
        user: failure.text.map(|text| text.user.to_string()),
        profile: failure.text.map(|text| text.profile.to_string()),
        user_agent: failure.text.map(|text| text.user_agent.to_string()),
    }
}

async fn kernel(routes: &sipward_route::Settings, address: IpAddr) -> KernelRoute {
    match sipward_route::look_up(routes, address).await {
        Ok(Route::Blackhole) => KernelRoute { state: RouteState::Blackhole, detail: None },
        Ok(Route::Other(route)) => KernelRoute { state: RouteState::Other, detail: Some(route) },
        Err(error) => KernelRoute { state: RouteState::Unknown, detail: Some(error.to_string()) },
    }
}
