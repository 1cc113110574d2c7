//! FreeSWITCH's log files: rows put together to whole messages, with the rules of
//! [`log_parser`] against names that look like rows.

use std::io::{BufRead, ErrorKind};

use super::prefix::without_colour;
use super::tally::UnreadKind;
use super::{Item, Local, StreamClock, Tally, Timed, prefix, trace};
use sipward_engine::Timestamp;
use sipward_ingest::log_parser::{self, Message, row};

/// Longest row that is read, in bytes: an honest one has a few hundred; senders choose user agents of
/// megabytes. A longer one lacks its end, which decides: it counts against no source.
const MAX_ROW: usize = 64 * 1024;

/// Longest message, in bytes: a few rows of [`MAX_ROW`].
const MAX_MESSAGE: usize = 4 * MAX_ROW;

/// A log file.
#[derive(Debug)]
pub(super) struct LogFile<R> {
    input: R,
    local: Local,
    clock: StreamClock,
    /// The time of the last row, as the file has it.
    last: Option<Timestamp>,
    row: Vec<u8>,
    /// The message that the next row may go on with.
    pending: Option<Pending>,
    tally: Tally,
    ended: bool,
}

#[derive(Debug)]
struct Pending {
    at: Timestamp,
    /// Where it begins, counted from 1.
    line: u64,
    /// Text of another program precedes it, and so precedes its continuation.
    is_prefixed: bool,
    /// `None`: too long.
    text: Option<Vec<u8>>,
}

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As it should.
    Whole,
    /// It is longer than [`MAX_ROW`]; the rest was skipped.
    Cut,
    /// There is none any more.
    OfFile,
}

impl<R: BufRead> LogFile<R> {
    pub(super) fn new(input: R, local: Local) -> Self {
        Self {
            input,
            local,
            clock: StreamClock::default(),
            last: None,
            row: Vec::new(),
            pending: None,
            tally: Tally::default(),
            ended: false,
        }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.clone().with_clock(&self.clock)
    }

    /// The next message that could count against a source.
    pub(super) fn next(&mut self) -> Option<Timed> {
        while !self.ended {
            let done = match self.read_row() {
                End::OfFile => {
                    self.ended = true;
                    self.pending.take()
                }
                end => self.take_row(end),
            };
            if let Some(timed) = done.and_then(|message| self.finish(message)) {
                return Some(timed);
            }
        }
        None
    }

    fn finish(&mut self, Pending { at, text, line, .. }: Pending) -> Option<Timed> {
        let Some(mut text) = text else {
            self.tally.unusable += 1;
            self.tally.count_unread(UnreadKind::TooLong, line, b"");
            return None;
        };
        text.truncate(without_end(&text).len());
        if is_incomplete(&text) {
            self.tally.count_unread(UnreadKind::RowsMissing, line, &text);
        }
        self.tally.log_lines += 1;
        Some(Timed { at, after_gap: false, item: Item::Message(text) })
    }

    /// Sorts in a row; gives the message that it ends.
    fn take_row(&mut self, end: End) -> Option<Pending> {
        self.tally.rows += 1;
        let line = self.tally.rows;
        let Some(prefix::Bare { text, is_prefixed }) = prefix::bare(&self.row) else {
            if let Some(kind) = trace::unread(without_colour(&self.row)) {
                self.tally.count_unread(kind, line, &self.row);
            }
            return self.pending.take();
        };
        if let Some(head) = row::split(text) {
            let local = self.local.read(head.date, head.time);
            let at = local.and_then(|local| self.local.stamp(local, self.last));
            let now = at.and_then(|at| self.clock.set(at));
            if now.is_some() {
                self.last = at;
            } else {
                self.tally.undated += 1;
                self.tally.count_unread(UnreadKind::Undated, line, text);
            }
            let begun = now.filter(|_| log_parser::may_accuse(head.file)).map(|at| {
                let text = (end == End::Whole).then(|| text.to_vec());
                Pending { at, line, is_prefixed, text }
            });
            return std::mem::replace(&mut self.pending, begun);
        }
        let pending = self.pending.as_mut().filter(|pending| pending.is_prefixed == is_prefixed);
        let more = pending.zip(row::goes_on(text));
        let Some((message, more)) = more else {
            return self.pending.take();
        };
        let fits = |text: &Vec<u8>| end == End::Whole && text.len() + more.len() < MAX_MESSAGE;
        message.text = message.text.take().filter(fits).map(|mut text| {
            text.push(b'\n');
            text.extend_from_slice(more);
            text
        });
        None
    }

    /// The next row into `self.row`, without its line end.
    fn read_row(&mut self) -> End {
        self.row.clear();
        let mut end = End::Whole;
        loop {
            let piece = match self.input.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.tally.ended_early = Some(error.to_string());
                    return End::OfFile;
                }
            };
            if piece.is_empty() {
                return if self.row.is_empty() { End::OfFile } else { end };
            }
            let line_end = memchr::memchr(b'\n', piece);
            let kept = piece.get(..line_end.unwrap_or(piece.len())).unwrap_or_default();
            let room = MAX_ROW - self.row.len();
            if kept.len() > room {
                end = End::Cut;
            }
            self.row.extend_from_slice(kept.get(..room).unwrap_or(kept));
            let used = line_end.map_or(piece.len(), |at| at + 1);
            self.input.consume(used);
            if line_end.is_some() {
                return end;
            }
        }
    }
}

/// `Can't find user` whose other two rows did not come: its source cannot be believed then.
fn is_incomplete(text: &[u8]) -> bool {
    let message = Message { text, origin: None };
    row::split(text).is_some_and(|head| head.message.starts_with(b"Can't find user ["))
        && memchr::memchr(b'\n', text).is_none()
        && log_parser::read(message).is_none()
}

/// A message without the colour and the carriage return at its end.
fn without_end(mut text: &[u8]) -> &[u8] {
    loop {
        let colour = text
            .iter()
            .rposition(|byte| *byte == 0x1b)
            .filter(|at| text.get(*at..).is_some_and(|tail| without_colour(tail).is_empty()));
        match (colour, text) {
            (Some(at), _) => text = text.get(..at).unwrap_or_default(),
            (None, [rest @ .., b'\r']) => text = rest,
            (None, _) => return text,
        }
    }
}

#[cfg(test)]
mod tests;
