//! Headers and a body behind a command.

use bytes::Bytes;

use super::{Command, CommandKind, InvalidCommand, InvalidText, checked, checked_word};

/// What `sendevent` and `sendmsg` carry: headers in order, then a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    lines: String,
    body: Bytes,
}

impl Message {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header. FreeSWITCH takes the value as it is, without percent-decoding.
    ///
    /// # Errors
    /// [`InvalidCommand`] when the name is no single word, holds a colon, or is `Content-Length` (which
    /// the body decides); or when the value holds a line end.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidCommand> {
        const PART: &str = "header name";
        checked_word(PART, name)?;
        checked("header value", value)?;
        if name.contains(':') || name.eq_ignore_ascii_case("Content-Length") {
            return Err(InvalidCommand { part: PART, problem: InvalidText::Colon });
        }
        self.lines.push('\n');
        self.lines.push_str(name);
        self.lines.push_str(": ");
        self.lines.push_str(value);
        Ok(self)
    }

    /// Sets the body: any bytes, counted by `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn command(&self, kind: CommandKind, first_line: &str) -> Command {
        let Self { lines, body } = self;
        let mut bytes = Vec::with_capacity(first_line.len() + lines.len() + body.len() + 32);
        bytes.extend_from_slice(first_line.as_bytes());
        bytes.extend_from_slice(lines.as_bytes());
        if !body.is_empty() {
            bytes.extend_from_slice(format!("\nContent-Length: {}", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\n\n");
        bytes.extend_from_slice(body);
        Command { bytes: bytes.into(), kind }
    }
}
