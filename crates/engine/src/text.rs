//! Bounded text from the wire.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that a stranger chose, cut to at most [`Text::MAX_BYTES`] bytes and kept inline.
///
/// Senders pick user names and user agents of any size, up to megabytes. A `Text` is what the engine
/// keeps of one: enough for a log line, no allocation, and at most one cache line. A cut falls on a
/// character boundary and [`Text::is_cut`] tells of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text {
    len: u8,
    cut: bool,
    bytes: [u8; Self::MAX_BYTES],
}

impl Text {
    /// Bytes kept at most: with length and mark a `Text` fills a cache line of 64 bytes.
    pub const MAX_BYTES: usize = 62;

    /// What fits of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Excerpt::new(text).to_text()
    }

    /// The kept text, not copied.
    pub(crate) fn excerpt(&self) -> Excerpt<'_> {
        Excerpt { kept: self.as_str(), cut: self.cut }
    }

    /// The kept text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let kept = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        // Always valid: `new` cuts at a character boundary.
        str::from_utf8(kept).unwrap_or_default()
    }

    /// True when the original was longer.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }
}

/// The readable part of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FailureText {
    /// The user tried.
    pub user: Text,
    /// The profile.
    pub profile: Text,
    /// The user agent; empty when there was none.
    pub user_agent: Text,
}

/// What a [`Text`] keeps, where it came from: most are looked at and never kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excerpt<'a> {
    kept: &'a str,
    cut: bool,
}

/// The beginning of a text: at most `most` bytes, and no character in two.
#[must_use]
pub fn prefix(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

impl<'a> Excerpt<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        if text.len() <= Text::MAX_BYTES {
            return Self { kept: text, cut: false };
        }
        Self { kept: prefix(text, Text::MAX_BYTES), cut: true }
    }

    pub(crate) fn as_str(self) -> &'a str {
        self.kept
    }

    pub(crate) fn to_text(self) -> Text {
        let kept = self.kept.as_bytes();
        let mut bytes = [0; Text::MAX_BYTES];
        if let Some(to) = bytes.get_mut(..kept.len()) {
            to.copy_from_slice(kept);
        }
        let len = u8::try_from(kept.len()).unwrap_or_default();
        Text { len, cut: self.cut, bytes }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self { len: 0, cut: false, bytes: [0; Self::MAX_BYTES] }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::new(&text))
    }
}

#[cfg(test)]
mod tests;
