//! Records that cannot be read.

use std::fmt;

use super::{Origin, Subclass, name::Name};
use crate::text::excerpt;

/// A `mod_sofia` event that cannot be read as a record: which header, and why.
///
/// Its text is bounded and safe for logs, whatever the sender wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({origin}): header {header} {problem}", subclass.as_str())]
#[non_exhaustive]
pub struct RecordError {
    /// Which record it would have been.
    pub subclass: Subclass,
    /// The sender of the event; forged ones are often incomplete.
    pub origin: Origin,
    /// The header's name as FreeSWITCH writes it.
    pub header: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a header. The excerpts hold at most 64 bytes of the raw value, escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It is not there, or empty (`_undef_`).
    Missing,
    /// It is no IPv4 or IPv6 address.
    NotAnAddress(String),
    /// It is no decimal number in range.
    NotANumber(String),
    /// It is no UUID.
    NotAUuid(String),
}

/// A [`Problem`] while the record is read, when nothing has been copied yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defect<'e> {
    pub(super) name: Name,
    pub(super) kind: DefectKind,
    pub(super) raw: &'e [u8],
}

#[derive(Clone, Copy, Debug)]
pub(super) enum DefectKind {
    Missing,
    NotAnAddress,
    NotANumber,
    NotAUuid,
}

/// Bytes of a bad value that an error quotes.
const EXCERPT: usize = 64;

impl RecordError {
    pub(super) fn new(subclass: Subclass, origin: Origin, defect: &Defect<'_>) -> Self {
        let quoted = || excerpt(defect.raw, EXCERPT);
        let problem = match defect.kind {
            DefectKind::Missing => Problem::Missing,
            DefectKind::NotAnAddress => Problem::NotAnAddress(quoted()),
            DefectKind::NotANumber => Problem::NotANumber(quoted()),
            DefectKind::NotAUuid => Problem::NotAUuid(quoted()),
        };
        Self { subclass, origin, header: defect.name.as_str(), problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::NotAnAddress(value) => write!(f, "is no IP address: {value:?}"),
            Self::NotANumber(value) => write!(f, "is no number in range: {value:?}"),
            Self::NotAUuid(value) => write!(f, "is no UUID: {value:?}"),
        }
    }
}
