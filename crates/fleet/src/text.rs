//! Text of limited length that others chose.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// At most `MAX` bytes of UTF-8 without control characters. Others chose it: escape it where it is shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(Box<str>);

impl<const MAX: usize> Text<MAX> {
    /// `text`, cut after the last character that fits, with spaces in place of control characters.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        let mut end = text.len().min(MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let fits = text.get(..end).unwrap_or_default();
        Self(fits.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        if text.len() > MAX {
            return Err(serde::de::Error::custom("text is too long"));
        }
        if text.chars().any(char::is_control) {
            return Err(serde::de::Error::custom("control character in text"));
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_character_and_leaves_no_control_characters() {
        assert_eq!(Text::<4>::cut("abcdef").as_str(), "abcd");
        assert_eq!(Text::<4>::cut("abcé").as_str(), "abc");
        assert_eq!(Text::<8>::cut("a\nb\u{85}").as_str(), "a b ");
    }

    #[test]
    fn reads_only_what_fits() {
        assert_eq!(serde_json::from_str::<Text<3>>(r#""abc""#).unwrap(), Text::cut("abc"));
        for bad in [r#""abcd""#, r#""\u001b""#, "1", "null"] {
            assert!(serde_json::from_str::<Text<3>>(bad).is_err(), "{bad}");
        }
    }
}
