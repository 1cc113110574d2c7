//! Bytes in, frames out.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};

use super::{
    Frame,
    compact::Compactor,
    envelope::{self, BadHead, Envelope},
};
use crate::{ContentType, Limits};

/// Splits the byte stream of an Event Socket into frames, without copying.
///
/// An incomplete frame is `Ok(None)`. After an error the connection is of no more use: where the next
/// frame starts cannot be known. Memory stays within [`Limits`] whatever the peer sends, and nothing is
/// allocated by an announced length. Every byte is looked at a bounded number of times, in however small
/// pieces it comes.
///
/// Two decoders that are equal do the same with what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameDecoder {
    limits: Limits,
    state: State,
    /// Position in the stream of the first byte of the buffer handed to [`decode`](Self::decode).
    offset: u64,
}

/// Why the stream cannot be split any further. Offsets count bytes from the start of the stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A head did not end within [`Limits::max_head`].
    #[error("the frame at byte {offset} has a head of more than {limit} bytes")]
    HeadTooLong {
        /// Where the frame starts.
        offset: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// A head without `Content-Type`: this is no Event Socket, or its stream is damaged.
    #[error("the frame at byte {offset} has no Content-Type")]
    NoContentType {
        /// Where the frame starts.
        offset: u64,
    },
    /// A `Content-Length` that is no decimal number, or two that differ.
    #[error(
        "the frame at byte {offset} has a Content-Length that is no number, or two that differ"
    )]
    ContentLength {
        /// Where the frame starts.
        offset: u64,
    },
    /// The stream ended inside a frame; the part is discarded. FreeSWITCH leaves one when it drops a
    /// listener that reads too slowly, and when it is killed.
    #[error("the stream ended inside the frame at byte {offset}, after {received} bytes of it")]
    PartialFrame {
        /// Where the frame starts.
        offset: u64,
        /// How much of it came, in bytes.
        received: u64,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Length of a `userauth` reply that FreeSWITCH cut, terminator and all: 28 bytes of
/// `Content-Type: command/reply` and what its `reply[512]` holds after `~` and before NUL
/// (`mod_event_socket.c`, `parse_command`).
const CUT_USERAUTH_REPLY: usize = 28 + 510;

/// Bytes at the end of an incomplete head that are looked at again: a CRLF there, or an LF with the CR of
/// the blank line, may be the beginning of the head's end.
const LINE_END: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// In a head, of which the first `scanned` bytes hold no blank line.
    Head { scanned: usize },
    /// The head is known, the body not complete.
    Body(Envelope),
    /// The body of an answer is handed on piece by piece; so much of it is still to come.
    Streamed { start: u64, remaining: u64 },
    /// A body over the limit streams in; `start` is where its frame starts.
    Oversized { start: u64, compactor: Box<Compactor> },
}

