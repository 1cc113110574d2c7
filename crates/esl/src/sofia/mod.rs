//! What `mod_sofia` reports, as typed records that borrow from the [`Event`].
//!
//! | file | holds |
//! |---|---|
//! | `meta` | [`EventMeta`]: time, sequence, core and origin of every record |
//! | `endpoint` | [`Endpoint`]: `network-ip` and `network-port` |
//! | `auth` | [`RegisterFailure`], [`RegisterAttempt`], [`PreRegister`] |
//! | `registration` | [`Register`], [`Unregister`], [`Expire`], [`Contact`] |
//! | `gateway`, `call` | [`GatewayState`], [`GatewayChange`], [`WrongCallState`] |
//! | `name` | the headers that are read, and how FreeSWITCH spells them |
//! | `fields` | one pass over the header lines, no allocation |
//! | `error` | [`RecordError`]: which header, and why |
//!
//! [`parse`] is the one entry.

mod auth;
mod call;
mod endpoint;
mod error;
mod fields;
mod gateway;
mod meta;
mod name;
mod registration;

pub use self::{
    auth::{AuthResult, Method, PreRegister, RegisterAttempt, RegisterFailure},
    call::WrongCallState,
    endpoint::Endpoint,
    error::{Problem, RecordError},
    gateway::{GatewayChange, GatewayState, GatewayStatus},
    meta::{EventMeta, EventTime, Origin},
    registration::{Contact, Expire, Register, Unregister},
};
use self::{fields::Fields, name::Name};
use crate::Event;

