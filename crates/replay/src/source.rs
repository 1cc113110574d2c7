//! A file to replay: what it is, by its content.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;

use super::logfile::LogFile;
use super::prefix;
use super::stream::Stream;
use super::tally::{Kind, Tally};
use super::{Local, StreamClock, Timed};
use sipward_ingest::log_parser::row;
use sipward_model::clock::stamp;
use sipward_model::text::Time;

/// Bytes that show what a file is: a log may begin with a page of traces without a date.
const SNIFFED: u64 = 256 * 1024;

/// Bytes of a log file read at once.
const BUFFER: usize = 64 * 1024;

/// Files played at once, at most: each stays open, and a process may have 1,024 by default.
pub const MAX_SOURCES: usize = 256;

type Input = Box<dyn Read + Send>;

/// A file, opened.
pub struct Source {
    name: String,
    kind: Kind,
    tape: Tape,
}

enum Tape {
    Stream(Box<Stream<Input>>),
    Log(Box<LogFile<BufReader<Input>>>),
}

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// It is something else.
    #[error(
        "{} is neither a recording of the Event Socket (`sipward record`) nor a log file of FreeSWITCH: \
         no row looks like `2026-11-22 08:24:26.444097 [WARNING] sofia_reg.c:1787 …`",
        .path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
}

impl Source {
    /// Opens a file, plain or gzip. Local times in it are of `zone`; `read` counts the bytes taken from
    /// the disk.
    ///
    /// # Errors
    /// When it cannot be read, or is neither a recording nor a log.
    pub fn open(path: &Path, zone: TimeZone, read: Arc<AtomicU64>) -> Result<Self, SourceError> {
        let failed = |error| SourceError::Read { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let newest = stamp(metadata.modified().map_err(failed)?);
        let magic = sniff(&mut file, GZIP.len() as u64).map_err(failed)?;
        let counted = Counted { inner: file, read };
        let whole = Cursor::new(magic.clone()).chain(counted);
        let input: Input =
            if magic == GZIP { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
        Self::new(path, input, Local::new(zone, newest))
    }

    /// From the bytes of a file; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn new(
        path: &Path,
        mut input: impl Read + Send + 'static,
        local: Local,
    ) -> Result<Self, SourceError> {
        let beginning = sniff(&mut input, SNIFFED)
            .map_err(|error| SourceError::Read { path: path.to_owned(), error })?;
        let kind = kind_of(&beginning).ok_or(SourceError::Unknown { path: path.to_owned() })?;
        let input: Input = Box::new(Cursor::new(beginning).chain(input));
        let tape = match kind {
            Kind::Recording => Tape::Stream(Box::new(Stream::new(input, local))),
            Kind::Log => {
                Tape::Log(Box::new(LogFile::new(BufReader::with_capacity(BUFFER, input), local)))
            }
        };
        Ok(Self { name: path.display().to_string(), kind, tape })
    }

    /// The next input.
    pub(super) fn next(&mut self) -> Option<Timed> {
        match &mut self.tape {
            Tape::Stream(stream) => stream.next(),
            Tape::Log(log) => log.next(),
        }
    }

    /// What it held so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let tally = match &self.tape {
            Tape::Stream(stream) => stream.tally(),
            Tape::Log(log) => log.tally(),
        };
        Tally { file: self.name.clone(), kind: self.kind, ..tally }
    }
}

impl Tally {
    pub(super) fn with_clock(self, clock: &StreamClock) -> Self {
        let (from, to) = (clock.first.map(Time), clock.now.map(Time));
        Self { from, to, set_back: clock.set_back, steps: clock.steps, ..self }
    }
}

/// RFC 1952 section 2.3.1.
const GZIP: &[u8] = b"\x1f\x8b";

/// The first bytes. A file that breaks off among them is shorter, no error: what is there counts.
fn sniff(input: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match input.take(most).read_to_end(&mut bytes) {
        Err(error) if bytes.is_empty() => Err(error),
        Ok(_) | Err(_) => Ok(bytes),
    }
}

/// A recording begins with a frame, or holds one if its beginning is missing. A log has rows. An empty
/// file is a log that was just rotated.
fn kind_of(beginning: &[u8]) -> Option<Kind> {
    let frame = |bytes: &[u8]| {
        bytes.starts_with(b"Content-Type: ") || bytes.starts_with(b"Content-Length: ")
    };
    if frame(beginning.trim_ascii_start()) {
        return Some(Kind::Recording);
    }
    let mut rows = beginning.split(|byte| *byte == b'\n');
    if beginning.is_empty() || rows.any(begins_message) {
        return Some(Kind::Log);
    }
    let mut lines = beginning.split(|byte| *byte == b'\n');
    lines.any(frame).then_some(Kind::Recording)
}

fn begins_message(text: &[u8]) -> bool {
    prefix::bare(text).is_some_and(|bare| row::split(bare.text).is_some())
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
