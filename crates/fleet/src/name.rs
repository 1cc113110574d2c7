//! Names of sites and nodes, and the two together: a peer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name of a site or a node, in bytes.
pub const MAX_NAME: usize = 32;

/// The site as which operators write. No node may have it.
pub const OPERATORS: &str = "ops";

/// The name of a site or of a node: 1 to [`MAX_NAME`] of `a`–`z`, `0`–`9` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A name that is none, or a peer that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to {MAX_NAME} of the characters a-z, 0-9 and -")]
pub struct NameError;

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=MAX_NAME).contains(&text.len());
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if fits && text.bytes().all(plain) { Ok(Self(text.into())) } else { Err(NameError) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Who says something: a node of a site, or an operator, whose site is [`OPERATORS`]. Written `SITE.NODE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The site.
    pub site: Name,
    /// The node of the site, or the operator.
    pub node: Name,
}

impl Peer {
    /// A peer of two names.
    ///
    /// # Errors
    /// When one of the two is no [`Name`].
    pub fn new(site: &str, node: &str) -> Result<Self, NameError> {
        Ok(Self { site: site.parse()?, node: node.parse()? })
    }

    /// Whether an operator says it.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.site.as_str() == OPERATORS
    }

    /// One token of a subject, and a name of a consumer: names have no `_`.
    pub(crate) fn token(&self) -> String {
        format!("{}_{}", self.site, self.node)
    }

    pub(crate) fn from_token(token: &str) -> Result<Self, NameError> {
        let (site, node) = token.split_once('_').ok_or(NameError)?;
        Self::new(site, node)
    }
}

impl FromStr for Peer {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (site, node) = text.split_once('.').ok_or(NameError)?;
        Self::new(site, node)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.site, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "berlin-2", "0", "-", &"x".repeat(32)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in ["", "A", "a.b", "a_b", "a b", "é", "*", ">", &"x".repeat(33)] {
            assert_eq!(bad.parse::<Name>(), Err(NameError), "{bad}");
        }
    }

    #[test]
    fn a_peer_is_two_names_in_text_and_in_a_token() {
        let peer: Peer = "berlin.n-1".parse().unwrap();
        assert_eq!(peer.to_string(), "berlin.n-1");
        assert_eq!(Peer::from_token(&peer.token()), Ok(peer));
        for bad in ["berlin", "berlin.", ".n1", "a.b.c", "a_b"] {
            assert_eq!(bad.parse::<Peer>(), Err(NameError), "{bad}");
        }
    }
}
