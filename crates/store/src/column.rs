//! Values as columns hold them.

use rusqlite::Row;
use sipward_engine::{Expiry, Flow, Scope, Timestamp};

/// A time as the database has it. Whatever is beyond the year 294,000 is its end.
pub(super) fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

/// A time as the engine has it; the epoch for anything before it.
pub(super) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_micros(u64::try_from(micros).unwrap_or_default())
}

pub(super) fn expiry(until: Option<i64>) -> Expiry {
    until.map_or(Expiry::Never, |until| Expiry::At(timestamp(until)))
}

/// A value from its JSON text, in this column.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    })
}

/// What a ban stops.
pub(super) fn scope(row: &Row<'_>, column: usize) -> rusqlite::Result<Scope> {
    let text = row.get_ref(column)?.as_str()?;
    [Scope::Host, Scope::Sip]
        .into_iter()
        .find(|scope| scope.as_str() == text)
        .ok_or_else(|| unreadable(column, format!("`{text}` is not a scope of a ban")))
}

/// A flow, as it is written for people.
pub(super) fn flow(row: &Row<'_>, column: usize) -> rusqlite::Result<Flow> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| unreadable(column, error))
}

fn unreadable(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}
