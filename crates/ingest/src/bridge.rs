//! Event Socket events → engine inputs: the only place that knows both vocabularies.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use sipward_engine::{
    AuthAttempt, AuthFailure, AuthResult, CALL_PROVES_AFTER, Challenge, CoreId, Input, Method,
    Registered, RegistrationEnded,
};
use sipward_esl::sofia::{self, EventMeta, Origin, SofiaEvent};
use sipward_esl::{CoreUuid, Event, Text};

use sipward_model::record::Record;

/// Subclass of the events by which a dialplan reports an address; see
/// `deploy/freeswitch/zz_sipward_report.xml`.
pub const REPORT: &str = "sipward::report";

/// Plain event that FreeSWITCH sends when it has read its configuration again.
pub const RELOADED: &str = "RELOADXML";

/// Subclass of the event that a profile sends when it starts.
pub const PROFILE_START: &str = "sofia::profile_start";

/// Subclass of the events by which a dialplan says that it accepted a call; see the same file.
pub const CALL: &str = "sipward::call";

/// The effects of an event besides the inputs for the engine.
#[derive(Debug)]
pub enum Aside {
    /// Nothing more.
    Nothing,
    /// A gateway came or went.
    Gateways,
    /// A gateway changed its state; the address from which its registrar has answered, once it has.
    Gateway {
        /// Its name.
        name: String,
        /// The registrar.
        registrar: Option<IpAddr>,
    },
    /// FreeSWITCH has read its configuration again, or started a profile.
    Configuration,
    /// An operator should hear of it: it cannot be used, or another Event Socket client made it up.
    Report(Box<Record>),
}

/// Passes what `event` says to `input`.
pub fn translate(event: &Event, input: impl FnOnce(Input<'_>)) -> Aside {
    let record = match sofia::parse(event) {
        Ok(Some(record)) => record,
        Ok(None) if event.subclass().is_some_and(|subclass| subclass == REPORT) => {
            return dialplan(event, REPORT, |source| {
                let reason = event.header("sipward-reason");
                let proved = is_proved(event);
                input(Input::Report { source, reason: &lossy(reason.as_ref()), proved });
            });
        }
        Ok(None) if event.subclass().is_some_and(|subclass| subclass == CALL) => {
            return dialplan(event, CALL, |source| {
                if is_proved(event) || talked(event) >= CALL_PROVES_AFTER {
                    input(Input::CallAccepted { source });
                }
            });
        }
        Ok(None) if is_about_configuration(event) => return Aside::Configuration,
        // HEARTBEAT and the like.
        Ok(None) => return Aside::Nothing,
        Err(error) if error.origin != Origin::Sofia => {
            let named = event.header("network-ip");
            let address = named.and_then(|named| named.lossy().parse().ok());
            return report(Record::EventForged { error: error.to_string(), address, count: 1 });
        }
        Err(error) => return report(Record::EventUnusable { error: error.to_string(), count: 1 }),
    };
    let meta = *record.meta();
    if meta.origin != Origin::Sofia {
        let (error, address) = (meta.origin.to_string(), named(&record));
        return report(Record::EventForged { error, address, count: 1 });
    }
    sofia_event(&record, meta, input)
}

/// What an event of `mod_sofia` says.
fn sofia_event(record: &SofiaEvent<'_>, meta: EventMeta, input: impl FnOnce(Input<'_>)) -> Aside {
    match record {
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
            domain: &lossy(attempt.domain.as_ref()),
            realm: attempt.realm.as_ref().map(Text::lossy).as_deref(),
            call_id: &lossy(attempt.contact.call_id.as_ref()),
            websocket: attempt.contact.is_websocket(),
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
            call_id: &lossy(challenge.contact.call_id.as_ref()),
            core: core(meta),
        })),
        SofiaEvent::Register(phone) => input(Input::Registered(Registered {
            source: phone.source.ip,
            // 0 is what FreeSWITCH writes where there is none.
            port: Some(phone.source.port).filter(|port| *port > 0),
            user: &lossy(phone.user.as_ref()),
            domain: &lossy(phone.domain.as_ref()),
            realm: phone.realm.as_ref().map(Text::lossy).as_deref(),
            username: phone.username.as_ref().map(Text::lossy).as_deref(),
            call_id: &lossy(phone.contact.call_id.as_ref()),
            user_agent: &lossy(phone.user_agent.as_ref()),
            life: phone.contact.expires.map(Duration::from_secs),
            core: core(meta),
        })),
        SofiaEvent::Unregister(phone) => input(Input::RegistrationEnded(RegistrationEnded {
            source: phone.source.as_ref().map(|source| source.ip),
            user: &lossy(phone.user.as_ref()),
            domain: &lossy(phone.domain.as_ref()),
            call_id: &lossy(phone.contact.call_id.as_ref()),
        })),
        SofiaEvent::Expire(phone) => input(Input::RegistrationEnded(RegistrationEnded {
            source: Some(phone.source.ip),
            user: &lossy(phone.user.as_ref()),
            domain: &lossy(phone.domain.as_ref()),
            call_id: &lossy(phone.call_id.as_ref()),
        })),
        SofiaEvent::WrongCallState(call) => {
            input(Input::AbandonedCall { source: call.source.ip });
        }
        SofiaEvent::GatewayState(gateway) => {
            let registrar = gateway.registrar.as_ref().map(|registrar| registrar.ip);
            return Aside::Gateway { name: gateway.gateway.lossy().into_owned(), registrar };
        }
        SofiaEvent::GatewayAdd(_) | SofiaEvent::GatewayDelete(_) => return Aside::Gateways,
        _ => {}
    }
    Aside::Nothing
}

