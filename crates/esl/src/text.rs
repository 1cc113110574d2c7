//! Values as their sender wrote them.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use crate::percent;

/// A header value after percent-decoding. It may hold any byte: invalid UTF-8, quotes, CR, LF, NUL,
/// terminal escapes. Borrowed from the event where nothing had to be decoded.
///
/// `Display` is safe for a log line or a terminal: control characters are escaped and bytes that are
/// no UTF-8 become U+FFFD. For comparing and storing take [`as_bytes`](Self::as_bytes).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'e>(Cow<'e, [u8]>);

impl<'e> Text<'e> {
    /// Decodes a raw (percent-encoded) header value.
    #[must_use]
    pub fn decode(raw: &'e [u8]) -> Self {
        Self(percent::decode(raw))
    }

    /// The exact bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, detached from this value; borrowed from the event where possible.
    #[must_use]
    pub fn into_bytes(self) -> Cow<'e, [u8]> {
        self.0
    }

    /// As a string, bytes that are no UTF-8 replaced by U+FFFD. Control characters stay.
    #[must_use]
    pub fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// As a string that outlives the event only if `self` had to be decoded; see [`lossy`](Self::lossy).
    #[must_use]
    pub fn into_lossy(self) -> Cow<'e, str> {
        match self.0 {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Cow::Owned(text),
                Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            },
        }
    }

    /// As a string, if it is UTF-8.
    #[must_use]
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// A copy that borrows from nothing.
    #[must_use]
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(&self.0, f)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write_escaped(&self.0, f)?;
        f.write_char('"')
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl<'e> From<&'e str> for Text<'e> {
    /// Takes the text as it is, without decoding.
    fn from(text: &'e str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

/// At most `max` bytes of hostile input as one harmless line, for messages.
pub(crate) fn excerpt(bytes: &[u8], max: usize) -> String {
    let (kept, more) =
        bytes.split_at_checked(max).map_or((bytes, false), |(kept, rest)| (kept, !rest.is_empty()));
    let mut text = Text(Cow::Borrowed(kept)).to_string();
    if more {
        text.push('…');
    }
    text
}

fn write_escaped(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_harmless(character) {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_unicode())?;
            }
        }
        if !chunk.invalid().is_empty() {
            f.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

/// Neither a control character nor one that reorders or hides its neighbours on a terminal.
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
