//! The fields of each kind of message.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::refusal::Refusal;
use crate::text::Text;

/// Most entries of each table in a node's status.
pub const MAX_TALLIES: usize = 32;

/// A ban, or its end. The end is a value that takes the ban's place; that a ban has run out is never said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Ban {
    /// It stands.
    Stands(Standing),
    /// It was lifted.
    Ended,
}

/// A ban that stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Milliseconds from when it is said until it ends; `None` if only a person ends it.
    pub for_ms: Option<u64>,
    /// When it was decided, in milliseconds since 1970 by the node's own clock, as `at` is; 0 if that is when it is said.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub decided: u64,
    /// Who decided it.
    pub by: By,
    /// What it blocks.
    pub scope: Scope,
    /// The rule, if a rule decided it; empty otherwise.
    #[serde(default)]
    pub rule: Text<32>,
    /// How well the evidence proves the source; empty if there is none.
    #[serde(default)]
    pub grade: Text<32>,
    /// Failures that led to it.
    #[serde(default)]
    pub failures: u64,
    /// Their score.
    #[serde(default)]
    pub score: f64,
    /// How often the source was banned there, this time included.
    #[serde(default)]
    pub count: u64,
    /// The reason for people. Holds no user names.
    #[serde(default)]
    pub why: Text<256>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Who decided a ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A rule.
    Rule,
    /// A person.
    Manual,
}

/// What a ban blocks. Version 1 has only whole hosts; another scope is refused ([`Refusal::Scope`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All packets of the host.
    Host,
}

/// Reads a ban; a scope that this version does not know has a reason of its own.
pub(super) fn ban(value: &[u8]) -> Result<Ban, Refusal> {
    #[derive(Deserialize)]
    struct Scoped {
        scope: Text<32>,
    }
    super::read(value).map_err(|malformed| match serde_json::from_slice::<Scoped>(value) {
        Ok(Scoped { scope }) if scope.as_str() != "host" => Refusal::Scope,
        _ => malformed,
    })
}

/// An operator lifts all bans of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// For how many milliseconds from its receipt no ban of others is accepted for the network.
    pub hold_ms: u64,
    /// The reason for people.
    #[serde(default)]
    pub reason: Text<256>,
    /// The operator.
    #[serde(default)]
    pub who: Text<64>,
}

/// A network that the peer never bans, or the end of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Veto {
    /// It stands.
    Stands {
        /// Why: the peer's own class of the network, such as `allow` or `trunk`.
        class: Text<32>,
    },
    /// The peer has no objection any more.
    Ended,
}

/// What an operator makes of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Whether its bans count.
    pub mode: Mode,
    /// How much its word counts towards a quorum.
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// Whether the bans of a peer count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They count.
    Accept,
    /// They are shown and not applied.
    Shadow,
    /// They are left out.
    Ignore,
}

/// A phone that logged in from a network, or the end of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Known {
    /// It is known there.
    Stands {
        /// How well it is known.
        class: Class,
        /// First success, in milliseconds since 1970 by the peer's clock.
        since: u64,
        /// Last success, likewise.
        last: u64,
        /// Whose phone it is, as far as one can tell who has the fleet's key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        home: Option<Home>,
    },
    /// The peer no longer knows it.
    Ended,
}

/// How well a phone is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// It logged in.
    Known,
    /// It logged in often, over days.
    Trusted,
    /// Several users share the address.
    Shared,
}

/// The first 8 bytes of HMAC-SHA256(fleet key, user NUL agent); 16 hex digits on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Home(pub [u8; 8]);

impl Serialize for Home {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", u64::from_be_bytes(self.0)))
    }
}

impl<'de> Deserialize<'de> for Home {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let number = (text.len() == 16 && text.bytes().all(plain))
            .then(|| u64::from_str_radix(&text, 16).ok())
            .flatten();
        number
            .map(|number| Self(number.to_be_bytes()))
            .ok_or_else(|| serde::de::Error::custom("not 16 hex digits"))
    }
}

/// How a node is. All fields but `instance` may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct NodeStatus {
    /// Drawn anew by each process; shows two nodes of one name.
    pub instance: Text<32>,
    /// Version of the program.
    #[serde(default)]
    pub version: Text<32>,
    /// When the process started, in milliseconds since 1970 by its clock.
    #[serde(default)]
    pub started: u64,
    /// Mode: `ban` or `observe`.
    #[serde(default)]
    pub mode: Text<32>,
    /// How its connection to FreeSWITCH is.
    #[serde(default)]
    pub connection: Text<64>,
    /// Revision of the stream that it has applied.
    #[serde(default)]
    pub applied: u64,
    /// By how many milliseconds the server's clock is ahead of its own; `None` if not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// Hash of its policy.
    #[serde(default)]
    pub policy: Text<64>,
    /// Counts by name.
    #[serde(default)]
    pub counts: Tallies,
    /// Refusals by reason.
    #[serde(default)]
    pub refusals: Tallies,
}

/// Numbers by name, at most [`MAX_TALLIES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(transparent)]
pub struct Tallies(BTreeMap<Text<32>, u64>);

impl Tallies {
    /// Name and number, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

impl<'a> FromIterator<(&'a str, u64)> for Tallies {
    /// The first [`MAX_TALLIES`].
    fn from_iter<I: IntoIterator<Item = (&'a str, u64)>>(tallies: I) -> Self {
        let named = tallies.into_iter().map(|(name, count)| (Text::cut(name), count));
        Self(named.take(MAX_TALLIES).collect())
    }
}

impl<'de> Deserialize<'de> for Tallies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The whole value has at most 2 KiB.
        let tallies = BTreeMap::deserialize(deserializer)?;
        if tallies.len() > MAX_TALLIES {
            return Err(serde::de::Error::custom("too many entries"));
        }
        Ok(Self(tallies))
    }
}
