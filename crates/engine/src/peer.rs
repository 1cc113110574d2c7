//! The nodes of a fleet, and what each says of a network.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::prefix;
use crate::{Grade, RuleName};

/// Name of a node of the fleet: its site and its own name, each 1 to [`PeerName::MAX_BYTES`] of `a-z`, `0-9` and
/// `-`. Written `SITE.NODE`.
///
/// Copied and compared without an allocation. The engine itself counts peers by small numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName {
    site: Label,
    node: Label,
}

/// A part of a name, with zeros behind it: so it sorts as its text does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Label([u8; PeerName::MAX_BYTES]);

/// What is no name of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node is named SITE.NODE, each 1 to 32 characters of a-z, 0-9 and \"-\"")]
pub struct PeerNameError;

impl PeerName {
    /// Longest name of a site, and of a node in it.
    pub const MAX_BYTES: usize = 32;

    /// The node `node` of `site`.
    ///
    /// # Errors
    /// A part is empty, too long, or has another character.
    pub fn new(site: &str, node: &str) -> Result<Self, PeerNameError> {
        Ok(Self { site: Label::new(site)?, node: Label::new(node)? })
    }

    /// Its site.
    #[must_use]
    pub fn site(&self) -> &str {
        self.site.as_str()
    }

    /// Its name within the site.
    #[must_use]
    pub fn node(&self) -> &str {
        self.node.as_str()
    }

    /// Both are at the same site.
    pub(crate) fn is_neighbour(&self, other: &Self) -> bool {
        self.site == other.site
    }
}

impl Label {
    fn new(text: &str) -> Result<Self, PeerNameError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let mut bytes = [0; PeerName::MAX_BYTES];
        let place = bytes.get_mut(..text.len()).ok_or(PeerNameError)?;
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(PeerNameError);
        }
        place.copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }

    fn as_str(&self) -> &str {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        // Always ASCII: `new` takes nothing else.
        self.0.get(..len).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.site(), self.node())
    }
}

impl fmt::Debug for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PeerName {
    type Err = PeerNameError;

    fn from_str(text: &str) -> Result<Self, PeerNameError> {
        let (site, node) = text.split_once('.').ok_or(PeerNameError)?;
        Self::new(site, node)
    }
}

impl Serialize for PeerName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a peer banned a network, as it says. Nothing in here decides anything but `count`, which makes this node's own
/// bans of the same source longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteFacts {
    /// An operator of the peer banned it by hand.
    pub by_hand: bool,
    /// Its rule; `None` for a ban by hand, and for a rule that this version does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleName>,
    /// Weakest grade among what it counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<Grade>,
    /// What the rule counted in its window.
    pub failures: u32,
    /// Sum of their weights.
    pub score: f64,
    /// Bans of the source at the peer, this one included.
    pub count: u32,
    /// Its words, without user names; cut to [`RemoteFacts::MAX_WHY_BYTES`].
    pub why: Box<str>,
}

impl RemoteFacts {
    /// Bytes kept of a peer's words.
    pub const MAX_WHY_BYTES: usize = 256;

    /// Facts of a ban by hand, with the words of its operator.
    #[must_use]
    pub fn by_hand(why: &str) -> Self {
        Self {
            by_hand: true,
            rule: None,
            grade: None,
            failures: 0,
            score: 0.0,
            count: 0,
            why: cut(why),
        }
    }

    /// Facts of a ban by a rule, whose words are cut.
    #[must_use]
    pub fn by_rule(
        (rule, grade): (Option<RuleName>, Option<Grade>),
        (failures, score): (u32, f64),
        count: u32,
        why: &str,
    ) -> Self {
        Self { by_hand: false, rule, grade, failures, score, count, why: cut(why) }
    }
}

fn cut(why: &str) -> Box<str> {
    prefix(why, RemoteFacts::MAX_WHY_BYTES).into()
}

/// A ban that a peer decided: the reason of a ban here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteBan {
    /// The peer. Of several that say the same, the one whose ban lasts longest; of those the first by name.
    pub peer: PeerName,
    /// The number of its message.
    pub n: u64,
    /// Why.
    #[serde(flatten)]
    pub facts: RemoteFacts,
}

/// A user with a user agent, as the nodes of a fleet name them to each other: the first eight bytes of
/// `HMAC-SHA256(fleet key, user NUL agent)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home(pub [u8; 8]);

/// Computes the [`Home`] of a user and a user agent. The engine knows no key and no HMAC.
#[derive(Clone)]
pub struct HomeHash(Arc<Hash>);

type Hash = dyn Fn(&str, &str) -> Home + Send + Sync;

impl HomeHash {
    /// The function: user, user agent.
    pub fn new(hash: impl Fn(&str, &str) -> Home + Send + Sync + 'static) -> Self {
        Self(Arc::new(hash))
    }

    /// The name of a phone.
    #[must_use]
    pub fn of(&self, user: &str, user_agent: &str) -> Home {
        (self.0)(user, user_agent)
    }
}

impl fmt::Debug for HomeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HomeHash")
    }
}

#[cfg(test)]
mod tests;
