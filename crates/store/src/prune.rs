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

/// How long a denied flow counts against its address ([`sipward_engine::MAX_DENIED_PORTS`]).
const FLOW_COUNTS_FOR: Duration = Duration::from_secs(3_600);

/// Flows kept, with those that are allowed again: four times as many as are denied at once.
const MAX_FLOWS: i64 = 262_144;

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
        oldest(connection, &OFFENDERS, now)?,
        oldest(connection, &SUCCESSES, now)?,
        oldest(connection, &FLOWS, now)?,
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

/// A table whose oldest rows leave.
struct Aging {
    table: &'static str,
    /// The columns of its key.
    key: &'static str,
    /// The column with the time, which has an index.
    time: &'static str,
    /// How long a row is kept after that time, and how many rows.
    age: Duration,
    most: i64,
}

const OFFENDERS: Aging = Aging {
    table: "offenders",
    key: "observed, source",
    time: "until",
    age: MAX_AGE,
    most: MAX_OFFENDERS,
};

const SUCCESSES: Aging = Aging {
    table: "successes",
    key: "source, user",
    time: "at",
    age: MAX_AGE,
    most: MAX_SUCCESSES,
};

const FLOWS: Aging = Aging {
    table: "flows",
    key: "observed, flow",
    time: "since",
    age: FLOW_COUNTS_FOR,
    most: MAX_FLOWS,
};

/// Deletes the oldest rows of a table: those too old, and those beyond the most.
fn oldest(connection: &Connection, aging: &Aging, now: Timestamp) -> rusqlite::Result<i64> {
    let Aging { table, key, time, age, most } = *aging;
    let cutoff = micros(now).saturating_sub(duration_micros(age));
    // The end of the newest `most`, if there are more.
    let beyond = format!("SELECT {time} FROM {table} ORDER BY {time} DESC LIMIT 1 OFFSET ?1");
    let beyond = connection
        .prepare_cached(&beyond)?
        .query_row(params![most], |row| row.get::<_, i64>(0))
        .optional()?;
    let cutoff = beyond.map_or(cutoff, |beyond| beyond.max(cutoff));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{VERSION, migrate};

    #[test]
    fn flows_that_no_longer_count_leave_in_slices() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, VERSION).unwrap();
        let now = Timestamp::from_micros(1_795_000_000_000_000);
        let hour_ago = micros(now.earlier(FLOW_COUNTS_FOR));
        for n in 0..2 * SLICE {
            let since = if n < SLICE + 10 { hour_ago - n } else { hour_ago + 1 + n };
            let flow = format!("203.0.113.7 udp {n}");
            let insert = "INSERT INTO flows VALUES (0, ?1, ?2, ?2, '{}')";
            connection.execute(insert, params![flow, since]).unwrap();
        }
        let settings = StoreSettings::default();
        assert_eq!(slice(&connection, &settings, now), Ok(Pruned::Part));
        assert_eq!(slice(&connection, &settings, now), Ok(Pruned::All));
        let left = "SELECT count(*) FROM flows";
        let left: i64 = connection.query_row(left, [], |row| row.get(0)).unwrap();
        assert_eq!(left, SLICE - 10);
    }
}