impl FrameDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head { scanned: 0 }, offset: 0 }
    }

    /// Bytes of the stream consumed so far.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next frame from the start of `src`; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`FrameError`], after which the stream cannot be split any further.
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        loop {
            match &mut self.state {
                State::Head { scanned } => {
                    let scanned = *scanned;
                    if !self.read_head(src, scanned)? {
                        return Ok(None);
                    }
                }
                State::Body(envelope) => {
                    let envelope = *envelope;
                    match self.body(&envelope, src.len()) {
                        Body::Incomplete => return Ok(None),
                        Body::Complete { frame_len } => {
                            self.state = State::Head { scanned: 0 };
                            let bytes = self.take(src, frame_len);
                            let body = envelope.head_len;
                            return Ok(Some(Frame::new(envelope.content_type, bytes, body, None)));
                        }
                        Body::Oversized => {
                            let start = self.offset;
                            let head = self.take(src, envelope.head_len);
                            let compactor = Compactor::new(&head, &envelope, self.limits);
                            self.state = State::Oversized { start, compactor: Box::new(compactor) };
                        }
                    }
                }
                // Its bytes are taken by `take_streamed`.
                State::Streamed { remaining, .. } if *remaining > 0 => return Ok(None),
                State::Streamed { .. } => self.state = State::Head { scanned: 0 },
                State::Oversized { compactor, .. } => {
                    let consumed = compactor.push(src);
                    src.advance(consumed);
                    self.offset += consumed as u64;
                    let Some(frame) = compactor.finish() else {
                        return Ok(None);
                    };
                    self.state = State::Head { scanned: 0 };
                    return Ok(Some(frame));
                }
            }
        }
    }

    /// Takes the next frame when the stream has ended and `src` holds the rest of it; `None` when nothing is left.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`FrameError::PartialFrame`] when the stream ended inside a frame.
    pub fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if let Some(frame) = self.decode(src)? {
            return Ok(Some(frame));
        }
        let start = match &self.state {
            State::Oversized { start, .. } | State::Streamed { start, .. } => *start,
            State::Head { .. } | State::Body(_) if src.is_empty() => return Ok(None),
            State::Head { .. } | State::Body(_) => self.offset,
        };
        let received = (self.offset - start) + src.len() as u64;
        self.state = State::Head { scanned: 0 };
        self.offset += src.len() as u64;
        src.clear();
        Err(FrameError::PartialFrame { offset: start, received })
    }

    fn head(&self, src: &[u8], scanned: usize) -> Result<Head, FrameError> {
        if let Some(envelope) = envelope::usual_event_head(src) {
            return Ok(Head::Complete(envelope));
        }
        let found = find_head_end(src, scanned);
        if found.unwrap_or(src.len()) > self.limits.max_head {
            return Err(FrameError::HeadTooLong {
                offset: self.offset,
                limit: self.limits.max_head,
            });
        }
        let head_len = match found {
            Some(len) if len <= CUT_USERAUTH_REPLY || !is_cut_userauth_reply(src) => len,
            None if !is_cut_userauth_reply(src) => {
                return Ok(Head::Incomplete { scanned: src.len().saturating_sub(LINE_END) });
            }
            Some(_) | None => CUT_USERAUTH_REPLY,
        };
        match envelope::head(src.get(..head_len).unwrap_or(src)) {
            Ok(envelope) => Ok(Head::Complete(envelope)),
            Err(BadHead::NoContentType) => Err(FrameError::NoContentType { offset: self.offset }),
            Err(BadHead::ContentLength) => Err(FrameError::ContentLength { offset: self.offset }),
        }
    }

    /// What is to be done about a body when so many bytes of its frame are `held`. Their number decides, so a
    /// body that drips in is not looked at before it is complete.
    fn body(&self, envelope: &Envelope, held: usize) -> Body {
        match usize::try_from(envelope.body_len) {
            Ok(body_len) if body_len <= self.max_body(envelope.content_type) => {
                let frame_len = envelope.head_len.saturating_add(body_len);
                if held < frame_len { Body::Incomplete } else { Body::Complete { frame_len } }
            }
            Ok(_) | Err(_) => Body::Oversized,
        }
    }

    /// Longest body that is handed on as it came.
    const fn max_body(&self, content_type: ContentType) -> usize {
        match content_type {
            ContentType::ApiResponse | ContentType::CommandReply => self.limits.max_reply,
            ContentType::AuthRequest
            | ContentType::EventPlain
            | ContentType::EventJson
            | ContentType::EventXml
            | ContentType::LogData
            | ContentType::DisconnectNotice
            | ContentType::RudeRejection
            | ContentType::Other => self.limits.max_body,
        }
    }

    /// Looks for the end of the head, `scanned` bytes of which were looked at before. False while it is incomplete.
    fn read_head(&mut self, src: &mut BytesMut, scanned: usize) -> Result<bool, FrameError> {
        if scanned == 0 {
            self.offset += skip_blank_lines(src);
        }
        let head = self.head(src, scanned)?;
        let is_complete = matches!(head, Head::Complete(_));
        self.state = match head {
            Head::Complete(envelope) => State::Body(envelope),
            Head::Incomplete { scanned } => State::Head { scanned },
        };
        Ok(is_complete)
    }

    /// When the next frame is an `api/response`, takes its head only: its body then comes by
    /// [`take_streamed`](Self::take_streamed), whatever its length. `None` while that is not known yet.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub(crate) fn stream_answer(&mut self, src: &mut BytesMut) -> Result<Streaming, FrameError> {
        if let State::Head { scanned } = self.state
            && !self.read_head(src, scanned)?
        {
            return Ok(Streaming::Incomplete);
        }
        match self.state {
            State::Body(envelope) if envelope.content_type == ContentType::ApiResponse => {
                let start = self.offset;
                self.take(src, envelope.head_len);
                self.state = State::Streamed { start, remaining: envelope.body_len };
                Ok(Streaming::Begun)
            }
            State::Head { .. }
            | State::Body(_)
            | State::Oversized { .. }
            | State::Streamed { .. } => Ok(Streaming::Other),
        }
    }

    /// What has come of the body of a streamed answer; `None` once all of it was taken.
    pub(crate) fn take_streamed(&mut self, src: &mut BytesMut) -> Option<Bytes> {
        let State::Streamed { remaining, .. } = &mut self.state else { return None };
        if *remaining == 0 {
            self.state = State::Head { scanned: 0 };
            return None;
        }
        let wanted = usize::try_from(*remaining).unwrap_or(usize::MAX);
        let len = wanted.min(src.len());
        *remaining -= len as u64;
        Some(self.take(src, len))
    }

    fn take(&mut self, src: &mut BytesMut, len: usize) -> Bytes {
        self.offset += len as u64;
        src.split_to(len).freeze()
    }
}

/// What the next frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streaming {
    /// An answer, whose body can be taken now.
    Begun,
    /// Another frame.
    Other,
    /// Its head is not complete.
    Incomplete,
}

enum Head {
    Complete(Envelope),
    Incomplete { scanned: usize },
}

enum Body {
    Incomplete,
    Complete { frame_len: usize },
    Oversized,
}

/// As [`FrameDecoder::decode`] and [`FrameDecoder::decode_eof`].
#[cfg(feature = "tokio")]
impl tokio_util::codec::Decoder for FrameDecoder {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        Self::decode(self, src)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        Self::decode_eof(self, src)
    }
}

/// Drops line ends before a head. Frames follow each other directly, but some bodies end in a line
/// end that their length does not count.
fn skip_blank_lines(src: &mut BytesMut) -> u64 {
    let blank = src.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    src.advance(blank);
    blank as u64
}

/// Length of the head up to and with its blank line, looked for from `from` on.
fn find_head_end(src: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', src.get(from..)?).find_map(|newline| {
        let after = from + newline + 1;
        match src.get(after..)? {
            [b'\n', ..] => Some(after + 1),
            [b'\r', b'\n', ..] => Some(after + 2),
            _ => None,
        }
    })
}

/// A `userauth` reply that lists what the user may do is cut at the size of FreeSWITCH's buffer. It
/// then lacks its blank line, and the next frame follows directly.
fn is_cut_userauth_reply(src: &[u8]) -> bool {
    src.len() >= CUT_USERAUTH_REPLY
        && src.starts_with(b"Content-Type: command/reply\nReply-Text: +OK accepted\nAllowed-")
}

#[cfg(test)]
mod dripping;
#[cfg(test)]
mod tests;
