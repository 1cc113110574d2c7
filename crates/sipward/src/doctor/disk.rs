//! The database and the room for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Check;
use sipward_model::text::Plain;

const DATABASE: &str = "database";
const ROOM: &str = "disk space";

/// Free bytes that need a look, and free bytes with which nothing is stored any more: the history of
/// three months has some hundred megabytes, a commit some kilobytes.
const LITTLE: u64 = 256 * 1024 * 1024;
const NONE: u64 = 16 * 1024 * 1024;

/// How long a write of the daemon may hold up the reading.
const PATIENCE: Duration = Duration::from_secs(5);

/// Two checks.
pub(super) async fn checks(file: &Path, is_running: bool) -> [Check; 2] {
    let path = file.to_owned();
    // A large file takes seconds to read.
    let database = tokio::task::spawn_blocking(move || database(&path, is_running)).await;
    let database = database
        .unwrap_or_else(|error| Check::fail(DATABASE, error.to_string(), "report this as a bug"));
    [database, room(file)]
}

/// Nothing is stored.
pub(super) fn in_memory() -> [Check; 2] {
    let advice = "set [store] path to a file, so that bans survive a restart";
    [
        Check::warn(DATABASE, "in memory: nothing survives a restart", advice),
        Check::ok(ROOM, "not needed"),
    ]
}

fn database(file: &Path, is_running: bool) -> Check {
    let place = file.display();
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) if !is_running => {
            return Check::ok(
                DATABASE,
                format!("{place} does not exist yet; the daemon creates it"),
            );
        }
        Ok(false) => {
            let advice = "`sipward status` shows why the store is degraded";
            return Check::fail(
                DATABASE,
                format!("{place} is missing while the daemon runs"),
                advice,
            );
        }
        Err(error) => {
            let advice = "run `sipward doctor` as root";
            return Check::warn(DATABASE, format!("cannot check {place}: {error}"), advice);
        }
    }
    match quick_check(file) {
        Ok(words) if words == "ok" => {
            let size = std::fs::metadata(file).map_or(0, |file| file.len());
            Check::ok(DATABASE, format!("{place} is intact, {} kB", size / 1000))
        }
        Ok(words) => Check::fail(
            DATABASE,
            format!("{place} is damaged: {}", Plain(&words)),
            "restart sipward: it renames the file and creates a new one",
        ),
        Err(rusqlite::Error::SqliteFailure(error, _))
            if matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
        {
            Check::fail(
                DATABASE,
                format!("{place} is damaged: {error}"),
                "restart sipward: it renames the file and creates a new one",
            )
        }
        Err(error) => Check::warn(
            DATABASE,
            format!("cannot read {place}: {error}"),
            "run `sipward doctor` as root",
        ),
    }
}

fn quick_check(file: &Path) -> Result<String, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(file, flags)?;
    database.busy_timeout(PATIENCE)?;
    // The first complaint is enough.
    database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}

fn room(file: &Path) -> Check {
    let Some(directory) = existing(file) else {
        return Check::warn(ROOM, "no directory of the database exists", "create it");
    };
    let place = directory.display();
    let found = match statvfs(&directory) {
        Ok(found) => found,
        Err(error) => {
            let advice = "run `sipward doctor` as root";
            return Check::warn(ROOM, format!("cannot check {place}: {error}"), advice);
        }
    };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    // Some file systems (btrfs) have no fixed number of files and say 0 of 0.
    let full = found.files() > 0 && found.files_available() == 0;
    let told = format!("{} MB free in {place}", free / 1_000_000);
    let advice = "free some space: without it bans continue, but do not survive a restart";
    if full {
        Check::fail(ROOM, format!("no free inodes in {place}"), advice)
    } else if free < NONE {
        Check::fail(ROOM, told, advice)
    } else if free < LITTLE {
        Check::warn(ROOM, told, advice)
    } else {
        Check::ok(ROOM, told)
    }
}

/// The nearest directory above a file that is there.
fn existing(file: &Path) -> Option<PathBuf> {
    file.ancestors().skip(1).find(|directory| directory.is_dir()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_sound_database_is_told_with_its_size() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("x.db");
        Connection::open(&file).unwrap().execute_batch("CREATE TABLE a(b)").unwrap();
        let check = database(&file, false);
        assert_eq!(check.state, State::Ok, "{check:?}");
        assert!(check.found.contains("is intact, 8 kB"), "{check:?}");
    }

    #[test]
    fn a_damaged_one_is_a_failure_and_stays_as_it_is() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("x.db");
        let text = "this was never a database".repeat(40);
        std::fs::write(&file, &text).unwrap();
        let check = database(&file, false);
        assert_eq!(check.state, State::Fail, "{check:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }

    #[test]
    fn a_missing_one_matters_only_while_the_daemon_runs() {
        let directory = tempfile::TempDir::new().unwrap();
        let file = directory.path().join("not/there/x.db");
        assert_eq!(database(&file, false).state, State::Ok);
        assert_eq!(database(&file, true).state, State::Fail);
        assert!(!file.exists());
        // Its place is judged by the nearest directory that is there.
        assert!(room(&file).found.contains(&directory.path().display().to_string()));
    }
}
