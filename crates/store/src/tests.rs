use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use rusqlite::Connection;
use sipward_engine::{
    Cause, Details, Evidence, Exemption, Expiry, Grade, Identity, Offender, Refusal, RuleName,
    Scope, Success, Text, Timestamp, UnblockReason,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::*;
use sipward_model::wire::Mode;

const HOUR: u64 = 3_600_000_000;

/// A moment in 2026, in µs.
const NOW: u64 = 1_795_000_000_000_000;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn settings(path: &Path) -> StoreSettings {
    StoreSettings { location: StoreLocation::File(path.to_owned()), ..StoreSettings::default() }
}

fn open(settings: &StoreSettings) -> (Store, Saved) {
    Store::open(settings).unwrap()
}

/// Users and agents as only an attacker would choose them.
const HOSTILE: [&str; 4] =
    ["1000", "a\u{1b}[2J\n\0b", "'); DROP TABLE bans; --", "\u{202e}\u{feff}\"\\ü𝄞"];

fn cause(source: &str, ban_count: u32, rule: RuleName) -> Arc<Cause> {
    Arc::new(Cause::Rule(Evidence {
        rule,
        identity: Identity::Stranger,
        address: source.parse().unwrap(),
        failures: 5,
        max_failures: 5,
        window: Duration::from_secs(600),
        grade: Grade::Answered,
        score: 4.75,
        ban_count,
        details: Some(Box::new(Details {
            users: HOSTILE.map(Text::new).into(),
            profile: Text::new("internal"),
            user_agent: Text::new(HOSTILE[1]),
            reason: Some(Text::new(HOSTILE[3])),
        })),
    }))
}

fn ban(source: &str, until: u64) -> SavedBan {
    SavedBan {
        scope: Scope::Host,
        net: net(&format!("{source}/32")),
        since: at(NOW),
        until: Expiry::At(at(until)),
        cause: cause(source, 2, RuleName::Failures),
    }
}

fn put_ban(store: &Store, ban: &SavedBan) {
    store.put(Entry::Ban { at: ban.since, ban: ban.clone() });
}

fn unban(store: &Store, ban: &SavedBan, reason: UnblockReason) {
    store.put(Entry::Unban { net: ban.net, at: at(NOW + HOUR), reason });
}

/// What a store holds after everything is written and it was closed.
async fn reopened(store: Store, settings: &StoreSettings) -> Saved {
    store.settled().await;
    assert_eq!(store.close().await, Closed::Whole);
    open(settings).1
}

#[tokio::test]
async fn bans_come_back_with_every_word_an_attacker_chose() {
    let dir = TempDir::new().unwrap();
    let settings = settings(&dir.path().join("sipward.db"));
    let (store, saved) = open(&settings);
    assert_eq!(saved, Saved::default());
    let manual = |reason: &str, force| Arc::new(Cause::Manual { reason: reason.to_owned(), force });
    let first = ban("192.0.2.7", NOW + HOUR);
    let bans = vec![
        first.clone(),
        SavedBan {
            scope: Scope::Host,
            net: net("2001:db8::/32"),
            until: Expiry::Never,
            cause: manual(HOSTILE[1], true),
            ..first.clone()
        },
        SavedBan {
            scope: Scope::Host,
            net: net("10.128.0.0/9"),
            cause: Arc::new(Cause::Split { of: net("10.0.0.0/8"), was: manual("", false) }),
            ..first.clone()
        },
        SavedBan { net: net("192.0.2.9/32"), cause: Arc::new(Cause::Adopted), ..first },
    ];
    for ban in &bans {
        put_ban(&store, ban);
    }
    assert_eq!(reopened(store, &settings).await.bans, bans);
}

#[tokio::test]
async fn a_ban_that_ended_does_not_come_back_and_one_with_a_new_end_has_it() {
    let dir = TempDir::new().unwrap();
    let settings = settings(&dir.path().join("sipward.db"));
    let (store, _) = open(&settings);
    let (gone, kept) = (ban("192.0.2.7", NOW + HOUR), ban("192.0.2.8", NOW + HOUR));
    put_ban(&store, &gone);
    put_ban(&store, &kept);
    unban(&store, &gone, UnblockReason::Manual);
    let longer = SavedBan { until: Expiry::At(at(NOW + 2 * HOUR)), ..kept };
    put_ban(&store, &longer);
    assert_eq!(reopened(store, &settings).await.bans, [longer]);
}

#[tokio::test]
async fn a_route_that_was_found_never_replaces_the_ban_that_explains_it() {
    let dir = TempDir::new().unwrap();
    let settings = settings(&dir.path().join("sipward.db"));
    let (store, _) = open(&settings);
    let known = ban("192.0.2.7", NOW + HOUR);
    let endless = SavedBan { net: net("192.0.2.8/32"), until: Expiry::Never, ..known.clone() };
    let over = ban("192.0.2.9", NOW);
    for ban in [&known, &endless, &over] {
        put_ban(&store, ban);
    }
    let found = |ban: &SavedBan| SavedBan {
        since: at(NOW + 60),
        until: Expiry::At(at(NOW + 120)),
        cause: Arc::new(Cause::Adopted),
        ..ban.clone()
    };
    for ban in [&known, &endless, &over] {
        put_ban(&store, &found(ban));
    }
    let bans = reopened(store, &settings).await.bans;
    assert_eq!(bans, [known, endless, found(&over)]);
}

#[tokio::test]
async fn the_count_of_an_offender_outlives_its_ban_and_a_pause_is_no_offence() {
    let dir = TempDir::new().unwrap();
    let settings = settings(&dir.path().join("sipward.db"));
    let (store, _) = open(&settings);
    let second = ban("192.0.2.7", NOW + HOUR);
    let first = SavedBan {
        until: Expiry::At(at(NOW + 60)),
        cause: cause("192.0.2.7", 1, RuleName::Failures),
        ..second.clone()
    };
    let flood = SavedBan {
        scope: Scope::Host,
        net: net("192.0.2.8/32"),
        cause: cause("192.0.2.8", 1, RuleName::Flood),
        ..second.clone()
    };
    for ban in [&second, &first, &flood] {
        put_ban(&store, ban);
        unban(&store, ban, UnblockReason::Expired);
    }
    let saved = reopened(store, &settings).await;
    assert_eq!(saved.bans, []);
    let source: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(saved.offenders, [Offender { source, bans: 2, until: at(NOW + HOUR) }]);
}

#[tokio::test]
async fn phones_allowed_hosts_and_changed_settings_come_back() {
    let dir = TempDir::new().unwrap();
    let settings = settings(&dir.path().join("sipward.db"));
    let (store, _) = open(&settings);
    let phone = Success {
        source: "2001:db8::5".parse().unwrap(),
        user: Text::new(HOSTILE[1]),
        user_agent: Text::new(HOSTILE[3]),
        since: at(NOW),
        at: at(NOW + HOUR),
    };
    store.put(Entry::Remember(Box::new(Success { at: at(NOW), ..phone })));
    // Where no user agent was named, the one that is known stays.
    let user_agent = Text::new("");
    store.put(Entry::Remember(Box::new(Success { since: at(NOW + 1), user_agent, ..phone })));
    let allow = |host: &str, comment: Option<&str>| AllowEntry {
        host: host.parse().unwrap(),
        comment: comment.map(str::to_owned),
        since: at(NOW),
        until: comment.map(|_| at(NOW + HOUR)),
    };
    let office = allow("office.example.org", Some(HOSTILE[1]));
    store.put(Entry::Allow(allow("office.example.org", None)));
    store.put(Entry::Allow(office.clone()));
    store.put(Entry::Allow(allow("192.0.2.0/24", None)));
    store.put(Entry::Disallow { host: "192.0.2.0/24".parse().unwrap() });
    let set = |key: &str, value| Override { key: key.to_owned(), value, since: at(NOW) };
    let window = set("policy.window", serde_json::json!(600.5));
    store.put(Entry::Override(set("policy.window", serde_json::json!(1))));
    store.put(Entry::Override(window.clone()));
    store.put(Entry::Override(set("policy.max_failures", serde_json::json!(3))));
    store.put(Entry::Reset { key: "policy.max_failures".to_owned() });

    let saved = reopened(store, &settings).await;

    assert_eq!(saved.successes, [phone]);
    assert_eq!(saved.allow, [office]);
    assert_eq!(saved.overrides, [window]);
}

#[tokio::test]
async fn bans_of_observe_mode_are_kept_apart() {
    let dir = TempDir::new().unwrap();
    let enforcing = settings(&dir.path().join("sipward.db"));
    let observing = StoreSettings { observe: true, ..enforcing.clone() };
    let (store, _) = open(&enforcing);
    let real = ban("192.0.2.7", NOW + HOUR);
    put_ban(&store, &real);
    assert_eq!(store.close().await, Closed::Whole);
    let (store, saved) = open(&observing);
    assert_eq!(saved, Saved { written: saved.written, ..Saved::default() });
    assert!(saved.written.is_some(), "when is known in either mode");
    let seen = SavedBan { until: Expiry::Never, ..real.clone() };
    put_ban(&store, &seen);
    unban(&store, &ban("192.0.2.7", NOW), UnblockReason::Manual);
    put_ban(&store, &seen);
    let history = {
        store.settled().await;
        store.history(HistoryQuery { limit: 10, ..HistoryQuery::default() }).await.unwrap()
    };
    let observed: Vec<bool> = history.events.iter().map(|event| event.observed).collect();
    assert_eq!(observed.iter().filter(|observed| !**observed).count(), 1);
    assert_eq!(reopened(store, &observing).await.bans, [seen]);
    assert_eq!(open(&enforcing).1.bans, [real]);
}

#[tokio::test]
async fn a_change_of_mode_takes_the_bans_along() {
    let dir = TempDir::new().unwrap();
    let enforcing = settings(&dir.path().join("sipward.db"));
    let observing = StoreSettings { observe: true, ..enforcing.clone() };
    let (store, _) = open(&enforcing);
    put_ban(&store, &ban("192.0.2.1", NOW + HOUR));
    assert_eq!(store.close().await, Closed::Whole);
    let (store, _) = open(&observing);
    let (before, after) = (ban("192.0.2.7", NOW + HOUR), ban("192.0.2.8", NOW + HOUR));
    put_ban(&store, &before);
    store.put(Entry::Mode(Mode::Ban));
    store.put(Entry::Mode(Mode::Ban));
    put_ban(&store, &after);
    let mode = Override {
        key: "mode".to_owned(),
        value: serde_json::json!("ban"),
        since: Timestamp::from_micros(NOW),
    };
    store.put(Entry::Override(mode));
    store.settled().await;
    assert_eq!(Store::stored_override(&enforcing.location, "mode"), Some("ban".into()));
    assert_eq!(Store::stored_override(&enforcing.location, "modes"), None);
    assert_eq!(reopened(store, &enforcing).await.bans, [before, after]);
    assert!(open(&observing).1.bans.is_empty());
    let nowhere = StoreLocation::File(dir.path().join("nowhere.db"));
    assert_eq!(Store::stored_override(&nowhere, "mode"), None);
    assert!(!dir.path().join("nowhere.db").exists());
}

#[tokio::test]
async fn a_store_in_memory_works_and_two_of_them_share_nothing() {
    let settings = StoreSettings { location: StoreLocation::Memory, ..StoreSettings::default() };
    let (one, _) = open(&settings);
    let (other, saved) = open(&settings);
    assert_eq!(saved, Saved::default());
    put_ban(&one, &ban("192.0.2.7", NOW + HOUR));
    let health = one.settled().await;
    assert_eq!((health.state, health.file, health.behind_entries), (State::Ok, None, 0));
    let all = HistoryQuery { limit: 10, ..HistoryQuery::default() };
    assert_eq!(one.history(all.clone()).await.unwrap().events.len(), 1);
    other.settled().await;
    assert_eq!(other.history(all).await.unwrap(), HistoryPage::default());
}

#[tokio::test]
async fn what_is_put_in_is_written_without_being_asked() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let (store, _) = open(&settings(&path));
    put_ban(&store, &ban("192.0.2.7", NOW + HOUR));
    let reader = Connection::open(&path).unwrap();
    let count = || reader.query_row("SELECT count(*) FROM bans", [], |row| row.get::<_, i64>(0));
    until("the ban in the file", || count().unwrap() == 1).await;
}

