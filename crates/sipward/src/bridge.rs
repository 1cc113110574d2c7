//! Event Socket events → engine inputs: the only place that knows both vocabularies.

use std::borrow::Cow;

use sipward_engine::{AuthAttempt, AuthFailure, AuthResult, Challenge, CoreId, Input, Method};
use sipward_esl::sofia::{self, EventMeta, Origin, SofiaEvent};
use sipward_esl::{CoreUuid, Event, Text};

use crate::record::Record;

/// Passes what `event` says to `input`. Returns what an operator should hear of: an event that
/// cannot be used, or one that another Event Socket client made up.
pub fn translate(event: &Event, input: impl FnOnce(Input<'_>)) -> Option<Record> {
    let record = match sofia::parse(event) {
        Ok(Some(record)) => record,
        // HEARTBEAT and the like.
        Ok(None) => return None,
        Err(error) => {
            return Some(Record::EventUnusable { error: error.to_string() });
        }
    };
    let meta = *record.meta();
    if meta.origin != Origin::Sofia {
        return Some(Record::EventForged {
            error: meta.origin.to_string(),
            source: named(&record),
        });
    }
    match &record {
        SofiaEvent::RegisterFailure(failure) => input(Input::AuthFailure(AuthFailure {
            source: failure.source.ip,
            port: failure.source.port,
            profile: &failure.profile.lossy(),
            user: &lossy(failure.user.as_ref()),
            domain: &lossy(failure.domain.as_ref()),
            user_agent: &lossy(failure.user_agent.as_ref()),
            method: method(failure.method),
            sequence: meta.sequence,
            core: core(meta),
        })),
        SofiaEvent::RegisterAttempt(attempt) => input(Input::AuthAttempt(AuthAttempt {
            source: attempt.source.ip,
            port: attempt.source.port,
            profile: &attempt.profile.lossy(),
            user: &lossy(attempt.user.as_ref()),
            username: attempt.username.as_ref().map(Text::lossy).as_deref(),
            result: result(attempt.result),
            user_agent: &lossy(attempt.user_agent.as_ref()),
            sequence: meta.sequence,
            core: core(meta),
        })),
        SofiaEvent::PreRegister(challenge) => input(Input::Challenge(Challenge {
            source: challenge.source.ip,
            port: challenge.source.port,
            profile: &challenge.profile.lossy(),
            user: &lossy(challenge.user.as_ref()),
            core: core(meta),
        })),
        // Registrations, gateways and abandoned calls are known to the client and not judged yet.
        _ => {}
    }
    None
}

/// One run of FreeSWITCH in the engine's terms.
#[must_use]
pub fn core_id(core: CoreUuid) -> CoreId {
    CoreId(core.0)
}

fn core(meta: EventMeta) -> CoreId {
    core_id(meta.core)
}

/// The address that an event names.
fn named(record: &SofiaEvent<'_>) -> Option<std::net::IpAddr> {
    match record {
        SofiaEvent::RegisterFailure(failure) => Some(failure.source.ip),
        SofiaEvent::RegisterAttempt(attempt) => Some(attempt.source.ip),
        SofiaEvent::PreRegister(challenge) => Some(challenge.source.ip),
        _ => None,
    }
}

fn lossy<'t>(text: Option<&'t Text<'_>>) -> Cow<'t, str> {
    text.map(Text::lossy).unwrap_or_default()
}

fn method(method: sofia::Method) -> Method {
    match method {
        sofia::Method::Register => Method::Register,
        sofia::Method::Invite => Method::Invite,
        sofia::Method::Other => Method::Other,
    }
}

fn result(result: sofia::AuthResult) -> AuthResult {
    match result {
        sofia::AuthResult::Success | sofia::AuthResult::Renewed => AuthResult::Success,
        sofia::AuthResult::Forbidden => AuthResult::Forbidden,
        sofia::AuthResult::Stale => AuthResult::Stale,
        sofia::AuthResult::Other => AuthResult::Other,
    }
}
