//! What a request is answered, and which events it causes (`sofia_reg.c`).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::request::Request;
use crate::fake_freeswitch::{Attempt, Method, Outcome};
use crate::sip::{digest, password_of};

/// How long a nonce is good for: as long as the registration it was fetched for would last.
const NONCE_LIFE: Duration = Duration::from_secs(60);
/// Nonces kept at most; the oldest goes first.
const MOST_NONCES: usize = 200_000;
/// Answers kept for retransmissions at most.
const MOST_ANSWERS: usize = 4_096;
/// Length of a registration without `Expires`.
const EXPIRES: u64 = 300;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `None` for what is never answered: ACK.
    pub(super) answer: Option<String>,
    /// The events it causes.
    pub(super) outcome: Option<(Attempt, Outcome)>,
}

/// Users, nonces and registrations.
#[derive(Debug)]
pub(super) struct Registrar {
    users: HashSet<String>,
    /// Not bound to an address, and alive after failures.
    nonces: HashMap<String, Instant>,
    by_age: VecDeque<(Instant, String)>,
    registrations: BTreeMap<(String, String), Registration>,
    /// What was answered lately: a retransmission gets the same, and causes no event.
    answers: HashMap<String, Option<String>>,
    transactions: VecDeque<String>,
}

#[derive(Clone, Debug)]
struct Registration {
    source: SocketAddr,
    until: u64,
}

impl Registrar {
    pub(super) fn new(users: impl IntoIterator<Item = String>) -> Self {
        Self {
            users: users.into_iter().collect(),
            nonces: HashMap::new(),
            by_age: VecDeque::new(),
            registrations: BTreeMap::new(),
            answers: HashMap::new(),
            transactions: VecDeque::new(),
        }
    }

    pub(super) fn remember(&mut self, user: &str, source: IpAddr) {
        let key = (user.to_owned(), format!("{user}-{source}"));
        let registration =
            Registration { source: SocketAddr::new(source, 5060), until: seconds() + EXPIRES };
        self.registrations.insert(key, registration);
    }

    pub(super) fn registered(&self) -> usize {
        self.registrations.len()
    }

    /// `show registrations as json`.
    pub(super) fn list(&self) -> String {
        let rows: Vec<serde_json::Value> = self
            .registrations
            .iter()
            .map(|((user, call_id), registration)| {
                serde_json::json!({
                    "reg_user": user, "realm": "pbx.test", "token": call_id,
                    "url": format!("sofia/internal/sip:{user}@{}", registration.source),
                    "expires": registration.until.to_string(),
                    "network_ip": registration.source.ip().to_string(),
                    "network_port": registration.source.port().to_string(),
                    "network_proto": "udp", "hostname": "vm", "metadata": "",
                })
            })
            .collect();
        if rows.is_empty() {
            return "{\"row_count\":0}".to_owned();
        }
        serde_json::json!({"row_count": rows.len(), "rows": rows}).to_string()
    }

    /// Judges a received request.
    pub(super) fn judge(
        &mut self,
        request: &Request<'_>,
        source: SocketAddr,
        profile: &str,
        now: Instant,
    ) -> Verdict {
        let transaction = format!("{source}|{}", request.transaction());
        if let Some(answer) = self.answers.get(&transaction) {
            return Verdict { answer: answer.clone(), outcome: None };
        }
        let verdict = self.judge_anew(request, source, profile, now);
        if self.transactions.len() >= MOST_ANSWERS
            && let Some(oldest) = self.transactions.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.answers.insert(transaction.clone(), verdict.answer.clone());
        self.transactions.push_back(transaction);
        verdict
    }

    fn judge_anew(
        &mut self,
        request: &Request<'_>,
        source: SocketAddr,
        profile: &str,
        now: Instant,
    ) -> Verdict {
        let plain = |status| Verdict { answer: Some(request.answer(status, "")), outcome: None };
        match request.method {
            "REGISTER" | "INVITE" | "SUBSCRIBE" | "MESSAGE" => {
                self.authenticate(request, source, profile, now)
            }
            "OPTIONS" | "PUBLISH" | "NOTIFY" => plain("200 OK"),
            "ACK" => Verdict { answer: None, outcome: None },
            "BYE" | "CANCEL" | "INFO" | "UPDATE" => plain("481 Call Does Not Exist"),
            _ => plain("501 Not Implemented"),
        }
    }

