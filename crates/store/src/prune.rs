//! What is too old or too much leaves, bit by bit, and the file shrinks.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use sipward_engine::Timestamp;

use super::column::micros;
use super::{COUNTS_KEPT, QUARTER};
use sipward_config::StoreSettings;

/// Rows deleted in one go: some milliseconds of work.
const SLICE: i64 = 2_000;

/// Free pages given back to the file system in one go, of 4 KiB each.
const PAGES: i64 = 512;

/// Free pages that stay, because what comes next needs some anyway.
const PAGES_KEPT: i64 = 64;

/// Offenders kept: as many as the engine remembers.
const MAX_OFFENDERS: i64 = 262_144;

/// How long an offender is kept after its last ban, and a success: the longest time that the policy can remember them.
const MAX_AGE: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// Pairs of source and user kept: as many as the engine remembers.
const MAX_SUCCESSES: i64 = 262_144;

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pruned {
    All,
    Part,
}

/// Deletes what has to go, at most a slice of it.
pub(super) fn slice(
    connection: &Connection,
    settings: &StoreSettings,
    now: Timestamp,
) -> rusqlite::Result<Pruned> {
    let gone = [
        history(connection, settings, now)?,
        oldest(connection, "offenders", "until", MAX_OFFENDERS, now)?,
        oldest(connection, "successes", "at", MAX_SUCCESSES, now)?,
        counts(connection, now)?,
    ];
    let shrunk = shrink(connection)?;
    let more = shrunk || gone.into_iter().any(|rows| rows >= SLICE);
    Ok(if more { Pruned::Part } else { Pruned::All })
}

/// Deletes the oldest events. Their ids have no gaps, so how many there are is known without counting.
fn history(
    connection: &Connection,
    settings: &StoreSettings,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let ends = "SELECT min(id), max(id) FROM history";
    let ends = connection
        .prepare_cached(ends)?
        .query_row([], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    let (Some(first), Some(last)) = ends else { return Ok(0) };
    let slice_end = first.saturating_add(SLICE);
    let most = i64::try_from(settings.max_history).unwrap_or(i64::MAX);
    let too_many = last.saturating_sub(most).saturating_add(1);
    let oldest = micros(now).saturating_sub(duration_micros(settings.keep_history));
    // The first event of the slice that is young enough; all before it go.
    let young = "SELECT id FROM history WHERE id < ?1 AND at >= ?2 ORDER BY id LIMIT 1";
    let young = connection
        .prepare_cached(young)?
        .query_row(params![slice_end, oldest], |row| row.get::<_, i64>(0))
        .optional()?;
    let end = young.unwrap_or(slice_end).max(too_many).min(slice_end);
    if end <= first {
        return Ok(0);
    }
    let delete = "DELETE FROM history WHERE id < ?1";
    let gone = connection.prepare_cached(delete)?.execute(params![end])?;
    Ok(i64::try_from(gone).unwrap_or(i64::MAX))
}

/// Deletes the counts that are too old.
fn counts(connection: &Connection, now: Timestamp) -> rusqlite::Result<i64> {
    let oldest = micros(now.earlier(COUNTS_KEPT)) / duration_micros(QUARTER);
    let delete = "DELETE FROM counts WHERE quarter IN
                  (SELECT quarter FROM counts WHERE quarter < ?1 ORDER BY quarter LIMIT ?2)";
    let gone = connection.prepare_cached(delete)?.execute(params![oldest, SLICE])?;
    Ok(i64::try_from(gone).unwrap_or(i64::MAX))
}

/// Deletes the oldest rows of a small table: those too old, and those beyond `most`.
fn oldest(
    connection: &Connection,
    table: &str,
    time: &str,
    most: i64,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let cutoff = micros(now).saturating_sub(duration_micros(MAX_AGE));
    // The end of the newest `most`, if there are more.
    let beyond = format!("SELECT {time} FROM {table} ORDER BY {time} DESC LIMIT 1 OFFSET ?1");
    let beyond = connection
        .prepare_cached(&beyond)?
        .query_row(params![most], |row| row.get::<_, i64>(0))
        .optional()?;
    let cutoff = beyond.map_or(cutoff, |beyond| beyond.max(cutoff));
    let key = if table == "offenders" { "observed, source" } else { "source, user" };
    let delete = format!(
        "DELETE FROM {table} WHERE ({key}) IN
         (SELECT {key} FROM {table} WHERE {time} <= ?1 ORDER BY {time} LIMIT ?2)"
    );
    let gone = connection.prepare_cached(&delete)?.execute(params![cutoff, SLICE])?;
    Ok(i64::try_from(gone).unwrap_or(i64::MAX))
}

/// Gives free pages back. True when there are more.
fn shrink(connection: &Connection) -> rusqlite::Result<bool> {
    let free = |connection: &Connection| {
        connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))
    };
    let before = free(connection)?;
    let give = before.saturating_sub(PAGES_KEPT).min(PAGES);
    if give <= 0 {
        return Ok(false);
    }
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({give})"))?;
    let mut steps = statement.query([])?;
    while steps.next()?.is_some() {}
    drop(steps);
    let after = free(connection)?;
    Ok(after > PAGES_KEPT && after < before)
}

fn duration_micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
