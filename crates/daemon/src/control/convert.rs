//! Conversion of types of the engine, the store and the kernel to those of the wire.

use std::sync::Arc;

use sipward_engine::{self as engine, BanView, Enforcement, Expiry, FlowView, Origin};

use super::error::refusal;
use crate::{Failure, KernelSide, Note};
use sipward_model::clock::Clock;
use sipward_model::text::{Time, api_name};
use sipward_model::wire::{
    Ban, BanOrigin, BanScope, BanState, By, Cause, DeniedFlow, Evidence, FailureEntry, Grades,
    HistoryEntry, HistoryKind, NotMadeBecause, RemoteCause, StoreHealth, StoreState,
};
use sipward_store::{self as store, What};

pub(super) fn ban(ban: &BanView<'_>, kernel: &KernelSide, clock: &Clock) -> Ban {
    let (ineffective, stopped_by) = match kernel.note(ban.net) {
        Some(Note::Ineffective(why)) => (Some(why.to_string()), None),
        Some(Note::StoppedBy(route)) => (None, Some(route.to_string())),
        None => (None, None),
    };
    let (state, error, enforced_by) = match ban.enforcement {
        Enforcement::Pending => (BanState::Pending, None, None),
        Enforcement::Enforced => (BanState::Enforced, None, stopped_by),
        Enforcement::Ineffective => (BanState::Ineffective, ineffective, None),
        Enforcement::Failed { error } => (BanState::Failed, Some(error.to_string()), None),
    };
    Ban {
        net: ban.net,
        scope: scope(ban.scope),
        since: Time(clock.wall(ban.since)),
        until: until(clock.wall_end(ban.until)),
        remaining_seconds: match ban.until {
            Expiry::At(end) => Some(clock.until_steady(end).as_secs_f64()),
            Expiry::Never => None,
        },
        origin: origin(ban.origin),
        state,
        error,
        enforced_by,
        packets_dropped: kernel.dropped(ban.net),
        cause: cause(&ban.cause.get()),
        location: None,
    }
}

pub(super) fn flow(denied: &FlowView<'_>, clock: &Clock) -> DeniedFlow {
    let FlowView { flow, since, until, cause: why, enforcement } = *denied;
    DeniedFlow {
        flow,
        address: flow.source,
        since: Time(clock.wall(since)),
        until: Time(clock.wall(until)),
        remaining_seconds: clock.until_steady(until).as_secs_f64(),
        state: state(enforcement),
        error: match enforcement {
            Enforcement::Failed { error } => Some(error.to_string()),
            Enforcement::Pending | Enforcement::Enforced | Enforcement::Ineffective => None,
        },
        cause: cause(&why.get()),
    }
}

pub(super) fn origin(origin: Origin) -> BanOrigin {
    match origin {
        Origin::Remote => BanOrigin::Remote,
        Origin::Automatic => BanOrigin::Automatic,
        Origin::Manual => BanOrigin::Manual,
        Origin::Forced => BanOrigin::Forced,
    }
}

pub(super) fn state(enforcement: &Enforcement) -> BanState {
    match enforcement {
        Enforcement::Pending => BanState::Pending,
        Enforcement::Enforced => BanState::Enforced,
        Enforcement::Ineffective => BanState::Ineffective,
        Enforcement::Failed { .. } => BanState::Failed,
    }
}

fn until(until: Expiry) -> Option<Time> {
    match until {
        Expiry::At(end) => Some(Time(end)),
        Expiry::Never => None,
    }
}

pub(super) fn cause(cause: &Arc<engine::Cause>) -> Cause {
    let split_of = match &**cause {
        engine::Cause::Split { of, .. } => Some(*of),
        engine::Cause::Rule(_)
        | engine::Cause::Manual { .. }
        | engine::Cause::Adopted
        | engine::Cause::Remote(_) => None,
    };
    let (by, comment, evidence) = match &**cause.original() {
        engine::Cause::Rule(seen) => (By::Rule, None, Some(evidence(seen))),
        engine::Cause::Manual { reason, .. } => (By::Manual, Some(reason.clone()), None),
        // The original of a split is never a split itself.
        engine::Cause::Adopted | engine::Cause::Split { .. } => (By::Adopted, None, None),
        engine::Cause::Remote(_) => (By::Remote, None, None),
    };
    let remote = match &**cause.original() {
        engine::Cause::Remote(ban) => Some(remote(ban)),
        _ => None,
    };
    Cause { by, split_of, comment: comment.filter(|words| !words.is_empty()), evidence, remote }
}

fn remote(ban: &engine::RemoteBan) -> RemoteCause {
    let engine::RemoteFacts { by_hand, rule, grade, failures, score, count, why } = &ban.facts;
    RemoteCause {
        peer: ban.peer,
        by_hand: *by_hand,
        rule: *rule,
        grade: *grade,
        failures: *failures,
        score: *score,
        ban_count: *count,
        why: why.to_string(),
    }
}

