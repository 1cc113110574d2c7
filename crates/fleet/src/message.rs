//! What nodes and operators say, version 1 of the wire: a subject, and a JSON value of at most
//! [`MAX_VALUE`] bytes. Unknown fields are ignored.

mod body;
mod subject;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::name::Peer;
use crate::refusal::Refusal;

pub use body::{
    Ban, By, Class, Home, Judgement, Known, Lift, MAX_TALLIES, Mode, NodeStatus, Scope, Standing,
    Tallies, Veto,
};
pub use subject::{Key, Kind};

/// Version of the wire.
pub const VERSION: u64 = 1;
/// Longest value, in bytes. The streams refuse longer ones too.
pub const MAX_VALUE: usize = 2_048;
/// Greatest `n`: the greatest whole number that every JSON library keeps.
pub const MAX_N: u64 = (1 << 53) - 1;
/// How long a ban or a veto counts after it was said, unless it is said again. So what a dead node said ends
/// everywhere within a day.
pub const MAX_STANDING: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a known phone counts after it was last said; `max_age` of its stream.
pub const MAX_KNOWN: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// How long what an operator said about a peer is in the stream; its `max_age`.
pub const MAX_JUDGEMENT: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// How long a node's status is in its stream; its `max_age`.
pub const MAX_STATUS: Duration = Duration::from_secs(60 * 60);

/// One thing that a peer says.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who says it.
    pub from: Peer,
    /// Grows with everything that this peer says: of two messages with one [`Key`] the greater `n` counts.
    /// 1 to [`MAX_N`].
    pub n: u64,
    /// When it was sent by the sender's own clock, in milliseconds since 1970. Nothing is decided by it: it shows
    /// a clock that is wrong.
    pub at: u64,
    /// What is said.
    pub body: Body,
}

/// What is said, and what about.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A ban of a network.
    Ban(ipnet::IpNet, Ban),
    /// An operator lifts all bans of a network.
    Lift(ipnet::IpNet, Lift),
    /// A network that this peer never bans.
    Veto(ipnet::IpNet, Veto),
    /// What an operator makes of a peer.
    Peer(Peer, Judgement),
    /// A network from which a phone logged in.
    Known(ipnet::IpNet, Known),
    /// How a node is.
    Node(Box<NodeStatus>),
}

impl Body {
    /// What it is about.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Ban(net, _) => Key::Ban(*net),
            Self::Lift(net, _) => Key::Lift(*net),
            Self::Veto(net, _) => Key::Veto(*net),
            Self::Peer(peer, _) => Key::Peer(peer.clone()),
            Self::Known(net, _) => Key::Known(*net),
            Self::Node(_) => Key::Node,
        }
    }

    /// How long it counts after it was said. `None` if it says that something has ended.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        match self {
            Self::Ban(_, Ban::Stands(ban)) => Some(within(ban.for_ms, MAX_STANDING)),
            Self::Lift(_, lift) => Some(within(Some(lift.hold_ms), MAX_STANDING)),
            Self::Veto(_, Veto::Stands { .. }) => Some(MAX_STANDING),
            Self::Peer(..) => Some(MAX_JUDGEMENT),
            Self::Known(_, Known::Stands { .. }) => Some(MAX_KNOWN),
            Self::Node(_) => Some(MAX_STATUS),
            Self::Ban(_, Ban::Ended)
            | Self::Veto(_, Veto::Ended)
            | Self::Known(_, Known::Ended) => None,
        }
    }
}

fn within(ms: Option<u64>, limit: Duration) -> Duration {
    ms.map_or(limit, |ms| Duration::from_millis(ms).min(limit))
}

impl Message {
    /// How long it still counts when it was stored `age` ago. `None` if it no longer does, or says that something has
    /// ended. Durations travel, not ends: no clock of a node is trusted.
    #[must_use]
    pub fn remaining(&self, age: Duration) -> Option<Duration> {
        self.body.lifetime()?.checked_sub(age).filter(|left| !left.is_zero())
    }

    /// The subject under which it is said.
    #[must_use]
    pub fn subject(&self) -> String {
        subject::write(&self.from, &self.body.key())
    }

    /// The value.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] if it has more than [`MAX_VALUE`] bytes.
    pub fn encode(&self) -> Result<Bytes, Refusal> {
        let value = match &self.body {
            Body::Ban(_, body) => self.write(body),
            Body::Lift(_, body) => self.write(body),
            Body::Veto(_, body) => self.write(body),
            Body::Peer(_, body) => self.write(body),
            Body::Known(_, body) => self.write(body),
            Body::Node(body) => self.write(body),
        }
        .map_err(|_| Refusal::Malformed)?;
        if value.len() > MAX_VALUE { Err(Refusal::TooLong) } else { Ok(value.into()) }
    }

    fn write(&self, body: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
        let key = self.body.key();
        serde_json::to_vec(&Written {
            v: VERSION,
            node: self.from.to_string(),
            net: key.net().map(|net| net.to_string()),
            peer: key.peer().map(Peer::to_string),
            n: self.n,
            at: self.at,
            body,
        })
    }

    /// Reads a message. What the value says about the peer, the network and the kind must agree with the subject.
    ///
    /// # Errors
    /// Why it is refused; nothing of it may be used then.
    pub fn parse(subject: &str, value: &[u8]) -> Result<Self, Refusal> {
        if value.len() > MAX_VALUE {
            return Err(Refusal::TooLong);
        }
        let (from, key) = subject::read(subject).ok_or(Refusal::Malformed)?;
        if key.kind().is_operators() && !from.is_operator() {
            return Err(Refusal::NotOperator);
        }
        // An array would be read as the fields in their order.
        if !value.starts_with(b"{") {
            return Err(Refusal::Malformed);
        }
        let head: Head = serde_json::from_slice(value).map_err(|_| version_of(value))?;
        if head.v != VERSION {
            return Err(Refusal::Version);
        }
        let agrees = *head.node == *from.to_string()
            && head.net.as_deref() == key.net().map(|net| net.to_string()).as_deref()
            && head.peer.as_deref() == key.peer().map(Peer::to_string).as_deref();
        if !agrees || !(1..=MAX_N).contains(&head.n) {
            return Err(Refusal::Malformed);
        }
        let body = match key {
            Key::Ban(net) => Body::Ban(net, body::ban(value)?),
            Key::Lift(net) => Body::Lift(net, read(value)?),
            Key::Veto(net) => Body::Veto(net, read(value)?),
            Key::Peer(peer) => Body::Peer(peer, read(value)?),
            Key::Known(net) => Body::Known(net, read(value)?),
            Key::Node => Body::Node(read(value)?),
        };
        Ok(Self { from, n: head.n, at: head.at, body })
    }
}

/// What every value has.
#[derive(Serialize)]
struct Written<'a, B> {
    v: u64,
    node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    net: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    n: u64,
    at: u64,
    #[serde(flatten)]
    body: &'a B,
}

#[derive(Deserialize)]
struct Head {
    v: u64,
    node: Box<str>,
    net: Option<Box<str>>,
    peer: Option<Box<str>>,
    n: u64,
    at: u64,
}

fn version_of(value: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    match serde_json::from_slice(value) {
        Ok(Version { v: VERSION }) | Err(_) => Refusal::Malformed,
        Ok(Version { .. }) => Refusal::Version,
    }
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(value).map_err(|_| Refusal::Malformed)
}
