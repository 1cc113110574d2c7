//! FreeSWITCH's log files: rows put together to whole messages, with the rules of
//! [`log_parser`] against names that look like rows.

use std::io::{BufRead, ErrorKind};

use super::{Item, Local, StreamClock, Tally, Timed};
use sipward_ingest::log_parser::{self, row};

/// Longest row that is read, in bytes: an honest one has a few hundred; senders choose user agents of
/// megabytes. Of a longer one the end, which decides, is missing: it accuses nobody.
const MAX_ROW: usize = 64 * 1024;

/// Longest message, in bytes: a few rows of [`MAX_ROW`].
const MAX_MESSAGE: usize = 4 * MAX_ROW;

/// A log file.
#[derive(Debug)]
pub(super) struct LogFile<R> {
    input: R,
    local: Local,
    clock: StreamClock,
    row: Vec<u8>,
    /// The message that the next row may go on with.
    pending: Option<Pending>,
    tally: Tally,
    ended: bool,
}

#[derive(Debug)]
struct Pending {
    at: sipward_engine::Timestamp,
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
            row: Vec::new(),
            pending: None,
            tally: Tally::default(),
            ended: false,
        }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.clone().with_clock(&self.clock)
    }

    /// The next message that could accuse somebody.
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

    fn finish(&mut self, Pending { at, text }: Pending) -> Option<Timed> {
        let Some(mut text) = text else {
            self.tally.unusable += 1;
            return None;
        };
        text.truncate(without_end(&text).len());
        self.tally.log_lines += 1;
        Some(Timed { at, after_gap: false, item: Item::Message(text) })
    }

    /// Sorts in a row; gives the message that it ends.
    fn take_row(&mut self, end: End) -> Option<Pending> {
        self.tally.rows += 1;
        let text = without_colour(&self.row);
        if let Some(head) = row::split(text) {
            let local = self.local.read(head.date, head.time);
            let at = local.and_then(|local| self.local.stamp(local));
            let at = at.and_then(|at| self.clock.set(at));
            if at.is_none() {
                self.tally.undated += 1;
            }
            let begun = at
                .filter(|_| log_parser::may_accuse(head.file))
                .map(|at| Pending { at, text: (end == End::Whole).then(|| text.to_vec()) });
            return std::mem::replace(&mut self.pending, begun);
        }
        let more = self.pending.as_mut().zip(row::goes_on(text));
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

/// A row without the colours that a console puts before it and, of the row before, behind it:
/// `ESC [ … m` (ECMA-48, SGR).
pub(super) fn without_colour(mut row: &[u8]) -> &[u8] {
    while let Some(rest) = row.strip_prefix(b"\x1b[") {
        let Some(end) = rest.iter().position(|b| !b.is_ascii_digit() && *b != b';') else { break };
        match rest.split_at_checked(end) {
            Some((_, [b'm', rest @ ..])) => row = rest,
            _ => break,
        }
    }
    row
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
