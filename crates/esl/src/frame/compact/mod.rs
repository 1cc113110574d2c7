//! Bodies over the limit: cut while they stream in, so that no size hides an event.
//!
//! Senders choose header values of megabytes (Contact, Call-ID and User-Agent are in the events
//! before or after the address that matters), so an oversized event is neither skipped nor fatal: every
//! header stays, over-long values are shortened, memory stays bounded.

mod json;
mod lines;

use bytes::{Bytes, BytesMut};

use self::{json::JsonCutter, lines::LineCutter};
use super::{ContentType, Cut, Frame, envelope::Envelope};
use crate::Limits;

/// Bytes kept of a header name, in an event that is over the limit. FreeSWITCH's are under 50.
const MAX_NAME: usize = 128;

/// Bytes kept of each further value once the cut body itself has reached the limit: room for an
/// address, a port, a time, a sequence or a UUID.
const MIN_VALUE: usize = 64;

/// Collects one oversized body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compactor {
    content_type: ContentType,
    /// Bytes of the body that have not come yet.
    remaining: u64,
    cutter: Cutter,
    kept: Kept,
}

/// How the body is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cutter {
    /// `Name: value` lines.
    Lines(LineCutter),
    /// A JSON object of strings.
    Json(JsonCutter),
    /// Anything else keeps its beginning, at most so many bytes.
    Beginning { max: usize },
}

/// What is kept: the head as it came, the body shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    limits: Limits,
    out: BytesMut,
    head_len: usize,
    cut: Cut,
}

impl Compactor {
    /// For the frame whose head this is.
    pub(super) fn new(head: &Bytes, envelope: &Envelope, limits: Limits) -> Self {
        let cutter = match envelope.content_type {
            ContentType::EventPlain => Cutter::Lines(LineCutter::new()),
            ContentType::EventJson => Cutter::Json(JsonCutter::new()),
            ContentType::ApiResponse | ContentType::CommandReply => {
                Cutter::Beginning { max: limits.max_reply }
            }
            ContentType::AuthRequest
            | ContentType::EventXml
            | ContentType::LogData
            | ContentType::DisconnectNotice
            | ContentType::RudeRejection
            | ContentType::Other => Cutter::Beginning { max: limits.max_body },
        };
        let cut = Cut { original_len: envelope.body_len, ..Cut::default() };
        Self {
            content_type: envelope.content_type,
            remaining: envelope.body_len,
            cutter,
            kept: Kept { limits, out: BytesMut::from(&head[..]), head_len: head.len(), cut },
        }
    }

    /// Takes what belongs to this body from the front of `src`; returns how many bytes that was.
    pub(super) fn push(&mut self, src: &[u8]) -> usize {
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let piece = src.get(..wanted).unwrap_or(src);
        self.remaining -= piece.len() as u64;
        match &mut self.cutter {
            Cutter::Lines(cutter) => cutter.push(piece, &mut self.kept),
            Cutter::Json(cutter) => cutter.push(piece, &mut self.kept),
            Cutter::Beginning { max } => self.kept.push_beginning(piece, *max),
        }
        piece.len()
    }

    /// The frame, once its body is complete.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        if self.remaining > 0 {
            return None;
        }
        match &mut self.cutter {
            Cutter::Lines(cutter) => cutter.finish(&mut self.kept),
            Cutter::Json(cutter) => cutter.finish(&mut self.kept),
            Cutter::Beginning { .. } => {}
        }
        let kept = &mut self.kept;
        let bytes = kept.out.split().freeze();
        let cut = std::mem::take(&mut kept.cut);
        // A long body inside an event may have fitted after all.
        let cut = cut.is_anything_missing().then(|| Box::new(cut));
        Some(Frame::new(self.content_type, bytes, kept.head_len, cut))
    }
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// How much of the next value may be kept.
    fn value_limit(&self) -> usize {
        if self.body_len() < self.limits.max_body {
            self.limits.max_value.max(MIN_VALUE)
        } else {
            MIN_VALUE
        }
    }

    fn push_beginning(&mut self, piece: &[u8], max: usize) {
        let room = max.saturating_sub(self.body_len());
        let kept = piece.get(..room).unwrap_or(piece);
        self.push(kept);
        self.cut.body_dropped += (piece.len() - kept.len()) as u64;
    }

    fn body_len(&self) -> usize {
        self.out.len() - self.head_len
    }
}

#[cfg(test)]
mod tests;
