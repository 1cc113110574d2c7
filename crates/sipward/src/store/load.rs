//! Rows become what the daemon starts with.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use sipward_engine::{Cause, Expiry, Offender, Success, Text, Timestamp};

use super::entry::{AllowEntry, Override, Saved, SavedBan};
use super::key::Net;

/// Everything that outlives the process.
pub(super) fn all(connection: &Connection, observed: bool) -> rusqlite::Result<Saved> {
    let mut saved = Saved::default();
    let unreadable = &mut saved.unreadable;
    // As they were written: the newest come last and keep the details of their evidence in memory.
    saved.bans = rows(
        connection,
        "SELECT net, since, until, cause FROM bans WHERE observed = ?1 ORDER BY id",
        params![observed],
        unreadable,
        ban,
    )?;
    saved.offenders = rows(
        connection,
        "SELECT source, bans, until FROM offenders WHERE observed = ?1 ORDER BY until",
        params![observed],
        unreadable,
        offender,
    )?;
    saved.successes = rows(
        connection,
        "SELECT source, user, user_agent, since, at FROM successes ORDER BY at",
        [],
        unreadable,
        success,
    )?;
    saved.allow =
        rows(connection, "SELECT host, comment, since FROM allow", [], unreadable, allow)?;
    saved.overrides =
        rows(connection, "SELECT key, value, since FROM overrides", [], unreadable, set)?;
    Ok(saved)
}

/// All rows of a question. One that makes no sense, because somebody wrote into the file by hand, is
/// counted and left out: it must not keep the others from being read.
fn rows<T>(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    unreadable: &mut usize,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(value) => all.push(value),
            Err(_) => *unreadable += 1,
        }
    }
    Ok(all)
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

fn ban(row: &Row<'_>) -> rusqlite::Result<SavedBan> {
    let Net(net) = row.get(0)?;
    // A ban whose reason cannot be read is still a ban.
    let cause: Cause = json(row, 3).unwrap_or(Cause::Adopted);
    Ok(SavedBan {
        net,
        since: timestamp(row.get(1)?),
        until: expiry(row.get(2)?),
        cause: Arc::new(cause),
    })
}

fn offender(row: &Row<'_>) -> rusqlite::Result<Offender> {
    let Net(net) = row.get(0)?;
    Ok(Offender { source: net.addr(), bans: row.get(1)?, until: timestamp(row.get(2)?) })
}

fn success(row: &Row<'_>) -> rusqlite::Result<Success> {
    let Net(net) = row.get(0)?;
    let text = |column| Ok::<_, rusqlite::Error>(Text::new(row.get_ref(column)?.as_str()?));
    Ok(Success {
        source: net.addr(),
        user: text(1)?,
        user_agent: text(2)?,
        since: timestamp(row.get(3)?),
        at: timestamp(row.get(4)?),
    })
}

fn allow(row: &Row<'_>) -> rusqlite::Result<AllowEntry> {
    let host = row.get_ref(0)?.as_str()?.parse().map_err(|error: String| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(0, kind, error.into())
    })?;
    Ok(AllowEntry { host, comment: row.get(1)?, since: timestamp(row.get(2)?) })
}

fn set(row: &Row<'_>) -> rusqlite::Result<Override> {
    Ok(Override { key: row.get(0)?, value: json(row, 1)?, since: timestamp(row.get(2)?) })
}
