use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Waits for a notice, for long: the writer pauses between two attempts.
async fn next(notices: &mut mpsc::Receiver<Notice>) -> Notice {
    timeout(PATIENCE, notices.recv()).await.unwrap().unwrap()
}

fn error(result: Result<(Store, Saved), StoreError>) -> String {
    result.map(drop).expect_err("must be refused").to_string()
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_not_touched() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    put_ban(&store, &ban("192.0.2.7", NOW + HOUR));
    assert_eq!(store.close().await, Closed::Whole);
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    newer.close().unwrap();
    let before = std::fs::read(&path).unwrap();

    let told = error(Store::open(&settings));

    let (found, known) = (schema::VERSION + 1, schema::VERSION);
    let words = format!("schema version {found}, this version of sipward supports up to {known}");
    assert!(told.contains(&words), "{told}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_not_touched() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("fail2ban.sqlite3");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE bans (jail TEXT, ip TEXT)").unwrap();
    other.close().unwrap();
    let before = std::fs::read(&path).unwrap();

    let told = error(Store::open(&settings(&path)));

    assert!(told.contains("another program"), "{told}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_corrupt_file_is_put_aside_whole_and_a_new_one_is_begun() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let rubbish = b"this is no database, but somebody's bytes".repeat(1_000);
    std::fs::write(&path, &rubbish).unwrap();

    let (store, saved) = open(&settings(&path));

    assert_eq!(saved, Saved::default());
    let Notice::SetAside { kept, error } = next(&mut store.take_notices().unwrap()).await else {
        panic!("no word of it")
    };
    assert_eq!(std::fs::read(&kept).unwrap(), rubbish);
    assert!(kept.display().to_string().contains("sipward.db.corrupt-"), "{}", kept.display());
    assert!(error.contains("not a database"), "{error}");
    assert_eq!(store.health().set_aside, Some(kept));
    put_ban(&store, &ban("192.0.2.7", NOW + HOUR));
    assert_eq!(store.settled().await.state, State::Ok);
}

#[tokio::test]
async fn a_damaged_page_of_the_bans_is_found_at_the_start() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    for n in 0..200 {
        put_ban(&store, &ban(&format!("192.0.2.{n}"), NOW + HOUR));
    }
    store.settled().await;
    assert_eq!(store.close().await, Closed::Whole);
    let mut bytes = std::fs::read(&path).unwrap();
    // Every page but the first, which holds the schema.
    bytes.iter_mut().skip(4_096).for_each(|byte| *byte = !*byte);
    std::fs::write(&path, &bytes).unwrap();

    let (store, saved) = open(&settings);

    assert_eq!(saved, Saved::default());
    let kept = store.health().set_aside.expect("put aside");
    assert_eq!(std::fs::read(&kept).unwrap(), bytes);
}

#[tokio::test]
async fn what_an_operator_said_is_saved_from_a_file_whose_bans_are_damaged() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    let office = AllowEntry {
        host: "192.0.2.0/24".parse().unwrap(),
        comment: None,
        since: at(NOW),
        until: None,
    };
    let window = Override {
        key: "policy.window".to_owned(),
        value: serde_json::json!(600.5),
        since: at(NOW),
    };
    store.put(Entry::Allow(office.clone()));
    store.put(Entry::Override(window.clone()));
    put_ban(&store, &ban("198.51.100.7", NOW + HOUR));
    assert_eq!(store.close().await, Closed::Whole);
    damage(&path, "bans");

    let (store, saved) = open(&settings);

    assert!(store.health().set_aside.is_some(), "put aside");
    assert_eq!((saved.bans, &saved.allow), (vec![], &vec![office.clone()]));
    assert_eq!(saved.overrides, std::slice::from_ref(&window));
    // The new file has them too.
    let again = reopened(store, &settings).await;
    assert_eq!((again.allow, again.overrides), (vec![office], vec![window]));
}

/// Turns the first page of a table or an index into rubbish.
fn damage(path: &Path, name: &str) {
    let reader = Connection::open(path).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: i64 = reader.query_row(root, [name], |row| row.get(0)).unwrap();
    let root = usize::try_from(root).unwrap();
    drop(reader);
    let mut bytes = std::fs::read(path).unwrap();
    bytes.iter_mut().skip((root - 1) * 4_096).take(4_096).for_each(|byte| *byte = !*byte);
    std::fs::write(path, &bytes).unwrap();
}

#[tokio::test]
async fn damage_in_the_history_is_found_while_it_runs_and_costs_no_ban() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    let standing = ban("192.0.2.7", NOW + HOUR);
    for _ in 0..100 {
        put_ban(&store, &standing);
    }
    store.settled().await;
    assert_eq!(store.close().await, Closed::Whole);
    damage(&path, "history_net");

    let (store, saved) = open(&settings);

    assert_eq!(saved.bans, [standing]);
    let notice = next(&mut store.take_notices().unwrap()).await;
    assert!(matches!(notice, Notice::SetAside { .. }), "{notice:?}");
    until("a wish for all bans", || store.wants_bans()).await;
    store.put_bans(saved.bans.clone(), Vec::new());
    assert_eq!(reopened(store, &settings).await.bans, saved.bans);
}

