//! A small FreeSWITCH: what it answers and which events it sends, as the recordings of a real one show.
//!
//! Nonces are bound to no user and no address. They live for the profile's `nonce-ttl`, or as long as the registration that
//! was made with them. A right password is accepted with the nonce of any sender. With force-matching
//! a digest user other than the To user is refused before the nonce is looked at.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sipward_engine::{AuthResult, CoreId, Method, Timestamp};

use crate::event::{Event, Kind, Name};

/// `nonce-ttl` of a profile that does not set it.
const NONCE_TTL: Duration = Duration::from_secs(60);

/// A registration is kept for so long beyond its end (`sip-expires-late-margin`).
const LATE_MARGIN: Duration = Duration::from_secs(60);

/// How often ended registrations are looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(30);

/// Handed out with a challenge.
pub(crate) type Nonce = u64;

/// A SIP request as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Over UDP the sender chose it.
    pub(crate) source: SocketAddr,
    pub(crate) method: Method,
    pub(crate) websocket: bool,
    pub(crate) call_id: Name,
    pub(crate) to: Name,
    pub(crate) agent: Name,
    pub(crate) credentials: Option<Credentials>,
    /// Zero ends the registration.
    pub(crate) expires: Duration,
    /// Bytes of other headers.
    pub(crate) padding: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) username: Name,
    pub(crate) nonce: Nonce,
    /// The password is right.
    pub(crate) right: bool,
}

/// What goes back to the source address of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The request never arrived.
    Nothing,
    Challenged(Nonce),
    Forbidden {
        /// The nonce was valid, so this was a guess.
        guessed: bool,
    },
    Ok,
}

#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) user: Name,
    pub(crate) source: SocketAddr,
    pub(crate) call_id: Name,
    pub(crate) agent: Name,
    pub(crate) until: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Sofia {
    pub(crate) core: CoreId,
    /// `inbound-reg-force-matching-username`.
    pub(crate) force_matching: bool,
    /// `multiple-registrations`.
    pub(crate) multiple: bool,
    pub(crate) nonce_ttl: Duration,
    sequence: u64,
    nonces: HashMap<Nonce, Timestamp>,
    next_nonce: Nonce,
    registrations: Vec<Registration>,
}

impl Sofia {
    pub(crate) fn new() -> Self {
        Self {
            core: CoreId(1),
            force_matching: true,
            multiple: true,
            nonce_ttl: NONCE_TTL,
            sequence: 1,
            nonces: HashMap::new(),
            next_nonce: 1,
            registrations: Vec::new(),
        }
    }

    /// Takes in a request; appends the events that it causes.
    pub(crate) fn handle(
        &mut self,
        request: &Request,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> Answer {
        let Some(credentials) = &request.credentials else {
            return self.challenge(request, now, events);
        };
        let forbidden = |username| Kind::Attempt {
            username,
            result: AuthResult::Forbidden,
            websocket: request.websocket,
        };
        let failure = Kind::Failure { method: request.method };
        let register = request.method == Method::Register;
        if register && self.force_matching && credentials.username != request.to {
            self.emit(request, forbidden(None), events);
            self.emit(request, failure, events);
            return Answer::Forbidden { guessed: false };
        }
        if self.nonces.get(&credentials.nonce).is_none_or(|until| *until < now) {
            let (result, websocket) = (AuthResult::Stale, request.websocket);
            self.emit(request, Kind::Attempt { username: None, result, websocket }, events);
            return self.challenge(request, now, events);
        }
        let username = credentials.username.clone();
        if !credentials.right {
            self.emit(request, forbidden(Some(username)), events);
            self.emit(request, failure, events);
            return Answer::Forbidden { guessed: true };
        }
        let attempt = Kind::Attempt {
            username: Some(username.clone()),
            result: AuthResult::Success,
            websocket: request.websocket,
        };
        self.emit(request, attempt, events);
        if register {
            self.register(request, username, now, events);
            let life = now + request.expires;
            let until = self.nonces.entry(credentials.nonce).or_insert(life);
            *until = life.max(*until);
        }
        Answer::Ok
    }

    /// Sends `expire` for the registrations that ran out.
    pub(crate) fn sweep(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        self.nonces.retain(|_, until| *until >= now);
        let late = |held: &Registration| held.until + LATE_MARGIN < now;
        let gone: Vec<Registration> =
            self.registrations.extract_if(.., |held| late(held)).collect();
        for held in gone {
            self.end(&held, events);
        }
    }

    /// `show registrations`.
    pub(crate) fn registrations(&self) -> &[Registration] {
        &self.registrations
    }

    /// The user is registered from that address.
    pub(crate) fn is_registered(&self, addr: IpAddr) -> bool {
        self.registrations.iter().any(|held| held.source.ip() == addr)
    }

    /// A new run: all nonces are gone; the registrations are where its database is not kept.
    pub(crate) fn restart(&mut self, forget: bool) {
        self.core = CoreId(self.core.0 + 1);
        self.sequence = 1;
        self.nonces.clear();
        if forget {
            self.registrations.clear();
        }
    }

    /// An event of the dialplan about a call.
    pub(crate) fn dialplan(&mut self, source: SocketAddr, kind: Kind, events: &mut Vec<Event>) {
        let nobody: Name = "".into();
        events.push(Event {
            source: source.ip(),
            port: source.port(),
            user: nobody.clone(),
            call_id: nobody.clone(),
            agent: nobody,
            sequence: self.sequence,
            core: self.core,
            padding: 0,
            kind,
        });
        self.sequence += 1;
    }

    fn challenge(&mut self, request: &Request, now: Timestamp, events: &mut Vec<Event>) -> Answer {
        self.emit(request, Kind::Challenge, events);
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        self.nonces.insert(nonce, now + self.nonce_ttl);
        Answer::Challenged(nonce)
    }

    fn register(
        &mut self,
        request: &Request,
        username: Name,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let multiple = self.multiple;
        let replaced = |held: &Registration| {
            held.user == request.to && (!multiple || held.call_id == request.call_id)
        };
        self.registrations.retain(|held| !replaced(held));
        let (user, call_id) = (request.to.clone(), request.call_id.clone());
        if request.expires.is_zero() {
            self.emit(request, Kind::Ended, events);
            return;
        }
        let (source, agent) = (request.source, request.agent.clone());
        let until = now + request.expires;
        self.registrations.push(Registration { user, source, call_id, agent, until });
        self.emit(request, Kind::Registered { username, life: request.expires }, events);
    }

    fn end(&mut self, held: &Registration, events: &mut Vec<Event>) {
        events.push(Event {
            source: held.source.ip(),
            port: held.source.port(),
            user: held.user.clone(),
            call_id: held.call_id.clone(),
            agent: held.agent.clone(),
            sequence: self.sequence,
            core: self.core,
            padding: 0,
            kind: Kind::Ended,
        });
        self.sequence += 1;
    }

    fn emit(&mut self, request: &Request, kind: Kind, events: &mut Vec<Event>) {
        // The attempt has a Contact and a Via more than the failure.
        let longer = matches!(kind, Kind::Attempt { .. });
        let padding = if longer { request.padding + request.padding / 50 } else { request.padding };
        events.push(Event {
            source: request.source.ip(),
            port: request.source.port(),
            user: request.to.clone(),
            call_id: request.call_id.clone(),
            agent: request.agent.clone(),
            sequence: self.sequence,
            core: self.core,
            padding,
            kind,
        });
        // Other events of the core come between.
        self.sequence += 1;
    }
}