fn evidence(seen: &engine::Evidence) -> Evidence {
    let details = seen.details.as_deref();
    Evidence {
        rule: seen.rule,
        address: seen.address,
        identity: seen.identity,
        failures: seen.failures,
        score: seen.score,
        max_failures: seen.max_failures,
        window_seconds: seen.window.as_secs_f64(),
        grade: seen.grade,
        ban_count: seen.ban_count,
        details_aged_out: details.is_none(),
        users: details.map_or_else(Vec::new, |details| {
            details.users.iter().map(ToString::to_string).collect()
        }),
        profile: details.map(|details| details.profile.to_string()),
        user_agent: details.map(|details| details.user_agent.to_string()),
        report: details.and_then(|details| details.reason).map(|reason| reason.to_string()),
    }
}

pub(super) fn failure(failure: &Failure) -> FailureEntry {
    let judged = &failure.judgement;
    FailureEntry {
        id: failure.id,
        time: Time(failure.at),
        address: judged.address,
        user: judged.user.to_string(),
        profile: judged.profile.to_string(),
        user_agent: judged.user_agent.to_string(),
        grade: judged.grade,
        identity: judged.identity,
        attention: judged.attention,
        failures: judged.failures,
        exempt: judged.exempt,
        banned: judged.banned,
    }
}

pub(super) fn grades(counts: engine::ByGrade) -> Grades {
    let engine::ByGrade {
        unjoined,
        unproven,
        unchallenged,
        challenged,
        assumed,
        answered,
        genuine,
    } = counts;
    Grades { unjoined, unproven, unchallenged, challenged, assumed, answered, genuine }
}

pub(super) fn health(health: store::Health) -> StoreHealth {
    let (state, problem, since) = match health.state {
        store::State::Ok => (StoreState::Ok, None, None),
        store::State::Degraded { error, since } => (StoreState::Degraded, Some(error), Some(since)),
    };
    StoreHealth {
        state,
        problem,
        since,
        file: health.file.map(|file| file.display().to_string()),
        size_bytes: health.size_bytes,
        behind_entries: health.behind_entries as u64,
        behind_seconds: std::time::Duration::from_millis(health.behind_ms).as_secs_f64(),
        dropped_entries: health.dropped,
        set_aside: health.set_aside.map(|file| file.display().to_string()),
    }
}

pub(super) fn history(event: store::HistoryEvent) -> HistoryEntry {
    let store::HistoryEvent { at, net, observed, what } = event;
    let blank = HistoryEntry {
        time: Time(at),
        event: HistoryKind::Ban,
        net,
        observed,
        scope: None,
        flow: None,
        until: None,
        reason: None,
        refusal: None,
        cause: None,
    };
    match what {
        What::Ban { scope: what, until: end, cause: why } => HistoryEntry {
            scope: Some(scope(what)),
            until: until(end),
            cause: Some(cause(&why)),
            ..blank
        },
        What::Unban { reason } => {
            HistoryEntry { event: HistoryKind::Unban, reason: Some(api_name(&reason)), ..blank }
        }
        What::FlowDenied { flow, until: end, cause: why } => HistoryEntry {
            event: HistoryKind::FlowDenied,
            flow: Some(flow),
            until: until(end),
            cause: Some(cause(&why)),
            ..blank
        },
        What::FlowAllowed { flow, reason } => HistoryEntry {
            event: HistoryKind::FlowAllowed,
            flow: Some(flow),
            reason: Some(api_name(&reason)),
            ..blank
        },
        What::Refused { refusal: why_not, cause: why } => HistoryEntry {
            event: HistoryKind::Refused,
            refusal: Some(refusal(why_not)),
            cause: Some(cause(&why)),
            ..blank
        },
    }
}

/// Why a ban would not have been made, on the wire.
pub(super) fn not_made_because(because: engine::NotMadeBecause) -> NotMadeBecause {
    match because {
        engine::NotMadeBecause::Mode => NotMadeBecause::Mode,
        engine::NotMadeBecause::Threshold => NotMadeBecause::Threshold,
        engine::NotMadeBecause::Grade => NotMadeBecause::Grade,
        engine::NotMadeBecause::UserAgent => NotMadeBecause::UserAgent,
    }
}

/// What a ban stops, on the wire.
pub(super) fn scope(scope: engine::Scope) -> BanScope {
    match scope {
        engine::Scope::Host => BanScope::Host,
        engine::Scope::Sip => BanScope::Sip,
    }
}

/// What a ban is to stop, as the engine has it.
pub(super) fn engine_scope(scope: BanScope) -> engine::Scope {
    match scope {
        BanScope::Host => engine::Scope::Host,
        BanScope::Sip => engine::Scope::Sip,
    }
}