/// An event of the dialplan about an address. Only FreeSWITCH's own modules are believed; `sendevent`
/// of another client leaves a `Command` header (`mod_event_socket.c`).
fn dialplan(event: &Event, subclass: &str, tell: impl FnOnce(IpAddr)) -> Aside {
    let address = event.header("sipward-address");
    let address = address.as_ref().map(Text::lossy).unwrap_or_default();
    let source = address.trim().parse::<IpAddr>();
    if event.header("Command").is_some() {
        let error = format!("{subclass} sent by another client (sendevent)");
        return report(Record::EventForged { error, address: source.ok(), count: 1 });
    }
    let Ok(source) = source else {
        let error = format!("{subclass}: sipward-address `{address}` is not an IP address");
        return report(Record::EventUnusable { error, count: 1 });
    };
    tell(source);
    Aside::Nothing
}

fn is_about_configuration(event: &Event) -> bool {
    event.name().is_some_and(|name| name == RELOADED)
        || event.subclass().is_some_and(|subclass| subclass == PROFILE_START)
}

/// The call behind an event of the dialplan came over a transport whose handshake proves the address.
/// The variable is true: sofia-sip drops a request whose Via lies about its transport.
fn is_proved(event: &Event) -> bool {
    let transport = event.header("variable_sip_via_protocol");
    let transport = transport.as_ref().map(Text::lossy).unwrap_or_default();
    ["tcp", "tls", "ws", "wss"].iter().any(|proved| transport.eq_ignore_ascii_case(proved))
}

/// How long the call behind an event had been answered (`sipward-talked`, in seconds).
fn talked(event: &Event) -> Duration {
    let seconds = event.header("sipward-talked");
    let seconds = seconds.and_then(|seconds| seconds.lossy().trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

fn report(record: Record) -> Aside {
    Aside::Report(Box::new(record))
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
fn named(record: &SofiaEvent<'_>) -> Option<IpAddr> {
    match record {
        SofiaEvent::RegisterFailure(failure) => Some(failure.source.ip),
        SofiaEvent::RegisterAttempt(attempt) => Some(attempt.source.ip),
        SofiaEvent::PreRegister(challenge) => Some(challenge.source.ip),
        SofiaEvent::Register(phone) => Some(phone.source.ip),
        SofiaEvent::Unregister(phone) => phone.source.as_ref().map(|source| source.ip),
        SofiaEvent::Expire(phone) => Some(phone.source.ip),
        SofiaEvent::WrongCallState(call) => Some(call.source.ip),
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

#[cfg(test)]
mod tests;