/// Longest wait for anything, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the writer's thread, which announces nothing, has come so far.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited {PATIENCE:?} for: {what}");
}

mod closing;
mod history;
mod tokens;
mod trouble;

#[tokio::test]
async fn the_newest_alarms_without_an_end_and_the_first_test_come_back() {
    let directory = TempDir::new().unwrap();
    let settings = settings(&directory.path().join("x.db"));
    let (store, saved) = open(&settings);
    assert_eq!((saved.alarms.len(), saved.notified), (0, None));
    let alarm = |n: usize| SavedAlarm {
        kind: sipward_model::wire::AlarmKind::Guessed,
        about: Some(format!("{n}")),
        text: HOSTILE[n % 4].to_owned(),
        data: "{}".to_owned(),
        since: at(NOW),
        last: at(NOW + n as u64),
        times: 1,
    };
    for n in 0..MOST_ALARMS + 3 {
        store.put(Entry::Alarm(alarm(n)));
    }
    let again = SavedAlarm { times: 2, last: at(NOW + HOUR), ..alarm(MOST_ALARMS) };
    store.put(Entry::Alarm(again.clone()));
    store.put(Entry::Notified { at: at(NOW) });
    store.put(Entry::Notified { at: at(NOW + HOUR) });
    let _ = store.close().await;
    let (_store, saved) = open(&settings);
    assert_eq!(saved.alarms.len(), MOST_ALARMS);
    assert_eq!(saved.alarms.first(), Some(&alarm(3)));
    assert_eq!(saved.alarms.last(), Some(&again));
    assert_eq!(saved.notified, Some(at(NOW)));
}
