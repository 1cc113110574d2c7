//! What must not hold up the writer: working its log into the file, and looking whether the file is
//! sound. A thread of its own, with connections of its own; in WAL mode neither waits for the other.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Shared;
use super::database::Trouble;
use super::health::State;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(250);

/// Bytes of the write-ahead log above which it is worked in. Smaller ones are cheap to read.
const LARGE_LOG: u64 = 16 * 1024 * 1024;

/// When the file is looked through, once in each run: all bans are back by then.
const CHECK_AFTER: Duration = Duration::from_secs(5);

/// Works until nobody holds the other end of `end`.
pub(super) fn run(shared: &Arc<Shared>, end: &Receiver<()>) {
    let check_at = Instant::now() + CHECK_AFTER;
    let mut is_checked = false;
    while end.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        if shared.status.word().state != State::Ok {
            continue;
        }
        if shared.place.log_size() > LARGE_LOG
            && let Err(error) = checkpoint(shared)
        {
            tracing::debug!(%error, "the store's log is not worked in yet");
        }
        if !is_checked && Instant::now() >= check_at {
            is_checked = true;
            if let Err(Trouble::Corrupt(error)) = check(shared) {
                // The writer owns the file, and puts it aside.
                shared.status.word().damage = Some(error);
            }
        }
    }
}

fn checkpoint(shared: &Shared) -> rusqlite::Result<()> {
    let connection = shared.place.connect()?;
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Looks through all tables, the history too, which nothing else reads as a whole.
fn check(shared: &Shared) -> Result<(), Trouble> {
    let ask = |connection: &Connection| {
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    };
    let answer = shared.place.reader().and_then(|connection| ask(&connection));
    match answer.map_err(|error| shared.place.trouble(&error))?.as_str() {
        "ok" => Ok(()),
        wrong => Err(Trouble::Corrupt(wrong.to_owned())),
    }
}
