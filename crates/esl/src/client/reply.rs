//! Answers to commands.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use crate::{
    event::Event,
    frame::{ContentType, Frame},
    text::{Text, excerpt},
};

/// The answer to a command: `Reply-Text`, or the body of an `api/response` or a `BACKGROUND_JOB`.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    text: Bytes,
    truncated: bool,
}

impl Reply {
    /// The answer as it came, with the line end that some API commands add.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    /// The answer as a string; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }

    /// Does it begin with `-ERR` (or `-USAGE`)? API commands report errors in their text.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.text.starts_with(b"-ERR") || self.text.starts_with(b"-USAGE")
    }

    /// Did it lose its end to [`Limits::max_reply`](crate::Limits::max_reply)?
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.truncated
    }

    pub(crate) fn from_frame(frame: &Frame) -> Self {
        let text = match (frame.content_type(), frame.reply_text()) {
            (ContentType::CommandReply, Some(text)) => Bytes::from(text.into_owned()),
            _ => Bytes::copy_from_slice(frame.body()),
        };
        Self { text, truncated: frame.cut().is_some() }
    }

    pub(crate) fn from_job(event: &Event) -> Self {
        let text = Bytes::copy_from_slice(event.body());
        Self { text, truncated: event.truncated().is_some_and(|cut| cut.body_dropped > 0) }
    }

    pub(crate) fn is_permission_denied(&self) -> bool {
        self.is_error() && memchr::memmem::find(&self.text, b"permission denied").is_some()
    }
}

/// Safe for a log line: escaped, and at most 200 bytes of it.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 200;
        f.write_str(&excerpt(self.text.trim_ascii_end(), SHOWN))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?})", Text::decode(&self.text))
    }
}
