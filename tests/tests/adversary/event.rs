//! Events as FreeSWITCH sends them, and how sipward's decoder hands them to the engine.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use sipward_engine::{
    Action, AuthAttempt, AuthFailure, AuthResult, Challenge, CoreId, Engine, Input, Method,
    Registered, RegistrationEnded, Timestamp,
};

/// Text that many events share.
pub(crate) type Name = Rc<str>;

pub(crate) const DOMAIN: &str = "pbx.test";
pub(crate) const PROFILE: &str = "internal";

/// Longest event that is handed on whole (`sipward-esl`, `MAX_BODY`), and what is kept of each value of a
/// longer one (`MAX_VALUE`), in bytes of percent-encoding.
const LONGEST_EVENT: usize = 256 * 1024;
const KEPT_OF_A_VALUE: usize = 4_096;

/// One event about one source.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) source: IpAddr,
    pub(crate) port: u16,
    pub(crate) user: Name,
    pub(crate) call_id: Name,
    pub(crate) agent: Name,
    pub(crate) sequence: u64,
    pub(crate) core: CoreId,
    /// Bytes of headers that the engine never sees.
    pub(crate) padding: usize,
    pub(crate) kind: Kind,
}

/// Its content.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Challenge,
    Attempt { username: Option<Name>, result: AuthResult, websocket: bool },
    Failure { method: Method },
    Registered { username: Name, life: Duration },
    Ended,
    Report { proved: bool },
    Call,
}

impl Event {
    /// Tells the engine.
    pub(crate) fn tell(mut self, engine: &mut Engine, now: Timestamp, actions: &mut Vec<Action>) {
        if self.padding > 0 {
            self.cut();
        }
        let Self { source, port, sequence, core, .. } = self;
        let (user, call_id, user_agent) = (&*self.user, &*self.call_id, &*self.agent);
        let (profile, domain) = (PROFILE, DOMAIN);
        let input = match &self.kind {
            Kind::Challenge => {
                Input::Challenge(Challenge { source, port, profile, user, call_id, core })
            }
            Kind::Attempt { username, result, websocket } => Input::AuthAttempt(AuthAttempt {
                source,
                port,
                profile,
                user,
                domain,
                realm: Some(domain),
                username: username.as_deref(),
                call_id,
                websocket: *websocket,
                result: *result,
                user_agent,
                sequence,
                core,
            }),
            Kind::Failure { method } => Input::AuthFailure(AuthFailure {
                source,
                port,
                profile,
                user,
                domain,
                user_agent,
                method: *method,
                sequence,
                core,
            }),
            Kind::Registered { username, life } => Input::Registered(Registered {
                source,
                port: Some(port),
                user,
                domain,
                realm: Some(domain),
                username: Some(username),
                call_id,
                user_agent,
                life: Some(*life),
                core,
            }),
            Kind::Ended => Input::RegistrationEnded(RegistrationEnded {
                source: Some(source),
                user,
                domain,
                call_id,
            }),
            Kind::Report { proved } => {
                Input::Report { source, reason: "unauthenticated call", proved: *proved }
            }
            Kind::Call => Input::CallAccepted { source },
        };
        engine.handle(input, now, actions);
    }

    /// An event over the limit loses the ends of its values.
    fn cut(&mut self) {
        let values = [&self.user, &self.call_id, &self.agent];
        // To, Call-ID and agent are there once each; an attempt has its To twice, decoded otherwise.
        let twice = if matches!(self.kind, Kind::Attempt { .. }) { encoded(&self.user) } else { 0 };
        let size: usize = values.into_iter().map(|value| encoded(value)).sum();
        if size + twice + self.padding <= LONGEST_EVENT {
            return;
        }
        for value in [&mut self.user, &mut self.call_id, &mut self.agent] {
            *value = kept(value).into();
        }
        if let Kind::Attempt { username: Some(name), .. }
        | Kind::Registered { username: name, .. } = &mut self.kind
        {
            *name = kept(name).into();
        }
    }
}

fn encoded(text: &str) -> usize {
    text.chars().map(encoded_char).sum()
}

/// FreeSWITCH encodes everything but letters, digits and a few marks.
fn encoded_char(c: char) -> usize {
    let plain = c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    if plain { 1 } else { 3 * c.len_utf8() }
}

fn kept(text: &str) -> &str {
    let mut bytes = 0;
    let end = text.char_indices().find(|(_, c)| {
        bytes += encoded_char(*c);
        bytes > KEPT_OF_A_VALUE
    });
    end.map_or(text, |(at, _)| &text[..at])
}
