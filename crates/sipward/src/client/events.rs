//! `GET /events`: server-sent events (WHATWG HTML, section 9.2).

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::ClientError;
use sipward_model::wire::Line;

/// Longest event in bytes: a ban with its evidence has a few kilobytes.
const MAX_EVENT: usize = 1024 * 1024;

/// Longest silence: the daemon sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(60);

/// What happens, as it happens.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    parser: Parser,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, parser: Parser::default() }
    }

    /// The next event; `None` when the daemon has ended the stream. Comments that keep the connection alive are
    /// skipped. Cancel-safe: a frame is taken whole or not at all.
    ///
    /// # Errors
    /// [`ClientError::Broken`], [`ClientError::TooSlow`] after a minute without a sign of life, and [`ClientError::Unreadable`] for what is no event.
    pub async fn next(&mut self) -> Result<Option<Line>, ClientError> {
        loop {
            if let Some(data) = self.parser.next() {
                let line = serde_json::from_str(&data);
                let unreadable = |error: serde_json::Error| ClientError::Unreadable {
                    what: format!("an event: {error}"),
                };
                return line.map(Some).map_err(unreadable);
            }
            if self.parser.held() > MAX_EVENT {
                let what = format!("an event of more than {MAX_EVENT} bytes");
                return Err(ClientError::Unreadable { what });
            }
            let frame = timeout(SILENCE, self.body.frame()).await;
            match frame.map_err(|_| ClientError::TooSlow { after: SILENCE })? {
                None => return Ok(None),
                Some(Err(error)) => return Err(ClientError::Broken(error)),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.parser.push(bytes);
                    }
                }
            }
        }
    }
}

/// Cuts the stream into events and gives the `data` of each.
#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
    /// `data` lines of the event under way.
    data: String,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their event.
    fn held(&self) -> usize {
        self.bytes.len() + self.data.len()
    }

    fn next(&mut self) -> Option<String> {
        let mut used = 0;
        let mut found = None;
        while let Some(rest) = self.bytes.get(used..)
            && let Some(length) = rest.iter().position(|byte| *byte == b'\n')
        {
            let line = rest.get(..length).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            used += length + 1;
            if line.is_empty() {
                if !self.data.is_empty() {
                    found = Some(std::mem::take(&mut self.data));
                    break;
                }
            } else if let Some(data) = line.strip_prefix(b"data:") {
                let data = data.strip_prefix(b" ").unwrap_or(data);
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(&String::from_utf8_lossy(data));
            }
        }
        self.bytes.drain(..used);
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for piece in pieces {
            parser.push(piece);
            while let Some(event) = parser.next() {
                found.push(event);
            }
        }
        found
    }

    #[test]
    fn events_are_cut_at_blank_lines_and_comments_passed_over() {
        let stream = b": hello\n\nevent: ban\nid: 7\ndata: {\"a\":1}\n\n:\n\r\ndata:{\"b\":2}\r\n\r\ndata: lost";
        assert_eq!(events(&[stream]), ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[test]
    fn several_data_lines_are_one_event() {
        assert_eq!(events(&[b"data: a\ndata: b\n\n"]), ["a\nb"]);
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_changes_nothing(
            stream in "(data: ?[a-z]{0,5}|:[a-z]{0,3}|id: [0-9]|\r?\n|[\\x00-\\xff]{0,3}){0,30}",
            cuts in prop::collection::vec(0..200_usize, 0..6),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(&pieces), events(&[bytes]));
        }
    }
}
