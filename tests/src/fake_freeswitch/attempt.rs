//! A SIP request with credentials, and what becomes of it.

use std::net::IpAddr;

/// One request as FreeSWITCH sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Source address of its packet.
    pub source: IpAddr,
    /// Source port of its packet.
    pub port: u16,
    /// To user.
    pub user: String,
    /// To domain and digest realm. Default `pbx.test`.
    pub domain: String,
    /// Sofia profile. Default `internal`.
    pub profile: String,
    /// `User-Agent`. Default `pytest/1.0`, as in the recordings.
    pub user_agent: String,
    /// Method. Default REGISTER.
    pub method: Method,
    /// `Call-ID`, which a phone keeps for all its registrations. Default made of user and source.
    pub call_id: String,
}

impl Attempt {
    /// A REGISTER of `user` with the defaults of the recordings.
    #[must_use]
    pub fn new(source: IpAddr, port: u16, user: &str) -> Self {
        Self {
            source,
            port,
            user: user.to_owned(),
            domain: "pbx.test".to_owned(),
            profile: "internal".to_owned(),
            user_agent: "pytest/1.0".to_owned(),
            method: Method::Register,
            call_id: format!("{user}-{source}-{port}"),
        }
    }

    /// With another `User-Agent`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// With another `Call-ID`.
    #[must_use]
    pub fn call_id(mut self, call_id: &str) -> Self {
        call_id.clone_into(&mut self.call_id);
        self
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }
}

/// Method of a request that is authenticated and whose failure makes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// REGISTER.
    Register,
    /// INVITE.
    Invite,
}

impl Method {
    /// As in `registration-type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Invite => "INVITE",
        }
    }
}

/// What becomes of a request, and so which events it causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Challenged, answered with a wrong password: `pre_register`, `register_attempt`,
    /// `register_failure`.
    WrongPassword,
    /// A valid nonce that was fetched with another address: no `pre_register`.
    BorrowedNonce,
    /// One blind packet, its nonce never checked: the attempt's `username` is `unknown`.
    BlindSpoof,
    /// Only the `register_failure` arrives.
    AttemptLost,
    /// No request at all: another client of the Event Socket made the failure up.
    ForgedBySendevent,
    /// Challenged, and never answered: `pre_register` only.
    Challenged,
    /// The nonce of a challenge, or an invented one, which is unknown or expired:
    /// `register_attempt` with `STALE`, `pre_register`.
    Stale,
    /// The right password: `pre_register`, `register_attempt`, `register`.
    Registered,
    /// The right password with a nonce whose challenge made its event already: `register_attempt`, `register`.
    Admitted,
    /// The right password and `Expires: 0`: `pre_register`, `register_attempt`, `unregister`.
    Unregistered,
    /// No request at all: the registration ran out, `expire`.
    Expired,
}
