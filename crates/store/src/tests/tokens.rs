use super::*;
use sipward_model::wire::Scope;

fn token(name: &str) -> SavedToken {
    SavedToken {
        name: name.to_owned(),
        hash: [7; 32],
        scope: Scope::Write,
        since: at(NOW),
        until: Some(at(NOW + HOUR)),
        used: None,
    }
}

fn retired(name: &str) -> RetiredToken {
    RetiredToken { name: name.to_owned(), hash: token(name).hash, at: at(NOW) }
}

#[tokio::test]
async fn revoked_tokens_are_kept_within_limits() {
    let dir = TempDir::new().unwrap();
    let settings = settings(&dir.path().join("sipward.db"));
    let (store, _) = open(&settings);
    let count = u16::try_from(MOST_RETIRED).unwrap() + 10;
    for n in 0..count {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&n.to_be_bytes());
        let name = n.to_string();
        store.put(Entry::RevokeToken(RetiredToken { name, hash, at: at(NOW + u64::from(n)) }));
    }
    let _ = store.close().await;
    let (_store, saved) = open(&settings);
    assert_eq!(saved.retired.len(), MOST_RETIRED);
    assert_eq!(saved.retired.first().unwrap().name, "10");
}

#[tokio::test]
async fn tokens_are_kept_until_they_are_revoked() {
    let dir = TempDir::new().unwrap();
    let settings = settings(&dir.path().join("sipward.db"));
    let (store, _) = open(&settings);
    for name in ["a", "b"] {
        store.put(Entry::Token(token(name)));
    }
    let used = SavedToken { used: Some(at(NOW + 1)), ..token("b") };
    store.put(Entry::Token(used.clone()));
    store.put(Entry::RevokeToken(retired("a")));
    let _ = store.close().await;
    let (_store, saved) = open(&settings);
    assert_eq!(saved.tokens, [used]);
    assert_eq!(saved.retired, [retired("a")]);
    assert_eq!(saved.unreadable, 0);
}

#[tokio::test]
async fn a_new_file_in_place_of_a_lost_one_has_the_tokens_too() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let (store, _) = open(&settings(&path));
    store.put(Entry::Token(token("a")));
    store.put(Entry::Token(token("b")));
    store.put(Entry::RevokeToken(retired("b")));
    store.settled().await;
    for file in ["sipward.db", "sipward.db-wal", "sipward.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    let mut notices = store.take_notices().unwrap();
    let told = timeout(PATIENCE, async {
        while !matches!(notices.recv().await, Some(Notice::Recovered { .. })) {}
    });
    told.await.unwrap();
    let _ = store.close().await;
    let (_store, saved) = open(&settings(&path));
    assert_eq!(saved.tokens, [token("a")]);
    assert_eq!(saved.retired, [retired("b")]);
}

#[tokio::test]
async fn a_file_of_the_version_before_tokens_keeps_what_it_holds() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let mut old = Connection::open(&path).unwrap();
    old.pragma_update(None, "application_id", schema::APPLICATION_ID).unwrap();
    schema::migrate(&mut old, 1).unwrap();
    old.execute("INSERT INTO allow (host, comment, since) VALUES ('192.0.2.7', 'x', 1)", [])
        .unwrap();
    old.close().unwrap();

    let (store, saved) = open(&settings(&path));
    assert_eq!((saved.allow.len(), saved.tokens.len(), saved.unreadable), (1, 0, 0));
    store.put(Entry::Token(token("a")));
    let _ = store.close().await;
    let (_store, saved) = open(&settings(&path));
    assert_eq!((saved.allow.len(), saved.tokens.len()), (1, 1));
}
