//! Recordings of the Event Socket: the bytes that FreeSWITCH sent, as `sipward record` saves them.

use std::io::{ErrorKind, Read};

use bytes::{Buf as _, BytesMut};
use jiff::civil::DateTime;
use sipward_engine::Timestamp;
use sipward_esl::{ContentType, CoreUuid, Event, Frame, FrameDecoder, FrameError, Limits, LogLine};

use super::local::as_utc;
use super::{Item, Local, StreamClock, Tally, Timed};
use sipward_ingest::log_parser::row;

/// Bytes read at once: some 90 events.
const PIECE: usize = 64 * 1024;

/// How a frame begins, behind the end of the one before it: with `Content-Length` or `Content-Type`.
const BEGINNING: &[u8] = b"\nContent-";

/// What local time may be ahead of UTC or behind it, in µs: zones reach from -12 to +14 hours.
const ZONES: std::ops::RangeInclusive<i64> = -12 * 3_600_000_000..=14 * 3_600_000_000;

/// A recording.
pub(super) struct Stream<R> {
    input: R,
    scratch: Box<[u8]>,
    buffer: BytesMut,
    decoder: FrameDecoder,
    ended: bool,
    clock: StreamClock,
    local: Local,
    /// The last event that FreeSWITCH itself created; before the first one, the first one. Log lines take their time
    /// zone from it.
    neighbour: Option<Event>,
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
            neighbour: None,
            core: None,
            gap: false,
            tally: Tally::default(),
        };
        stream.fill();
        stream.neighbour = first_event(stream.buffer.clone());
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
                    self.clock.set(at);
                    self.neighbour = Some(event.clone());
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
            // XML, and what a later version of the library may add.
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

    /// Detects a restart of FreeSWITCH as the session does: not by events that other clients sent.
    fn notice_restart(&mut self, event: &Event) {
        if event.raw_header("Command").is_some() {
            return;
        }
        let Some(core) = event.core_uuid() else { return };
        self.gap |= self.core.replace(core).is_some_and(|before| before != core);
    }

    /// A line has local time. Events have both, FreeSWITCH's local time and UTC.
    fn line_time(&self, text: &[u8]) -> Option<Timestamp> {
        let head = row::split(text)?;
        let local = self.local.read(head.date, head.time)?;
        let Some(ahead) = self.neighbour.as_ref().and_then(ahead_of_utc) else {
            return self.local.stamp(local, self.clock.now);
        };
        u64::try_from(as_utc(local)? - ahead).ok().map(Timestamp::from_micros)
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

/// What FreeSWITCH's local time is ahead of UTC at this event, in µs.
fn ahead_of_utc(event: &Event) -> Option<i64> {
    let utc = i64::try_from(event_time(event)?.as_micros()).ok()?;
    let local: DateTime = event.header("Event-Date-Local")?.to_str()?.parse().ok()?;
    // Local time is reported in whole seconds.
    let ahead = as_utc(local)? - (utc - utc % 1_000_000);
    ZONES.contains(&ahead).then_some(ahead)
}

/// The first event in the first bytes: log lines before it are of its zone.
fn first_event(mut bytes: BytesMut) -> Option<Event> {
    let mut decoder = FrameDecoder::new(Limits::default());
    while let Ok(Some(frame)) = decoder.decode(&mut bytes) {
        let event = frame.into_event().ok().filter(|event| event_time(event).is_some());
        if event.is_some() {
            return event;
        }
    }
    None
}

#[cfg(test)]
mod tests;
