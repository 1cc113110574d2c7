//! What a replayed file held.

use serde::Serialize;

use sipward_model::text::Time;

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What the Event Socket sent.
    #[default]
    Recording,
    /// FreeSWITCH's log.
    Log,
}

/// Rows of one kind that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// What is wrong with them.
    pub kind: UnreadKind,
    /// How many.
    pub rows: u64,
    /// The first of them, counted from 1.
    pub first_line: u64,
    /// How that one begins.
    pub first: String,
}

/// Why rows of a log file count for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadKind {
    /// A row of FreeSWITCH's log behind something that is not known.
    Layout,
    /// Nothing that FreeSWITCH writes into a log.
    Foreign,
    /// Its time is none, or before 2000.
    Undated,
    /// It is longer than any honest one.
    TooLong,
    /// `Can't find user` without the two rows that belong to it.
    RowsMissing,
}

impl UnreadKind {
    /// As text after "5 of 6 rows".
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::Layout => "have something unknown before FreeSWITCH's row",
            Self::Foreign => "are no rows of FreeSWITCH's log that can be read",
            Self::Undated => "have no time that can be read",
            Self::TooLong => "are too long to be read",
            Self::RowsMissing => "lack the two rows behind them, so accuse nobody (`grep -A2`)",
        }
    }
}

impl Tally {
    /// More than half of it was not understood, so its result means little.
    #[must_use]
    pub fn is_mostly_unread(&self) -> bool {
        match self.kind {
            Kind::Recording => {
                (self.unusable + self.undated) * 2 > self.events + self.log_lines + self.unusable
            }
            Kind::Log => self.unread.iter().map(|unread| unread.rows).sum::<u64>() * 2 > self.rows,
        }
    }

    /// Counts a row of a log file that is of no use.
    pub(super) fn count_unread(&mut self, kind: UnreadKind, line: u64, text: &[u8]) {
        /// Bytes kept of the first one.
        const KEPT: usize = 80;
        if let Some(known) = self.unread.iter_mut().find(|unread| unread.kind == kind) {
            known.rows += 1;
            return;
        }
        let first = String::from_utf8_lossy(text.get(..KEPT).unwrap_or(text)).into_owned();
        self.unread.push(Unread { kind, rows: 1, first_line: line, first });
    }
}

/// What a source held, and what of it was of no use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The file.
    pub file: String,
    /// What it is.
    pub kind: Kind,
    /// Its first time.
    pub from: Option<Time>,
    /// Its last.
    pub to: Option<Time>,
    /// Events.
    pub events: u64,
    /// Rows of a log file.
    pub rows: u64,
    /// Messages of the log: of a recording all that it holds, of a log file those that could count
    /// against a source.
    pub log_lines: u64,
    /// Events and messages that cannot be read: of another format, damaged, longer than any honest one.
    pub unusable: u64,
    /// Events and messages without a time that could be believed, and before any that has one.
    pub undated: u64,
    /// Events and messages dated more than a second before their predecessors. They were judged at
    /// the time of that.
    pub set_back: u64,
    /// How often the source's clock was set back by more than a minute. From there on its times are counted on.
    pub steps: u64,
    /// Rows of a log file that could not be read or not believed, by their kind.
    pub unread: Vec<Unread>,
    /// Places where a recording is damaged, its end included.
    pub damaged: u64,
    /// Bytes lost there.
    pub skipped_bytes: u64,
    /// Why the file could not be read to its end.
    pub ended_early: Option<String>,
}
