//! Recordings of the Event Socket: the bytes that FreeSWITCH sent, as `sipward record` saves them.

use std::io::{ErrorKind, Read};

use bytes::{Buf as _, BytesMut};
use sipward_engine::Timestamp;
use sipward_esl::{
    ContentType, CoreUuid, Event, Frame, FrameDecoder, FrameError, Limits, LogLine,
};
use tokio_util::codec::Decoder as _;

use super::local::as_utc;
use super::{Item, Local, StreamClock, Tally, Timed};
use crate::complaint::row;

/// Bytes read at once: some 90 events.
const PIECE: usize = 64 * 1024;

/// How a frame begins, behind the end of the one before it: with `Content-Length` or `Content-Type`.
const BEGINNING: &[u8] = b"\nContent-";

/// Zones are whole quarters of an hour from UTC, in µs.
const QUARTER: i64 = 15 * 60 * 1_000_000;

/// A line that seems to come so long before or behind the last event, in µs, comes from another zone than
/// was thought, or the clocks were put forward or back.
const LINE_OFF: std::ops::Range<i64> = -5 * 60 * 1_000_000..30 * 60 * 1_000_000;

/// A recording.
pub(super) struct Stream<R> {
    input: R,
    scratch: Box<[u8]>,
    buffer: BytesMut,
    decoder: FrameDecoder,
    ended: bool,
    clock: StreamClock,
    local: Local,
    /// The time of the last event, which log lines are measured by.
    event_time: Option<i64>,
    /// What the log's local time is ahead of UTC, in µs.
    offset: Option<i64>,
    core: Option<CoreUuid>,
    gap: bool,
    tally: Tally,
}

impl<R: Read> Stream<R> {
    pub(super) fn new(input: R, local: Local) -> Self {
        let mut stream = Self {
            input,
            scratch: vec![0; PIECE].into_boxed_slice(),
            buffer: BytesMut::new(),
            decoder: FrameDecoder::new(Limits::default()),
            ended: false,
            clock: StreamClock::default(),
            local,
            event_time: None,
            offset: None,
            core: None,
            gap: false,
            tally: Tally::default(),
        };
        stream.fill();
        stream.event_time = first_event_time(stream.buffer.clone());
        stream
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.clone().with_clock(&self.clock)
    }

    pub(super) fn next(&mut self) -> Option<Timed> {
        loop {
            let frame = self.frame()?;
            if let Some(timed) = self.read(frame) {
                return Some(timed);
            }
        }
    }

    fn read(&mut self, frame: Frame) -> Option<Timed> {
        let (at, item) = match frame.content_type() {
            ContentType::EventPlain | ContentType::EventJson => {
                let Ok(event) = frame.into_event() else {
                    self.tally.unusable += 1;
                    return None;
                };
                self.tally.events += 1;
                self.notice_restart(&event);
                if let Some(at) = event_time(&event) {
                    self.event_time = i64::try_from(at.as_micros()).ok();
                    self.clock.set(at);
                }
                (self.clock.now, Item::Event(event))
            }
            ContentType::LogData => {
                let Ok(line) = LogLine::from_frame(frame) else {
                    self.tally.unusable += 1;
                    return None;
                };
                self.tally.log_lines += 1;
                if let Some(at) = self.line_time(line.text()) {
                    self.clock.set(at);
                }
                (self.clock.now, Item::Line(line))
            }
            // A connection begins.
            ContentType::AuthRequest => {
                self.gap = true;
                return None;
            }
            ContentType::CommandReply
            | ContentType::ApiResponse
            | ContentType::DisconnectNotice
            | ContentType::RudeRejection => return None,
            // XML, and what a later version of the library may know.
            _ => {
                self.tally.unusable += 1;
                return None;
            }
        };
        let Some(at) = at else {
            self.tally.undated += 1;
            return None;
        };
        Some(Timed { at, after_gap: std::mem::take(&mut self.gap), item })
    }

    /// As the session tells a restart of FreeSWITCH: not by events that other clients made up.
    fn notice_restart(&mut self, event: &Event) {
        if event.raw_header("Command").is_some() {
            return;
        }
        let Some(core) = event.core_uuid() else { return };
        self.gap |= self.core.replace(core).is_some_and(|before| before != core);
    }

    /// A line has local time. Beside events, whose time is UTC, its zone shows.
    fn line_time(&mut self, text: &[u8]) -> Option<Timestamp> {
        let head = row::split(text)?;
        let local = self.local.read(head.date, head.time)?;
        let Some(event_time) = self.event_time else {
            return self.local.stamp(local);
        };
        let written = as_utc(local)?;
        let off = |offset: i64| written.saturating_sub(offset).saturating_sub(event_time);
        let offset = self.offset.filter(|offset| LINE_OFF.contains(&off(*offset)));
        let offset = offset.unwrap_or_else(|| {
            let ahead = written.saturating_sub(event_time).saturating_add(QUARTER / 2);
            ahead.div_euclid(QUARTER).saturating_mul(QUARTER)
        });
        self.offset = Some(offset);
        u64::try_from(written.saturating_sub(offset)).ok().map(Timestamp::from_micros)
    }

    /// The next whole frame.
    fn frame(&mut self) -> Option<Frame> {
        loop {
            let decoded = if self.ended {
                self.decoder.decode_eof(&mut self.buffer)
            } else {
                self.decoder.decode(&mut self.buffer)
            };
            match decoded {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) if self.ended => return None,
                Ok(None) => self.fill(),
                Err(FrameError::PartialFrame { received, .. }) => {
                    self.tally.damaged += 1;
                    self.tally.skipped_bytes += received;
                }
                Err(_) => self.find_next_frame(),
            }
        }
    }

    /// Skips to what looks like the next frame. Senders cannot write one into an event or a log line: a
    /// line end of theirs is encoded in the one and has a space behind it in the other.
    fn find_next_frame(&mut self) {
        self.tally.damaged += 1;
        self.gap = true;
        self.decoder = FrameDecoder::new(Limits::default());
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, BEGINNING) {
                self.skip(at + 1);
                return;
            }
            // It may begin in these bytes and go on in the next.
            let undecided = if self.ended { 0 } else { BEGINNING.len() - 1 };
            self.skip(self.buffer.len().saturating_sub(undecided));
            if self.ended {
                return;
            }
            self.fill();
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.tally.skipped_bytes += bytes as u64;
        self.buffer.advance(bytes);
    }

    fn fill(&mut self) {
        match self.input.read(&mut self.scratch) {
            Ok(0) => self.ended = true,
            Ok(read) => {
                self.buffer.extend_from_slice(self.scratch.get(..read).unwrap_or_default());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                self.tally.ended_early = Some(error.to_string());
                self.ended = true;
            }
        }
    }
}

/// FreeSWITCH's time, unless another client made the event up.
fn event_time(event: &Event) -> Option<Timestamp> {
    if event.raw_header("Command").is_some() {
        return None;
    }
    let micros = event.raw_header("Event-Date-Timestamp")?;
    let micros = std::str::from_utf8(micros).ok()?.parse().ok()?;
    StreamClock::PLAUSIBLE.contains(&micros).then_some(Timestamp::from_micros(micros))
}

/// The time of the first event in the first bytes: log lines before it are measured by it.
fn first_event_time(mut bytes: BytesMut) -> Option<i64> {
    let mut decoder = FrameDecoder::new(Limits::default());
    while let Ok(Some(frame)) = decoder.decode(&mut bytes) {
        let time = frame.into_event().ok().and_then(|event| event_time(&event));
        if let Some(time) = time {
            return i64::try_from(time.as_micros()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests;
