//! Requests as text, and header fields of a message.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

/// The domain and digest realm of all.
pub(crate) const DOMAIN: &str = "pbx.test";

/// One REGISTER or other request in the making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) method: &'a str,
    /// Where it says it comes from.
    pub(crate) from: SocketAddr,
    pub(crate) user: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    /// The nonce and the password, once there is a challenge to answer.
    pub(crate) answer: Option<(&'a str, &'a str)>,
    pub(crate) transport: &'a str,
}

impl Draft<'_> {
    /// The request as it is sent.
    pub(crate) fn text(&self) -> String {
        let Self { method, from, user, call_id, cseq, answer, transport } = self;
        let credentials = answer.map_or(String::new(), |(nonce, password)| {
            let response = digest(user, password, nonce, method);
            format!(
                "Authorization: Digest username=\"{user}\", realm=\"{DOMAIN}\", nonce=\"{nonce}\", \
                 uri=\"sip:{DOMAIN}\", response=\"{response}\"\r\n"
            )
        });
        format!(
            "{method} sip:{DOMAIN} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {from};branch=z9hG4bK-{call_id}-{cseq};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag={call_id}\r\n\
             To: <sip:{user}@{DOMAIN}>\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\n\
             Contact: <sip:{user}@{from}>\r\n\
             Expires: 300\r\n\
             User-Agent: pytest/1.0\r\n\
             {credentials}Content-Length: 0\r\n\r\n"
        )
    }
}

/// The password of each user that the fake knows.
#[must_use]
pub fn password_of(user: &str) -> String {
    format!("secret of {user}")
}

/// What proves that the sender knows the password. Both ends are here, so it needs not be MD5.
#[must_use]
pub fn digest(user: &str, password: &str, nonce: &str, method: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (user, DOMAIN, password, nonce, method).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A header field of a message by its name, whatever its case.
#[must_use]
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split("\r\n").skip(1).take_while(|line| !line.is_empty()).find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A parameter in quotes: `nonce="…"`.
pub(crate) fn quoted<'a>(field: &'a str, name: &str) -> Option<&'a str> {
    field.split([',', ' ']).find_map(|part| {
        let (parameter, value) = part.trim().split_once('=')?;
        parameter.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

/// What an answer is about, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    /// Of a challenge.
    pub(crate) nonce: Option<&'a str>,
}

impl<'a> Answer<'a> {
    /// Reads an answer; `None` for anything else.
    pub(crate) fn read(message: &'a str) -> Option<Self> {
        let status = message.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()?;
        let cseq = header(message, "CSeq")?.split(' ').next()?.parse().ok()?;
        let challenge =
            header(message, "WWW-Authenticate").or_else(|| header(message, "Proxy-Authenticate"));
        Some(Self {
            status,
            call_id: header(message, "Call-ID")?,
            cseq,
            nonce: challenge.and_then(|field| quoted(field, "nonce")),
        })
    }
}
