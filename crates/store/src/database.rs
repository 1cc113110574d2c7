//! The database file: how it is opened, what can be wrong with it, how it is put aside.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{APPLICATION_ID, VERSION, migrate, steps};
use super::{StoreError, write};
use sipward_config::StoreLocation;

/// How long another process may hold the file locked before that is trouble: a backup takes less.
const BUSY: Duration = Duration::from_secs(1);

/// Pages of the write-ahead log at which the writer itself works it into the file: 256 MB. The checkpointer
/// does it long before, except when entries come faster than the disk takes them.
const CHECKPOINT_PAGES: i64 = 65_536;

/// What stays of the write-ahead log after it was worked in, in bytes: what a flood fills before that is done
/// again. To give the room back and take it again would cost more than all the writing.
const LOG_KEPT: i64 = 32 * 1024 * 1024;

/// Memory for pages of the file, in KiB, negative as SQLite wants it: what one commit of
/// two thousand scattered bans changes.
const CACHE_KIB: i64 = -1_024;

/// Statements kept prepared: all there are.
const STATEMENTS: usize = 64;

/// Permissions of a new file: it names users of the PBX.
const MODE: u32 = 0o640;

/// Names tried for a corrupt file.
const NAMES: u32 = 100;

/// What is beside a database file in the same directory, by what is added to its name.
const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    /// Device and inode of the file.
    identity: Option<(u64, u64)>,
    /// It was empty.
    pub(super) is_new: bool,
    /// It was not closed, and its write-ahead log is missing.
    pub(super) lacks_log: bool,
}

/// Why there is no open database.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It must not be used.
    Refused(StoreError),
    /// It is damaged.
    Corrupt(String),
    /// It cannot be read or written now; later perhaps.
    Unavailable(String),
    /// It does not take what it was given.
    InvalidData(String),
}

/// The place of a database, for SQLite.
#[derive(Clone, Debug)]
pub(super) enum Place {
    File(PathBuf),
    /// A name that connections of this process share.
    Memory(String),
}

impl Place {
    pub(super) fn of(location: &StoreLocation) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        match location {
            StoreLocation::File(path) => Self::File(path.clone()),
            StoreLocation::Memory => {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                Self::Memory(format!("file:/sipward-{number}?vfs=memdb"))
            }
        }
    }

    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Memory(_) => None,
        }
    }

    /// A further connection that only reads.
    pub(super) fn reader(&self) -> rusqlite::Result<Connection> {
        let connection = self.connect()?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        Ok(connection)
    }

    /// As [`Place::reader`], for a file that is not open yet: its write-ahead log is there afterwards if it was
    /// before, because its absence means that it was lost.
    pub(super) fn reader_before_open(&self) -> rusqlite::Result<Connection> {
        let had_log = self.has_log();
        let connection = self.reader()?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, had_log)?;
        Ok(connection)
    }

    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Self::File(path) => Connection::open_with_flags(path, flags),
            Self::Memory(name) => Connection::open_with_flags(
                name,
                flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_CREATE,
            ),
        }?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }

    /// Bytes that the file and its log take; 0 where there is none.
    pub(super) fn size(&self) -> u64 {
        let Self::File(path) = self else { return 0 };
        std::fs::metadata(path).map_or(0, |found| found.len()) + self.log_size()
    }

    /// Whether there is a write-ahead log, be it empty.
    fn has_log(&self) -> bool {
        self.file().is_some_and(|path| beside(path, "-wal").exists())
    }

    /// Bytes of the write-ahead log.
    pub(super) fn log_size(&self) -> u64 {
        let Self::File(path) = self else { return 0 };
        std::fs::metadata(beside(path, "-wal")).map_or(0, |found| found.len())
    }

    /// The error, with advice.
    pub(super) fn trouble(&self, error: &rusqlite::Error) -> Trouble {
        let file = match self {
            Self::File(path) => path.display().to_string(),
            Self::Memory(_) => "the database in memory".to_owned(),
        };
        let Some(code) = error.sqlite_error_code() else {
            return Trouble::InvalidData(format!("{file}: {error}"));
        };
        let words = match code {
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                return Trouble::Corrupt(error.to_string());
            }
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed => {
                format!("{file} is locked by another process; `fuser {file}` names it")
            }
            ErrorCode::DiskFull => format!("no space left for {file}; free space on its disk"),
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
                format!("{file} cannot be written ({error}); check its owner, mode and mount")
            }
            ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::NoLargeFileSupport => {
                format!("{file}: {error}; check its directory and its disk (`dmesg`)")
            }
            ErrorCode::OutOfMemory | ErrorCode::OperationInterrupted => format!("{file}: {error}"),
            ErrorCode::InternalMalfunction
            | ErrorCode::OperationAborted
            | ErrorCode::NotFound
            | ErrorCode::SchemaChanged
            | ErrorCode::TooBig
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::ApiMisuse
            | ErrorCode::AuthorizationForStatementDenied
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::Unknown => return Trouble::InvalidData(format!("{file}: {error}")),
            // SQLite may learn further ones.
            _ => return Trouble::InvalidData(format!("{file}: {error}")),
        };
        Trouble::Unavailable(words)
    }
}

