//! Authentication: failures, attempts, challenges.

use super::{
    Endpoint, EventMeta,
    error::Defect,
    fields::{Fields, text},
    name::Name,
    registration::Contact,
};
use crate::text::Text;

/// `sofia::register_failure`: FreeSWITCH answered 403 to a REGISTER or an INVITE with credentials.
///
/// Broad and poor. It also fires for a right password (too many registrations, a user-agent filter), does
/// not say which digest username was tried, and is missing for SUBSCRIBE and MESSAGE. With
/// `inbound-reg-force-matching-username` one UDP packet with a forged source is enough to cause it;
/// the [`RegisterAttempt`] before it shows that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisterFailure<'e> {
    /// Time, sequence, core and origin.
    pub meta: EventMeta,
    /// `profile-name`.
    pub profile: Text<'e>,
    /// Where the request came from.
    pub source: Endpoint<'e>,
    /// The user of the To address (`to-user`), which need not be the digest username.
    pub user: Option<Text<'e>>,
    /// The domain of the To address (`to-host`).
    pub domain: Option<Text<'e>>,
    /// `user-agent`. FreeSWITCH writes `unknown` when the request has none; `None` when it is empty.
    pub user_agent: Option<Text<'e>>,
    /// `registration-type`.
    pub method: Method,
}

/// `sofia::register_attempt`: a request with credentials, whatever came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisterAttempt<'e> {
    /// Time, sequence, core and origin.
    pub meta: EventMeta,
    /// `profile-name`.
    pub profile: Text<'e>,
    /// Where the request came from.
    pub source: Endpoint<'e>,
    /// The user of the To address. FreeSWITCH writes it into `from-user`.
    pub user: Option<Text<'e>>,
    /// The domain of the To address. FreeSWITCH writes it into `from-host`.
    pub domain: Option<Text<'e>>,
    /// The user of the From address. FreeSWITCH writes it into `to-user`.
    pub from_user: Option<Text<'e>>,
    /// The domain of the From address. FreeSWITCH writes it into `to-host`.
    pub from_domain: Option<Text<'e>>,
    /// Digest username. `None` when FreeSWITCH wrote `unknown`: the request was refused before its nonce
    /// was looked up, so it proves nothing about where it came from.
    pub username: Option<Text<'e>>,
    /// Digest realm.
    pub realm: Option<Text<'e>>,
    /// `auth-result`.
    pub result: AuthResult,
    /// The contact of the request.
    pub contact: Contact<'e>,
    /// `user-agent`. FreeSWITCH writes `unknown` when the request has none; `None` when it is empty.
    pub user_agent: Option<Text<'e>>,
}

/// `sofia::pre_register`: a request without usable credentials was challenged (401 or 407). Healthy
/// phones cause one with every registration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreRegister<'e> {
    /// Time, sequence, core and origin.
    pub meta: EventMeta,
    /// `profile-name`.
    pub profile: Text<'e>,
    /// Where the request came from, and the challenge went to.
    pub source: Endpoint<'e>,
    /// The user of the To address. FreeSWITCH writes it into `from-user`.
    pub user: Option<Text<'e>>,
    /// The domain of the To address. FreeSWITCH writes it into `from-host`.
    pub domain: Option<Text<'e>>,
    /// The user of the From address. FreeSWITCH writes it into `to-user`.
    pub from_user: Option<Text<'e>>,
    /// The domain of the From address. FreeSWITCH writes it into `to-host`.
    pub from_domain: Option<Text<'e>>,
    /// The contact of the request.
    pub contact: Contact<'e>,
    /// `user-agent`. FreeSWITCH writes `unknown` when the request has none; `None` when it is empty.
    pub user_agent: Option<Text<'e>>,
}

/// `registration-type` of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `REGISTER`.
    Register,
    /// `INVITE`.
    Invite,
    /// Anything else, or missing.
    Other,
}

/// `auth-result` of an attempt (`sofia_reg.c`, `sofia_reg_parse_auth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthResult {
    /// `SUCCESS`.
    Success,
    /// `RENEWED`: right too. FreeSWITCH 1.11 writes it for first registrations and for calls as well.
    Renewed,
    /// `FORBIDDEN`.
    Forbidden,
    /// `STALE`: the nonce is unknown or expired; a new challenge went out.
    Stale,
    /// Anything else, or missing.
    Other,
}

/// What FreeSWITCH writes as the digest username when it has not read it.
const USERNAME_NOT_READ: &[u8] = b"unknown";

impl Method {
    /// As FreeSWITCH writes it; `other` for the rest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Invite => "INVITE",
            Self::Other => "other",
        }
    }
}

impl AuthResult {
    /// As FreeSWITCH writes it; `other` for the rest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Renewed => "RENEWED",
            Self::Forbidden => "FORBIDDEN",
            Self::Stale => "STALE",
            Self::Other => "other",
        }
    }
}

impl<'e> RegisterFailure<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        Ok(Self {
            meta: fields.meta()?,
            profile: fields.profile()?,
            source: fields.source()?,
            user: fields.text(Name::ToUser),
            domain: fields.text(Name::ToHost),
            user_agent: fields.text(Name::UserAgent),
            method: match fields.get(Name::RegistrationType) {
                Some(b"REGISTER") => Method::Register,
                Some(b"INVITE") => Method::Invite,
                Some(_) | None => Method::Other,
            },
        })
    }
}

impl<'e> RegisterAttempt<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        Ok(Self {
            meta: fields.meta()?,
            profile: fields.profile()?,
            source: fields.source()?,
            user: fields.text(Name::FromUser),
            domain: fields.text(Name::FromHost),
            from_user: fields.text(Name::ToUser),
            from_domain: fields.text(Name::ToHost),
            username: text(fields.get(Name::Username).filter(|&name| name != USERNAME_NOT_READ)),
            realm: fields.text(Name::Realm),
            result: match fields.get(Name::AuthResult) {
                Some(b"SUCCESS") => AuthResult::Success,
                Some(b"RENEWED") => AuthResult::Renewed,
                Some(b"FORBIDDEN") => AuthResult::Forbidden,
                Some(b"STALE") => AuthResult::Stale,
                Some(_) | None => AuthResult::Other,
            },
            contact: Contact::read(fields),
            user_agent: fields.text(Name::UserAgent),
        })
    }
}

impl<'e> PreRegister<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        Ok(Self {
            meta: fields.meta()?,
            profile: fields.profile()?,
            source: fields.source()?,
            user: fields.text(Name::FromUser),
            domain: fields.text(Name::FromHost),
            from_user: fields.text(Name::ToUser),
            from_domain: fields.text(Name::ToHost),
            contact: Contact::read(fields),
            user_agent: fields.text(Name::UserAgent),
        })
    }
}
