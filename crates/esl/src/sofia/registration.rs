//! Registrations: new or renewed, ended, expired.

use super::{
    Endpoint, EventMeta, EventTime,
    error::Defect,
    fields::{Fields, decimal, text},
    name::Name,
};
use crate::text::Text;

/// The contact of a request. The sender chooses all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contact<'e> {
    /// `contact`: the URI with its display name, as FreeSWITCH rebuilt it.
    pub uri: Option<Text<'e>>,
    /// `call-id`.
    pub call_id: Option<Text<'e>>,
    /// The transport in `status: Registered(TLS)`. It comes from a parameter of the Contact that the sender
    /// wrote: a UDP packet that claims `transport=tls` shows TLS.
    pub claimed_transport: Option<Text<'e>>,
    /// `expires` in seconds, as requested.
    pub expires: Option<u64>,
}

/// `sofia::register`: registered, or registration renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Register<'e> {
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
    /// Digest username.
    pub username: Option<Text<'e>>,
    /// Digest realm.
    pub realm: Option<Text<'e>>,
    /// The contact of the request.
    pub contact: Contact<'e>,
    /// `user-agent`. FreeSWITCH writes `unknown` when the request has none; `None` when it is empty.
    pub user_agent: Option<Text<'e>>,
    /// `update-reg: true`: a registration that existed was renewed (newer FreeSWITCH only).
    pub renewed: bool,
}

/// `sofia::unregister`: the phone unregistered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unregister<'e> {
    /// Time, sequence, core and origin.
    pub meta: EventMeta,
    /// `profile-name`.
    pub profile: Text<'e>,
    /// Where the request came from. `None` when there was none: a WebSocket that closes ends its registrations
    /// (`reason: socket-disconnection`), and the event names neither address nor port.
    pub source: Option<Endpoint<'e>>,
    /// The user of the To address (`from-user`).
    pub user: Option<Text<'e>>,
    /// The domain of the To address (`from-host`).
    pub domain: Option<Text<'e>>,
    /// Digest username.
    pub username: Option<Text<'e>>,
    /// Digest realm.
    pub realm: Option<Text<'e>>,
    /// The contact of the request.
    pub contact: Contact<'e>,
    /// `user-agent`.
    pub user_agent: Option<Text<'e>>,
}

/// `sofia::expire`: a registration ran out; a sweep every 30 s finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expire<'e> {
    /// Time, sequence, core and origin.
    pub meta: EventMeta,
    /// `profile-name`.
    pub profile: Text<'e>,
    /// Where the phone had registered from.
    pub source: Endpoint<'e>,
    /// The registered user (`user`).
    pub user: Option<Text<'e>>,
    /// Its domain (`host`).
    pub domain: Option<Text<'e>>,
    /// Digest username.
    pub username: Option<Text<'e>>,
    /// Digest realm.
    pub realm: Option<Text<'e>>,
    /// `contact`.
    pub contact: Option<Text<'e>>,
    /// `call-id`.
    pub call_id: Option<Text<'e>>,
    /// `user-agent`.
    pub user_agent: Option<Text<'e>>,
    /// `expires`: when it ran out. FreeSWITCH gives whole seconds.
    pub expired: Option<EventTime>,
}

impl<'e> Contact<'e> {
    /// The request came over WebSocket (`status: Registered(WS…)`, also `WSS`). This one is true: it comes
    /// from the Via, and sofia-sip drops a request whose Via names another transport than its own. What
    /// `status` says of TCP and TLS is the sender's claim.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        let claimed = self.claimed_transport.as_ref().map(Text::lossy);
        claimed.is_some_and(|transport| {
            let transport = transport.split('-').next().unwrap_or_default();
            matches!(transport, "WS" | "WSS")
        })
    }

    pub(super) fn read(fields: &Fields<'e>) -> Self {
        let claimed = fields.get(Name::Status).and_then(|status| {
            status.strip_prefix(b"Registered(").and_then(|rest| rest.strip_suffix(b")"))
        });
        Self {
            uri: fields.text(Name::Contact),
            call_id: fields.text(Name::CallId),
            claimed_transport: text(claimed),
            expires: fields.get(Name::Expires).and_then(decimal),
        }
    }
}

impl<'e> Register<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        Ok(Self {
            meta: fields.meta()?,
            profile: fields.profile()?,
            source: fields.source()?,
            user: fields.text(Name::FromUser),
            domain: fields.text(Name::FromHost),
            username: fields.text(Name::Username),
            realm: fields.text(Name::Realm),
            contact: Contact::read(fields),
            user_agent: fields.text(Name::UserAgent),
            renewed: fields.get(Name::UpdateReg) == Some(b"true"),
        })
    }
}

impl<'e> Unregister<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        Ok(Self {
            meta: fields.meta()?,
            profile: fields.profile()?,
            source: fields.optional_source()?,
            user: fields.text(Name::FromUser),
            domain: fields.text(Name::FromHost),
            username: fields.text(Name::Username),
            realm: fields.text(Name::Realm),
            contact: Contact::read(fields),
            user_agent: fields.text(Name::UserAgent),
        })
    }
}

impl<'e> Expire<'e> {
    pub(super) fn read(fields: &Fields<'e>) -> Result<Self, Defect<'e>> {
        let expired =
            fields.get(Name::Expires).and_then(decimal).and_then(|s| s.checked_mul(1_000_000));
        Ok(Self {
            meta: fields.meta()?,
            profile: fields.profile()?,
            source: fields.source()?,
            user: fields.text(Name::User),
            domain: fields.text(Name::Host),
            username: fields.text(Name::Username),
            realm: fields.text(Name::Realm),
            contact: fields.text(Name::Contact),
            call_id: fields.text(Name::CallId),
            user_agent: fields.text(Name::UserAgent),
            expired: expired.map(EventTime::from_micros),
        })
    }
}
