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
    /// Messages of the log: of a recording all that it holds, of a log file those that could accuse
    /// somebody.
    pub log_lines: u64,
    /// Events and messages that cannot be read: of another format, damaged, longer than any honest one.
    pub unusable: u64,
    /// Events and messages without a time that could be believed, and before any that has one.
    pub undated: u64,
    /// Events and messages dated more than a second before what stands before them. They were judged at
    /// the time of that.
    pub set_back: u64,
    /// Places where a recording is damaged, its end included.
    pub damaged: u64,
    /// Bytes lost there.
    pub skipped_bytes: u64,
    /// Why the file could not be read to its end.
    pub ended_early: Option<String>,
}
