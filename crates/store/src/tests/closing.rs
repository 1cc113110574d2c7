//! The end of a run, and what the next one finds: all of it, or a word why not.

use super::*;

/// Bans that are worth a few pages of each table.
const MANY: u32 = 3_000;

fn many(n: u32) -> SavedBan {
    SavedBan {
        scope: Scope::Host,
        net: IpNet::from(IpAddr::V4((0x0a00_0000 + n * 7_919).into())),
        ..ban("192.0.2.7", NOW + HOUR)
    }
}

/// What was reported until now.
fn told(store: &Store) -> Vec<Notice> {
    let mut notices = store.take_notices().unwrap();
    std::iter::from_fn(|| notices.try_recv().ok()).collect()
}

fn copy(from: &Path, to: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(from), name(to)).unwrap();
    }
}

/// Waits until the file itself says that it is in use, not only its log.
async fn marked(path: &Path) {
    let copied = path.with_extension("looked-at");
    until("the mark in the file", || {
        copy(path, &copied, &[""]);
        let reader = Connection::open(&copied).unwrap();
        write::is_in_use(&reader).unwrap_or(false)
    })
    .await;
}

/// As the daemon does: it looks for a stored mode first, which must leave the write-ahead log as it is.
fn start(settings: &StoreSettings) -> (Store, Saved) {
    assert_eq!(Store::stored_override(&settings.location, "mode"), None);
    open(settings)
}

#[tokio::test]
async fn an_end_in_the_thick_of_it_loses_nothing_and_leaves_one_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    for n in 0..MANY {
        put_ban(&store, &many(n));
    }
    // Nobody has waited for the writer, and the checkpointer is at work.
    assert_eq!(store.close().await, Closed::Whole);
    let copied = dir.path().join("copy.db");
    copy(&path, &copied, &[""]);
    for settings in [settings, self::settings(&copied)] {
        let (store, saved) = open(&settings);
        assert_eq!(saved.bans.len(), MANY as usize);
        assert_eq!(told(&store), []);
    }
}

#[tokio::test]
async fn an_end_while_the_file_is_made_is_no_loss() {
    let dir = TempDir::new().unwrap();
    // Nothing is in the file itself before all tables are.
    for (file, sql) in [
        ("touched.db", ""),
        ("marked.db", "PRAGMA auto_vacuum = incremental; PRAGMA application_id = 1397313623"),
    ] {
        let path = dir.path().join(file);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let (store, _) = start(&settings(&path));
        assert!(
            !told(&store).iter().any(|told| matches!(told, Notice::Incomplete { .. })),
            "{file}"
        );
        put_ban(&store, &many(0));
        assert_eq!(store.close().await, Closed::Whole);
    }
    let path = dir.path().join("new.db");
    let (store, _) = start(&settings(&path));
    store.settled().await;
    let copied = dir.path().join("copy.db");
    copy(&path, &copied, &[""]);
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'bans'";
    let found: i64 =
        Connection::open(&copied).unwrap().query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(found, 1, "the tables are in the file, not in its log");
    assert_eq!(store.close().await, Closed::Whole);
}

#[tokio::test]
async fn what_cannot_be_written_by_the_end_is_counted() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    put_ban(&store, &many(0));
    store.settled().await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for n in 1..4 {
        put_ban(&store, &many(n));
    }
    assert_eq!(store.close().await, Closed::Lost { entries: 3 });
    drop(other);
    assert_eq!(open(&settings).1.bans, [many(0)]);
}

#[tokio::test]
async fn a_reader_at_the_end_leaves_a_log_that_the_next_start_reads() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    put_ban(&store, &many(0));
    store.settled().await;
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM bans").unwrap();
    put_ban(&store, &many(1));
    assert_eq!(store.close().await, Closed::WithLog);
    // As if the reader were killed: nobody works the log in.
    let copied = dir.path().join("copy.db");
    copy(&path, &copied, &["", "-wal"]);
    let (store, saved) = start(&self::settings(&copied));
    assert_eq!(saved.bans, [many(0), many(1)]);
    assert_eq!(told(&store), []);
}

#[tokio::test]
async fn after_a_kill_everything_that_was_written_is_back() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let (store, _) = open(&settings(&path));
    for n in 0..MANY {
        put_ban(&store, &many(n));
    }
    store.settled().await;
    marked(&path).await;
    // What a kill leaves behind is what is there now.
    let copied = dir.path().join("copy.db");
    copy(&path, &copied, &["", "-wal"]);
    let (store, saved) = start(&settings(&copied));
    assert_eq!(saved.bans.len(), MANY as usize);
    assert_eq!(told(&store), []);
}

#[tokio::test]
async fn a_copy_without_its_log_says_that_something_is_missing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let copied = dir.path().join("copy.db");
    let (store, _) = open(&settings(&path));
    marked(&path).await;
    // What comes now stays in the log: nobody works in what is newer than what somebody reads.
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM bans").unwrap();
    put_ban(&store, &many(0));
    store.settled().await;
    copy(&path, &copied, &[""]);
    let settings = settings(&copied);
    let (store, saved) = start(&settings);
    assert_eq!(saved.bans, []);
    let found = told(&store);
    let [Notice::Incomplete { error }] = &found[..] else { panic!("{found:?}") };
    for word in ["-wal is missing", "the latest entries are lost", ".backup"] {
        assert!(error.contains(word), "{word} in {error}");
    }
    // Once: from now on the file is what it is.
    assert_eq!(store.close().await, Closed::Whole);
    assert_eq!(told(&open(&settings).0), []);
}

#[tokio::test]
async fn bans_that_were_ended_by_hand_after_a_kill_are_no_loss() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let (store, _) = open(&settings(&path));
    put_ban(&store, &many(0));
    store.settled().await;
    marked(&path).await;
    let killed = dir.path().join("killed.db");
    copy(&path, &killed, &["", "-wal"]);
    let killed = settings(&killed);
    assert_eq!(Store::end_bans(&killed).unwrap(), 1);
    assert_eq!(told(&open(&killed).0), [], "the log was worked in, not lost");
}

#[tokio::test]
async fn a_file_that_was_not_there_is_told_once() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    assert_eq!(told(&store), [Notice::Begun { file: path }]);
    assert_eq!(store.close().await, Closed::Whole);
    assert_eq!(told(&open(&settings).0), []);
}

#[tokio::test]
async fn a_file_that_another_process_writes_to_is_read_whole() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    for n in 0..MANY {
        put_ban(&store, &many(n));
        if n % 500 == 499 {
            store.settled().await;
            put_ban(&store, &many(n));
            let (_, saved) = open(&settings);
            assert_eq!(saved.bans.len(), n as usize + 1, "all that was written before");
        }
    }
}
