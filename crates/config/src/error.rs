//! Configuration errors: what is wrong, where, and what to write instead.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::span;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{} has {size} bytes, more than the limit of {limit}", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// There are more drop-ins than any configuration has.
    #[error("{} holds more than {limit} files", .path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A key or value is wrong.
    #[error("{}", render(.path, .place.as_ref(), .message))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in it; `None` when the value is a default that another key made wrong.
        place: Option<Place>,
        /// The problem, and what to do.
        message: String,
    },
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line's text.
    pub text: String,
}

/// A value that parses but is invalid, named by its dotted key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) key: String,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, message: String) -> Self {
        Self { key: key.into(), message }
    }
}

impl ConfigError {
    pub(super) fn from_toml(path: &Path, source: &str, error: &toml::de::Error) -> Self {
        let place = error.span().map(|span| Place::at(source, &span));
        Self::Invalid { path: path.to_owned(), place, message: explain(error.message()) }
    }

    pub(super) fn from_problem(path: &Path, source: &str, problem: &Problem) -> Self {
        let aliases = super::aliases::aliases(&problem.key);
        let place =
            span::of_value(source, &problem.key, aliases).map(|span| Place::at(source, &span));
        let message = match problem.key.as_str() {
            "" => problem.message.clone(),
            key => format!("`{key}`: {}", problem.message),
        };
        Self::Invalid { path: path.to_owned(), place, message }
    }
}

impl ConfigError {
    /// Where in the file, if that is known.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Invalid { place, .. } => place.as_ref(),
            Self::Read { .. } | Self::TooLarge { .. } | Self::TooMany { .. } => None,
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Invalid { path, .. }
            | Self::Read { path, .. }
            | Self::TooLarge { path, .. }
            | Self::TooMany { path, .. } => path,
        }
    }
}

impl Place {
    fn at(source: &str, span: &Range<usize>) -> Self {
        let (line, column) = span::line_column(source, span.start);
        let text = source.lines().nth(line - 1).unwrap_or_default().to_owned();
        Self { line, column, text }
    }
}

/// Replaces serde's list of every known key by the nearest one.
fn explain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field ") else {
        return message.to_owned();
    };
    let mut names = rest.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    let nearest = names
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .min()
        // Up to a third of wrong letters is a typing error; more is another name.
        .filter(|(distance, known)| distance * 3 <= known.len().max(unknown.len()));
    match nearest {
        Some((_, known)) => format!("unknown key `{unknown}`; did you mean `{known}`?"),
        None => format!(
            "unknown key `{unknown}`; the commented example deploy/sipward.toml shows every key"
        ),
    }
}

fn render(path: &Path, place: Option<&Place>, message: &str) -> String {
    let Some(Place { line, column, text }) = place else {
        return format!("{}: {message}", path.display());
    };
    let gutter = line.to_string().len();
    format!(
        "{}:{line}:{column}: {message}\n{:gutter$} |\n{line} | {text}\n{:gutter$} | {:>column$}",
        path.display(),
        "",
        "",
        "^",
    )
}
