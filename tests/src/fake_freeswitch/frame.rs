//! Frames of the Event Socket, cut and rewritten without the code under test.

use std::net::IpAddr;

use super::encoding;

/// One frame as it goes over the wire: envelope headers, blank line, body.
///
/// The harness has its own small splitter on purpose: a fault in the decoder under test must not
/// hide itself in the peer that tests it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
    /// Where the body begins in `bytes`; `bytes.len()` when there is none.
    body: usize,
}

impl Frame {
    /// An event in the plain format; `headers` is its body up to and including the blank line.
    #[must_use]
    pub fn event_plain(headers: &str) -> Self {
        Self::with_body(
            &format!("Content-Length: {}\nContent-Type: text/event-plain\n\n", headers.len()),
            headers.as_bytes(),
        )
    }

    /// The answer to a command: `Reply-Text: {text}`.
    #[must_use]
    pub fn reply(text: &str) -> Self {
        Self::with_body(&format!("Content-Type: command/reply\nReply-Text: {text}\n\n"), b"")
    }

    /// The answer to an `api` command.
    #[must_use]
    pub fn api_response(body: &str) -> Self {
        Self::with_body(
            &format!("Content-Type: api/response\nContent-Length: {}\n\n", body.len()),
            body.as_bytes(),
        )
    }

    /// A frame of the given envelope (with its blank line) and body.
    #[must_use]
    pub fn with_body(envelope: &str, body: &[u8]) -> Self {
        Self { bytes: [envelope.as_bytes(), body].concat(), body: envelope.len() }
    }

    /// Cuts a stream into its whole frames, and what is left behind the last of them.
    #[must_use]
    pub fn split_stream(stream: &[u8]) -> (Vec<Self>, &[u8]) {
        let mut frames = Vec::new();
        let mut rest = stream;
        while let Some((frame, tail)) = Self::take(rest) {
            frames.push(frame);
            rest = tail;
        }
        (frames, rest)
    }

    /// All bytes of the frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `Content-Type` of the envelope.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.envelope_header("Content-Type").unwrap_or_default()
    }

    /// Whether this is an event, in any format.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.content_type().starts_with("text/event-")
    }

    /// Whether FreeSWITCH sends it only as the answer to a command.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self.content_type(), "command/reply" | "api/response")
    }

    /// The first header `name` of a plain event, still percent-encoded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.event_lines().find_map(|line| value_of(line, name))
    }

    /// The first header `name` of a plain event, percent-decoded.
    #[must_use]
    pub fn decoded(&self, name: &str) -> Option<String> {
        self.header(name).map(encoding::decode)
    }

    /// The same frame with the value of every header `name` of its plain event replaced (and
    /// percent-encoded), and `Content-Length` made true again.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let encoded = encoding::encode(value);
        let mut body = Vec::with_capacity(self.bytes.len());
        let mut in_headers = true;
        for line in self.body().split_inclusive(|&b| b == b'\n') {
            in_headers &= line != b"\n";
            if in_headers && value_of(line, name).is_some() {
                body.extend_from_slice(name.as_bytes());
                body.extend_from_slice(b": ");
                body.extend_from_slice(encoded.as_bytes());
                body.push(b'\n');
            } else {
                body.extend_from_slice(line);
            }
        }
        let envelope: String = self
            .envelope()
            .split_inclusive('\n')
            .map(|line| match value_of(line.as_bytes(), "Content-Length") {
                Some(_) => format!("Content-Length: {}\n", body.len()),
                None => line.to_owned(),
            })
            .collect();
        Self::with_body(&envelope, &body)
    }

    /// The same event as if its packet had come from `source`.
    ///
    /// Most recordings were made over loopback, which is never banned.
    #[must_use]
    pub fn from_source(&self, source: IpAddr) -> Self {
        self.with_header("network-ip", &source.to_string())
    }

    fn take(stream: &[u8]) -> Option<(Self, &[u8])> {
        let body = stream.windows(2).position(|two| two == b"\n\n")? + 2;
        let head = Self { bytes: stream.get(..body)?.to_vec(), body };
        let length = head.envelope_header("Content-Length").map_or(Some(0), |v| v.parse().ok())?;
        let end = body.checked_add(length)?;
        Some((Self { bytes: stream.get(..end)?.to_vec(), body }, stream.get(end..)?))
    }

    fn envelope(&self) -> &str {
        // FreeSWITCH's own envelopes are ASCII.
        self.bytes.get(..self.body).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    fn envelope_header(&self, name: &str) -> Option<&str> {
        let line = self.envelope().lines().find_map(|line| value_of(line.as_bytes(), name))?;
        std::str::from_utf8(line).ok()
    }

    fn body(&self) -> &[u8] {
        self.bytes.get(self.body..).unwrap_or_default()
    }

    fn event_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.body().split(|&b| b == b'\n').take_while(|line| !line.is_empty())
    }
}

/// The value in `line` when its header is `name`; without the line's end.
fn value_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b": ")?;
    Some(value.strip_suffix(b"\n").unwrap_or(value))
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