    fn authenticate(
        &mut self,
        request: &Request<'_>,
        source: SocketAddr,
        profile: &str,
        now: Instant,
    ) -> Verdict {
        let to = request.user();
        let attempt = attempt(request, source, profile);
        let answered = |answer: String, outcome| Verdict {
            answer: Some(answer),
            outcome: Some((attempt.clone(), outcome)),
        };
        let field =
            request.header("Authorization").or_else(|| request.header("Proxy-Authorization"));
        let Some(credentials) = field.and_then(Credentials::read) else {
            return answered(self.challenge(request, now), Outcome::Challenged);
        };
        let is_seen = matches!(request.method, "REGISTER" | "INVITE");
        // The optional check of sofia that comes before the nonce is looked up.
        if credentials.username != to {
            return answered(request.answer("403 Forbidden", ""), Outcome::BlindSpoof);
        }
        let issued = self.nonces.get(credentials.nonce);
        if issued.is_none_or(|issued| now.saturating_duration_since(*issued) > NONCE_LIFE) {
            return answered(self.challenge(request, now), Outcome::Stale);
        }
        let right = digest(to, &password_of(to), credentials.nonce, request.method);
        if !self.users.contains(to) || credentials.response != right {
            return if is_seen {
                answered(request.answer("403 Forbidden", ""), Outcome::BorrowedNonce)
            } else {
                // The blind spot of the events: another challenge, and nothing else.
                answered(self.challenge(request, now), Outcome::Challenged)
            };
        }
        match request.method {
            "REGISTER" => answered(self.register(request, source), Outcome::Admitted),
            "INVITE" => {
                Verdict { answer: Some(request.answer("404 Not Found", "")), outcome: None }
            }
            _ => Verdict { answer: Some(request.answer("202 Accepted", "")), outcome: None },
        }
    }

    fn register(&mut self, request: &Request<'_>, source: SocketAddr) -> String {
        let expires = request.header("Expires").and_then(|text| text.parse().ok());
        let call_id = request.header("Call-ID").unwrap_or_default().to_owned();
        let until = seconds() + expires.unwrap_or(EXPIRES);
        self.registrations
            .insert((request.user().to_owned(), call_id), Registration { source, until });
        let contact = request.header("Contact").unwrap_or_default();
        let expires = expires.unwrap_or(EXPIRES);
        request.answer("200 OK", &format!("Contact: {contact};expires={expires}\r\n"))
    }

    fn challenge(&mut self, request: &Request<'_>, now: Instant) -> String {
        while self.by_age.front().is_some_and(|(issued, _)| {
            now.saturating_duration_since(*issued) > NONCE_LIFE || self.by_age.len() >= MOST_NONCES
        }) {
            if let Some((_, nonce)) = self.by_age.pop_front() {
                self.nonces.remove(&nonce);
            }
        }
        let nonce = format!("{:032x}", fastrand::u128(..));
        self.nonces.insert(nonce.clone(), now);
        self.by_age.push_back((now, nonce.clone()));
        let (status, field) = match request.method {
            "REGISTER" | "MESSAGE" => ("401 Unauthorized", "WWW-Authenticate"),
            _ => ("407 Proxy Authentication Required", "Proxy-Authenticate"),
        };
        let challenge = format!(
            "{field}: Digest realm=\"pbx.test\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"\r\n"
        );
        request.answer(status, &challenge)
    }
}

fn attempt(request: &Request<'_>, source: SocketAddr, profile: &str) -> Attempt {
    let method = if request.method == "INVITE" { Method::Invite } else { Method::Register };
    let mut attempt = Attempt::new(source.ip(), source.port(), request.user())
        .user_agent(request.header("User-Agent").unwrap_or("unknown"))
        .call_id(request.header("Call-ID").unwrap_or_default())
        .method(method);
    profile.clone_into(&mut attempt.profile);
    attempt
}

/// What a request proves itself with.
#[derive(Clone, Copy, Debug)]
struct Credentials<'a> {
    username: &'a str,
    nonce: &'a str,
    response: &'a str,
}

impl<'a> Credentials<'a> {
    fn read(field: &'a str) -> Option<Self> {
        let value = |name| crate::sip::quoted(field, name);
        Some(Self {
            username: value("username")?,
            nonce: value("nonce")?,
            response: value("response")?,
        })
    }
}

/// Seconds since the epoch.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