/// One record of `mod_sofia`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SofiaEvent<'e> {
    /// `sofia::register_failure`.
    RegisterFailure(RegisterFailure<'e>),
    /// `sofia::register_attempt`.
    RegisterAttempt(RegisterAttempt<'e>),
    /// `sofia::pre_register`.
    PreRegister(PreRegister<'e>),
    /// `sofia::register`.
    Register(Register<'e>),
    /// `sofia::unregister`.
    Unregister(Unregister<'e>),
    /// `sofia::expire`.
    Expire(Expire<'e>),
    /// `sofia::gateway_state`.
    GatewayState(GatewayState<'e>),
    /// `sofia::gateway_add`.
    GatewayAdd(GatewayChange<'e>),
    /// `sofia::gateway_delete`.
    GatewayDelete(GatewayChange<'e>),
    /// `sofia::wrong_call_state`.
    WrongCallState(WrongCallState<'e>),
}

/// Which record an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subclass {
    /// `sofia::register_failure`: 403 to a request with credentials.
    RegisterFailure,
    /// `sofia::register_attempt`: a request with credentials, whatever came of it.
    RegisterAttempt,
    /// `sofia::pre_register`: 401 or 407, a challenge.
    PreRegister,
    /// `sofia::register`: a new or renewed registration.
    Register,
    /// `sofia::unregister`.
    Unregister,
    /// `sofia::expire`: found by a sweep every 30 s.
    Expire,
    /// `sofia::gateway_state`.
    GatewayState,
    /// `sofia::gateway_add`: a rescan or a restart found a new gateway.
    GatewayAdd,
    /// `sofia::gateway_delete`: `killgw`, or a rescan found it gone.
    GatewayDelete,
    /// `sofia::wrong_call_state`: a challenged INVITE was given up, reported some 10 s later.
    WrongCallState,
}

/// Reads the record in `event`; `Ok(None)` when it is none of [`Subclass::ALL`].
///
/// Allocates only where a value holds percent-escapes. The record's
/// [`origin`](EventMeta::origin) says whether `mod_sofia` sent it: an authenticated client of the Event
/// Socket can send an event that looks like any of these.
///
/// # Errors
/// [`RecordError`] when a header is missing or malformed. It is bounded and safe to log.
pub fn parse(event: &Event) -> Result<Option<SofiaEvent<'_>>, RecordError> {
    let fields = Fields::collect(event);
    let Some(subclass) = fields.get(Name::Subclass).and_then(Subclass::from_header) else {
        return Ok(None);
    };
    let record = match subclass {
        Subclass::RegisterFailure => {
            RegisterFailure::read(&fields).map(SofiaEvent::RegisterFailure)
        }
        Subclass::RegisterAttempt => {
            RegisterAttempt::read(&fields).map(SofiaEvent::RegisterAttempt)
        }
        Subclass::PreRegister => PreRegister::read(&fields).map(SofiaEvent::PreRegister),
        Subclass::Register => Register::read(&fields).map(SofiaEvent::Register),
        Subclass::Unregister => Unregister::read(&fields).map(SofiaEvent::Unregister),
        Subclass::Expire => Expire::read(&fields).map(SofiaEvent::Expire),
        Subclass::GatewayState => GatewayState::read(&fields).map(SofiaEvent::GatewayState),
        Subclass::GatewayAdd => GatewayChange::read(&fields).map(SofiaEvent::GatewayAdd),
        Subclass::GatewayDelete => GatewayChange::read(&fields).map(SofiaEvent::GatewayDelete),
        Subclass::WrongCallState => WrongCallState::read(&fields).map(SofiaEvent::WrongCallState),
    };
    match record {
        Ok(record) => Ok(Some(record)),
        Err(defect) => Err(RecordError::new(subclass, fields.origin(), &defect)),
    }
}

impl SofiaEvent<'_> {
    /// Time, sequence, core and origin.
    #[must_use]
    pub const fn meta(&self) -> &EventMeta {
        match self {
            Self::RegisterFailure(record) => &record.meta,
            Self::RegisterAttempt(record) => &record.meta,
            Self::PreRegister(record) => &record.meta,
            Self::Register(record) => &record.meta,
            Self::Unregister(record) => &record.meta,
            Self::Expire(record) => &record.meta,
            Self::GatewayState(record) => &record.meta,
            Self::GatewayAdd(record) | Self::GatewayDelete(record) => &record.meta,
            Self::WrongCallState(record) => &record.meta,
        }
    }
}

impl Subclass {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RegisterFailure,
        Self::RegisterAttempt,
        Self::PreRegister,
        Self::Register,
        Self::Unregister,
        Self::Expire,
        Self::GatewayState,
        Self::GatewayAdd,
        Self::GatewayDelete,
        Self::WrongCallState,
    ];

    /// The records that distinguish an attacker from a phone.
    pub const REQUIRED: [Self; 6] = [
        Self::RegisterFailure,
        Self::RegisterAttempt,
        Self::PreRegister,
        Self::Register,
        Self::Unregister,
        Self::Expire,
    ];

    /// The others. A user of the directory that may not have one of them is refused the whole `event` command,
    /// so that they are better requested apart.
    pub const OPTIONAL: [Self; 4] =
        [Self::GatewayState, Self::GatewayAdd, Self::GatewayDelete, Self::WrongCallState];

    /// As it is subscribed to.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegisterFailure => "sofia::register_failure",
            Self::RegisterAttempt => "sofia::register_attempt",
            Self::PreRegister => "sofia::pre_register",
            Self::Register => "sofia::register",
            Self::Unregister => "sofia::unregister",
            Self::Expire => "sofia::expire",
            Self::GatewayState => "sofia::gateway_state",
            Self::GatewayAdd => "sofia::gateway_add",
            Self::GatewayDelete => "sofia::gateway_delete",
            Self::WrongCallState => "sofia::wrong_call_state",
        }
    }

    /// From the raw `Event-Subclass` header: FreeSWITCH encodes the colons in plain events.
    fn from_header(raw: &[u8]) -> Option<Self> {
        let name = raw.strip_prefix(b"sofia%3A%3A").or_else(|| raw.strip_prefix(b"sofia::"))?;
        let is_called = |subclass: &Self| {
            subclass.as_str().as_bytes().strip_prefix(b"sofia::").is_some_and(|known| known == name)
        };
        Self::ALL.into_iter().find(is_called)
    }
}

#[cfg(test)]
mod tests;