impl Database {
    /// Opens the database, or makes it, and brings its tables up to date.
    pub(super) fn open(place: &Place) -> Result<Self, Trouble> {
        let identity = match place {
            Place::File(path) => Some(claim(path)?),
            Place::Memory(_) => None,
        };
        let said = |error: rusqlite::Error| place.trouble(&error);
        let has_log = place.has_log();
        let mut connection = place.connect().map_err(said)?;
        // A file of another program is not changed, nor its write-ahead log.
        let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        connection.set_db_config(no_checkpoint, true).map_err(said)?;
        let is_new = inspect(place, &connection)?;
        connection.set_db_config(no_checkpoint, false).map_err(said)?;
        if is_new {
            create(&mut connection).map_err(said)?;
        }
        prepare(&connection).map_err(said)?;
        migrate(&mut connection, VERSION).map_err(said)?;
        let lacks_log = !has_log && write::is_in_use(&connection).map_err(said)?;
        Ok(Self { connection, identity, is_new, lacks_log })
    }

    /// Whether the file is still there under its name.
    pub(super) fn is_in_place(&self, place: &Place) -> bool {
        let (Some(path), Some(identity)) = (place.file(), self.identity) else {
            return true;
        };
        // Other errors show when something is written.
        match std::fs::metadata(path) {
            Ok(found) => (found.dev(), found.ino()) == identity,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// Makes sure that there is a file and that it can be written. SQLite would not say why it cannot.
fn claim(path: &Path) -> Result<(u64, u64), Trouble> {
    let opened = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path);
    let found = opened.and_then(|file: File| file.metadata()).map_err(|error| {
        let directory = path.parent().unwrap_or(Path::new("/")).display();
        Trouble::Unavailable(format!(
            "cannot open {}: {error}; the directory {directory} must exist and be writable for the \
             user that sipward runs as (`StateDirectory=sipward` in its unit creates the \
             default one), or set `store.path` to another file",
            path.display()
        ))
    })?;
    Ok((found.dev(), found.ino()))
}

/// Checks that the database belongs to sipward; gives whether it is empty.
fn inspect(place: &Place, connection: &Connection) -> Result<bool, Trouble> {
    let number = |pragma| {
        connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map_err(|error| place.trouble(&error))
    };
    let (application, version, pages) =
        (number("application_id")?, number("user_version")?, number("page_count")?);
    if pages == 0 {
        return Ok(true);
    }
    let file = place.file().unwrap_or(Path::new(":memory:")).to_owned();
    let tables = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map_err(|error| place.trouble(&error))?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(true);
    }
    if application != APPLICATION_ID {
        return Err(Trouble::Refused(StoreError::Foreign { file }));
    }
    if version > VERSION {
        let (found, known) = (version, VERSION);
        return Err(Trouble::Refused(StoreError::Newer { file, found, known }));
    }
    Ok(false)
}

/// Makes the tables of a new file: all or none, and in the file itself. If they were in a write-ahead log, an end
/// between two steps would look like the loss of that log.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    // Must come before the first table. Pages that become free are given back bit by bit, so that the file
    // shrinks without being copied.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    steps(&transaction, VERSION)?;
    transaction.commit()
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    // The answer is the mode in force; memory has another.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // A commit is in the kernel's hands when it returns, so it survives any end of this process. A
    // power cut may take the last ones along, never break the file; the routes go with them then.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_KEPT, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Gives a corrupt file another name, and what is beside it too; nothing of it is changed.
pub(super) fn put_aside(path: &Path, stamp: &str) -> io::Result<PathBuf> {
    let name = |number: u32| match number {
        0 => beside(path, &format!(".corrupt-{stamp}")),
        _ => beside(path, &format!(".corrupt-{stamp}-{number}")),
    };
    let free = |kept: &PathBuf| COMPANIONS.iter().all(|suffix| !beside(kept, suffix).exists());
    let kept = (0..NAMES)
        .map(name)
        .find(free)
        .ok_or_else(|| io::Error::other("too many corrupt files next to it"))?;
    // The file itself last: as long as it has its name, the rest can be done again.
    for suffix in COMPANIONS.iter().rev() {
        match std::fs::rename(beside(path, suffix), beside(&kept, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(kept)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
