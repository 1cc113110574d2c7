//! The tables, and what they looked like before.
//!
//! `PRAGMA user_version` counts the migrations done. A later version of sipward appends one; none is
//! ever changed.

use rusqlite::Connection;

/// `PRAGMA application_id` of the files of sipward: `SIPW`. It prevents writing into the database of another program
/// named in `store.path`.
pub(super) const APPLICATION_ID: i64 = 0x5349_5057;

/// Migrations done to a database that is up to date: as many as there are [`STEPS`].
pub(super) const VERSION: i64 = 8;

/// `meta` row: when something was written last. A clock that is before it is wrong.
pub(super) const WRITTEN: &str = "written_at";

/// `meta` row: when mail or a webhook first delivered a test.
pub(super) const NOTIFIED: &str = "notified_at";

/// Brings the tables up to date, up to version `to`: all steps or none.
pub(super) fn migrate(connection: &mut Connection, to: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    steps(&transaction, to)?;
    transaction.commit()
}

/// The steps that are missing, with the number of the last.
pub(super) fn steps(connection: &Connection, to: i64) -> rusqlite::Result<()> {
    let done: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (version, step) in (1..=to).zip(STEPS).filter(|(version, _)| *version > done) {
        connection.execute_batch(step)?;
        connection.pragma_update(None, "user_version", version)?;
    }
    Ok(())
}

/// Every step from an empty file to the present tables.
const STEPS: &[&str] = &[
    FIRST,
    // Bearer tokens: the SHA-256 of each, and nothing that it can be made from.
    "
CREATE TABLE tokens (
    name  TEXT PRIMARY KEY,
    hash  BLOB NOT NULL,
    scope TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    used  INTEGER
) STRICT, WITHOUT ROWID;
",
    // Revoked tokens: their use does not count as guessing.
    "
CREATE TABLE retired_tokens (
    hash BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
",
    // What a ban stops (`host` or `sip`), and single flows that are denied, as `203.0.113.7 udp 41234`. `kind` of the
    // history: 3 a flow was denied, 4 allowed again; `net` is its address then.
    "
ALTER TABLE bans ADD COLUMN scope TEXT NOT NULL DEFAULT 'host';
ALTER TABLE history ADD COLUMN scope TEXT;
ALTER TABLE history ADD COLUMN flow TEXT;
CREATE TABLE flows (
    observed INTEGER NOT NULL,
    flow     TEXT NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    cause    TEXT NOT NULL,
    PRIMARY KEY (observed, flow)
) STRICT, WITHOUT ROWID;
",
    // Allowed hosts that leave the list by themselves.
    "ALTER TABLE allow ADD COLUMN until INTEGER;",
    // Alarms that an operator has acknowledged. `about` is empty where there is one of its kind.
    "
CREATE TABLE acknowledged (
    kind  TEXT NOT NULL,
    about TEXT NOT NULL,
    text  TEXT NOT NULL,
    since INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    name  TEXT NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (kind, about)
) STRICT, WITHOUT ROWID;
",
    // What happened in each quarter of an hour, numbered from the epoch: failures by grade, bans, unbans.
    "
CREATE TABLE counts (
    quarter      INTEGER PRIMARY KEY,
    unjoined     INTEGER NOT NULL,
    unproven     INTEGER NOT NULL,
    unchallenged INTEGER NOT NULL,
    challenged   INTEGER NOT NULL,
    assumed      INTEGER NOT NULL,
    answered     INTEGER NOT NULL,
    genuine      INTEGER NOT NULL,
    bans         INTEGER NOT NULL,
    unbans       INTEGER NOT NULL
) STRICT;
",
    // Alarms without an end, which nothing reports again. `about` is empty where there is one of its kind; `data` is
    // the JSON of the log line's fields.
    "
CREATE TABLE alarms (
    kind  TEXT NOT NULL,
    about TEXT NOT NULL,
    text  TEXT NOT NULL,
    data  TEXT NOT NULL,
    since INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (kind, about)
) STRICT, WITHOUT ROWID;

CREATE INDEX flows_since ON flows (since);
",
];

const FIRST: &str = "
-- Times are microseconds since the Unix epoch. Networks are keys (see `key.rs`): family (4 or 6),
-- address, prefix length. `observed` is 1 for what was decided in observe mode and never enforced.

-- What stands: `cause` is the JSON of the log line's fields; no `until` means without an end.
CREATE TABLE bans (
    id       INTEGER PRIMARY KEY,
    observed INTEGER NOT NULL,
    net      BLOB NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER,
    cause    TEXT NOT NULL,
    UNIQUE (observed, net)
) STRICT;

-- What happened. `kind`: 0 banned, 1 unbanned, 2 refused. `reason`: JSON, why it was unbanned or
-- refused. Rows go in at the end and leave at the beginning, so ids have no gaps.
CREATE TABLE history (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    observed INTEGER NOT NULL,
    net      BLOB NOT NULL,
    until    INTEGER,
    reason   TEXT,
    cause    TEXT
) STRICT;
CREATE INDEX history_at ON history (at);
CREATE INDEX history_net ON history (net);

-- How often an address was banned, and when its last ban ends.
CREATE TABLE offenders (
    observed INTEGER NOT NULL,
    source   BLOB NOT NULL,
    bans     INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    PRIMARY KEY (observed, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX offenders_until ON offenders (until);

-- Who logged in from where.
CREATE TABLE successes (
    source     BLOB NOT NULL,
    user       TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    since      INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (source, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX successes_at ON successes (at);

-- Hosts allowed while the daemon ran.
CREATE TABLE allow (
    host    TEXT PRIMARY KEY,
    comment TEXT,
    since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Settings changed while the daemon ran; `value` is JSON.
CREATE TABLE overrides (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When this file was last opened, and by which version.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_counts_the_steps_and_they_all_work() {
        assert_eq!(usize::try_from(VERSION), Ok(STEPS.len()));
        let mut connection = Connection::open_in_memory().unwrap();
        for version in 1..=VERSION {
            migrate(&mut connection, version).unwrap();
            let done: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(done, version);
        }
        migrate(&mut connection, VERSION).unwrap();
    }
}