#[tokio::test]
async fn a_row_that_makes_no_sense_costs_only_itself() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    for n in 1..4 {
        put_ban(&store, &ban(&format!("192.0.2.{n}"), NOW + HOUR));
    }
    assert_eq!(store.close().await, Closed::Whole);
    let hand = Connection::open(&path).unwrap();
    hand.execute("UPDATE bans SET net = x'00' WHERE id = 1", []).unwrap();
    hand.execute("UPDATE bans SET cause = '{' WHERE id = 2", []).unwrap();
    hand.close().unwrap();

    let (_, saved) = open(&settings);

    assert_eq!(saved.unreadable, 1);
    let nets: Vec<String> = saved.bans.iter().map(|ban| ban.net.to_string()).collect();
    assert_eq!(nets, ["192.0.2.2/32", "192.0.2.3/32"]);
    assert_eq!(*saved.bans[0].cause, Cause::Adopted, "a ban without a reason is still a ban");
}

#[tokio::test]
async fn a_missing_directory_degrades_says_what_to_do_and_recovers() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("missing").join("sipward.db");
    let settings = settings(&path);
    let (store, saved) = open(&settings);
    assert_eq!(saved, Saved::default());
    let State::Degraded { error, .. } = store.health().state else { panic!("not degraded") };
    for word in ["missing", "StateDirectory=sipward", "store.path"] {
        assert!(error.contains(word), "{word} in {error}");
    }
    put_ban(&store, &ban("192.0.2.7", NOW + HOUR));
    let health = store.settled().await;
    assert!(matches!(health.state, State::Degraded { .. }), "{health:?}");
    assert_eq!(health.behind_entries, 1);
    let asked = store.history(HistoryQuery::default()).await;
    assert!(matches!(asked, Err(StoreError::Degraded { .. })), "{asked:?}");

    std::fs::create_dir(path.parent().unwrap()).unwrap();

    let mut notices = store.take_notices().unwrap();
    assert!(matches!(next(&mut notices).await, Notice::Degraded { .. }));
    assert_eq!(next(&mut notices).await, Notice::Begun { file: path.clone() });
    assert_eq!(next(&mut notices).await, Notice::Recovered { dropped: 0 });
    assert_eq!(store.settled().await.behind_entries, 0);
    assert_eq!(reopened(store, &settings).await.bans.len(), 1);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "not for everybody's eyes: {mode:o}");
}

#[tokio::test]
async fn what_a_locked_file_held_comes_late_and_is_not_overwritten() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    let (before, lifted) = (ban("192.0.2.7", NOW + HOUR), ban("192.0.2.8", NOW + HOUR));
    put_ban(&store, &before);
    put_ban(&store, &lifted);
    assert_eq!(store.close().await, Closed::Whole);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE").unwrap();

    let (store, saved) = open(&settings);
    assert_eq!(saved, Saved::default());
    let State::Degraded { error, .. } = store.health().state else { panic!("not degraded") };
    assert!(error.contains("locked by another process"), "{error}");
    let found = SavedBan { cause: Arc::new(Cause::Adopted), since: at(NOW + 9), ..before.clone() };
    put_ban(&store, &found);
    unban(&store, &lifted, UnblockReason::Manual);
    assert!(!store.wants_bans(), "nobody knows yet what is in the file");
    drop(other);

    let mut notices = store.take_notices().unwrap();
    let saved = loop {
        match next(&mut notices).await {
            Notice::Late(saved) => break saved,
            Notice::Degraded { .. } | Notice::Recovered { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(saved.bans, std::slice::from_ref(&before));
    store.took_over();
    assert_eq!(reopened(store, &settings).await.bans, [before]);
}

#[tokio::test]
async fn what_finds_no_room_is_counted_and_then_all_bans_are_written_anew() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let words = Arc::new(Cause::Manual { reason: "word ".repeat(20_000), force: false });
    let some = SavedBan { cause: words, ..ban("192.0.2.7", NOW + HOUR) };
    let mut put = 0;
    while store.health().dropped == 0 {
        put_ban(&store, &some);
        put += 1;
        assert!(put < 1_000, "more than 64 MiB wait");
    }
    let office = AllowEntry {
        host: "192.0.2.0/24".parse().unwrap(),
        comment: None,
        since: at(NOW),
        until: None,
    };
    store.put(Entry::Allow(office.clone()));
    drop(other);

    until("a wish for all bans, and nothing behind", || {
        store.wants_bans() && store.health().behind_entries == 0
    })
    .await;
    let standing = vec![ban("198.51.100.1", NOW + HOUR), ban("198.51.100.2", NOW + HOUR)];
    store.put_bans(standing.clone(), Vec::new());
    assert!(!store.wants_bans());
    let saved = reopened(store, &settings).await;
    assert_eq!(saved.bans, standing);
    assert_eq!(saved.allow, [office], "there is always room for what an operator says");
}

#[tokio::test]
async fn a_file_that_is_removed_is_made_anew_with_all_that_is_known() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    let office = AllowEntry {
        host: "192.0.2.0/24".parse().unwrap(),
        comment: None,
        since: at(NOW),
        until: None,
    };
    store.put(Entry::Allow(office.clone()));
    put_ban(&store, &ban("192.0.2.7", NOW + HOUR));
    store.settled().await;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }

    until("a wish for all bans", || store.wants_bans()).await;
    let standing = vec![ban("198.51.100.1", NOW + HOUR)];
    store.put_bans(standing.clone(), Vec::new());
    let saved = reopened(store, &settings).await;
    assert_eq!((saved.bans, saved.allow), (standing, vec![office]));
}
