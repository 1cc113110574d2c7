use super::*;

fn query() -> HistoryQuery {
    HistoryQuery { limit: 100, ..HistoryQuery::default() }
}

/// A store whose history is known.
async fn filled(dir: &TempDir) -> Store {
    let (store, _) = open(&settings(&dir.path().join("sipward.db")));
    for (n, source) in ["192.0.2.7", "192.0.2.8", "198.51.100.1"].into_iter().enumerate() {
        let ban = ban(source, NOW + HOUR);
        store.put(Entry::Ban { at: at(NOW + n as u64), ban });
    }
    let wide = SavedBan { net: net("192.0.0.0/16"), ..ban("192.0.2.7", NOW) };
    store.put(Entry::Ban { at: at(NOW + 3), ban: wide });
    let office = net("192.0.2.8/32");
    store.put(Entry::Unban { net: office, at: at(NOW + 4), reason: UnblockReason::Manual });
    let refusal = Refusal::Exempt { class: Exemption::Allow, net: office };
    let cause = cause("192.0.2.8", 1, RuleName::Users);
    store.put(Entry::Refused { net: office, at: at(NOW + 5), refusal, cause });
    store.settled().await;
    store
}

async fn told(store: &Store, query: HistoryQuery) -> Vec<String> {
    let page = store.history(query).await.unwrap();
    let what = |event: &HistoryEvent| {
        let what = match &event.what {
            What::Ban { .. } => "ban",
            What::Unban { .. } => "unban",
            What::Refused { .. } => "refused",
            What::FlowDenied { .. } => "flow denied",
            What::FlowAllowed { .. } => "flow allowed",
        };
        format!("{} {what} {}", event.at.as_micros() - NOW, event.net)
    };
    page.events.iter().map(what).collect()
}

#[tokio::test]
async fn it_tells_everything_newest_first() {
    let dir = TempDir::new().unwrap();
    let store = filled(&dir).await;
    assert_eq!(
        told(&store, query()).await,
        [
            "5 refused 192.0.2.8/32",
            "4 unban 192.0.2.8/32",
            "3 ban 192.0.0.0/16",
            "2 ban 198.51.100.1/32",
            "1 ban 192.0.2.8/32",
            "0 ban 192.0.2.7/32",
        ]
    );
    let events = store.history(query()).await.unwrap().events;
    let What::Refused { refusal, cause: why } = &events[0].what else { panic!("{events:?}") };
    let office = net("192.0.2.8/32");
    assert_eq!(*refusal, Refusal::Exempt { class: Exemption::Allow, net: office });
    assert_eq!(*why, cause("192.0.2.8", 1, RuleName::Users));
    assert_eq!(events[1].what, What::Unban { reason: UnblockReason::Manual });
    let until = Expiry::At(at(NOW + HOUR));
    assert_eq!(
        events[5].what,
        What::Ban { scope: Scope::Host, until, cause: cause("192.0.2.7", 2, RuleName::Failures) }
    );
}

#[tokio::test]
async fn an_address_is_told_of_with_the_networks_around_it() {
    let dir = TempDir::new().unwrap();
    let store = filled(&dir).await;
    let of = |text: &str| HistoryQuery { net: Some(net(text)), ..query() };
    assert_eq!(
        told(&store, of("192.0.2.7/32")).await,
        ["3 ban 192.0.0.0/16", "0 ban 192.0.2.7/32"]
    );
    assert_eq!(told(&store, of("192.0.3.3/32")).await, ["3 ban 192.0.0.0/16"]);
    assert_eq!(
        told(&store, of("192.0.2.0/24")).await,
        [
            "5 refused 192.0.2.8/32",
            "4 unban 192.0.2.8/32",
            "3 ban 192.0.0.0/16",
            "1 ban 192.0.2.8/32",
            "0 ban 192.0.2.7/32",
        ]
    );
    assert_eq!(told(&store, of("0.0.0.0/0")).await.len(), 6);
    assert!(told(&store, of("2001:db8::/32")).await.is_empty());
}

#[tokio::test]
async fn kind_and_time_narrow_it() {
    let dir = TempDir::new().unwrap();
    let store = filled(&dir).await;
    let kind = |kind| HistoryQuery { kind: Some(kind), ..query() };
    assert_eq!(told(&store, kind(HistoryKind::Unban)).await, ["4 unban 192.0.2.8/32"]);
    assert_eq!(told(&store, kind(HistoryKind::Refused)).await, ["5 refused 192.0.2.8/32"]);
    assert_eq!(told(&store, kind(HistoryKind::Ban)).await.len(), 4);
    let (from, to) = (Some(at(NOW + 1)), Some(at(NOW + 2)));
    assert_eq!(
        told(&store, HistoryQuery { from, to, ..query() }).await,
        ["2 ban 198.51.100.1/32", "1 ban 192.0.2.8/32"]
    );
    let office = Some(net("192.0.2.8/32"));
    let both = HistoryQuery { net: office, from, to, ..query() };
    assert_eq!(told(&store, both).await, ["1 ban 192.0.2.8/32"]);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&settings(&dir.path().join("sipward.db")));
    // All at the same moment: the place of a page cannot be told by time alone.
    for n in 0..25 {
        put_ban(&store, &ban(&format!("192.0.2.{n}"), NOW + HOUR));
    }
    store.settled().await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.history(HistoryQuery { before, limit: 10, ..query() }).await.unwrap();
        seen.extend(page.events.iter().map(|event| event.net.to_string()));
        // What comes in meanwhile is newer and moves nothing.
        put_ban(&store, &ban("198.51.100.1", NOW + HOUR));
        store.settled().await;
        let Some(next) = page.next else { break };
        assert_eq!(next.to_string().parse(), Ok(next));
        before = Some(next);
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("192.0.2.{n}/32")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_cursor_that_nobody_gave_is_refused() {
    for text in ["", "-", "1", "1-", "-1-2", "1-2-3", "a-b", "99999999999999999999-1"] {
        assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text:?}");
    }
}

#[tokio::test]
async fn what_is_too_old_or_too_much_goes_and_the_file_shrinks() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = StoreSettings { max_history: 1_000, ..settings(&path) };
    let (store, _) = open(&settings);
    let now = sipward_model::clock::stamp(std::time::SystemTime::now()).as_micros();
    let at_time = |micros: u64, n: u32| {
        let net = IpNet::from(IpAddr::V4((0xC000_0000 + n).into()));
        let refusal = Refusal::Shared;
        let cause = cause("192.0.2.8", 1, RuleName::Users);
        Entry::Refused { net, at: at(micros), refusal, cause }
    };
    // Older than 90 days, then more than a thousand young ones.
    for n in 0..6_000 {
        store.put(at_time(now - 91 * 24 * HOUR, n));
    }
    for n in 0..3_000 {
        store.put(at_time(now - 1_000 * HOUR / 1_000 - u64::from(3_000 - n), n));
    }
    store.settled().await;
    assert_eq!(store.close().await, Closed::Whole);
    let large = std::fs::metadata(&path).unwrap().len();

    let mut connection = Connection::open(&path).unwrap();
    let mut rounds = 0;
    while prune::slice(&connection, &settings, at(now)).unwrap() == prune::Pruned::Part {
        rounds += 1;
        assert!(rounds < 100, "it never ends");
    }
    assert!(rounds >= 4, "in slices, not at once: {rounds}");

    let left: (i64, i64) = connection
        .query_row("SELECT count(*), min(at) FROM history", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(left.0, 1_000);
    assert_eq!(u64::try_from(left.1).unwrap(), now - HOUR - 1_000, "the newest stay");
    connection.pragma_update_and_check(None, "wal_checkpoint", "truncate", |_| Ok(())).unwrap();
    let small = std::fs::metadata(&path).unwrap().len();
    assert!(small < large / 3, "{large} bytes became {small}");
    let _ = &mut connection;
}

#[tokio::test]
async fn it_counts_bans_and_unbans_by_the_minute() {
    let dir = TempDir::new().unwrap();
    let store = filled(&dir).await;
    let minute = 60_000_000;
    let later = NOW + 2 * minute;
    store.put(Entry::Ban { at: at(later), ban: ban("192.0.2.9", later + HOUR) });
    store.settled().await;
    let counted = async |from, to| store.decisions_by_minute(at(from), at(to)).await.unwrap();
    let first = NOW / minute;
    assert_eq!(counted(NOW, later + 1).await, [(first, 4, 1), (later / minute, 1, 0)]);
    assert_eq!(counted(NOW + 2, later).await, [(first, 2, 1)], "from the one, before the other");
    assert_eq!(counted(later + 1, later + 2).await, []);
}

#[tokio::test]
async fn counts_come_back_and_newer_ones_replace_those_of_the_same_time() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sipward.db");
    let settings = settings(&path);
    let (store, _) = open(&settings);
    let counts = |bans| Counts { failures: [0, 1, 2, 3, 4, 5, 6], bans, unbans: 7 };
    let quarter = NOW / 900_000_000;
    let put = |store: &Store, from, counts: &[(u64, Counts)]| {
        store.put(Entry::Counts { from, counts: counts.to_vec() });
    };
    put(
        &store,
        quarter,
        &[(quarter, counts(1)), (quarter + 1, counts(2)), (quarter + 9, counts(3))],
    );
    // The clock was ahead: what seemed to be later is not.
    put(&store, quarter + 1, &[(quarter + 1, counts(4)), (quarter + 2, counts(5))]);
    store.settled().await;
    assert_eq!(store.close().await, Closed::Whole);
    let (store, _) = open(&settings);
    let kept = [(quarter, counts(1)), (quarter + 1, counts(4)), (quarter + 2, counts(5))];
    assert_eq!(store.counts().await.unwrap(), kept);
    assert_eq!(store.close().await, Closed::Whole);

    let connection = Connection::open(&path).unwrap();
    let later = at(NOW) + COUNTS_KEPT + QUARTER;
    assert_eq!(prune::slice(&connection, &settings, later).unwrap(), prune::Pruned::All);
    assert_eq!(load::counts(&connection).unwrap(), kept[1..], "a month later the first is gone");
}

#[tokio::test]
async fn it_is_counted_by_day_rule_and_country_without_pieces_of_split_bans() {
    let dir = TempDir::new().unwrap();
    let store = filled(&dir).await;
    let day = 86_400_000_000;
    let tomorrow = NOW + day;
    let of = |cause| SavedBan { cause, ..ban("203.0.113.1", tomorrow + HOUR) };
    let manual = Arc::new(Cause::Manual { reason: "\"by\":".to_owned(), force: false });
    let split = Cause::Split { of: net("203.0.113.0/24"), was: Arc::clone(&manual) };
    store.put(Entry::Ban { at: at(tomorrow), ban: of(manual) });
    store.put(Entry::Ban { at: at(tomorrow), ban: of(Arc::new(split)) });
    store.settled().await;
    let country = |net: IpNet| (net.prefix_len() > 16).then(|| "NL".to_owned());
    let counted = async |from, to, ahead_micros| {
        let query = TallyQuery { from: at(from), to: at(to), ahead_micros };
        store.tally(query, Some(country)).await.unwrap()
    };
    let tally = counted(NOW, tomorrow, 0).await;
    assert_eq!(tally.oldest, Some(at(NOW)));
    let days = |now: u64| i64::try_from(now / day).unwrap();
    let (first, second) = (days(NOW), days(tomorrow));
    let rule = |name: &str| Some(name.to_owned());
    let expected = [
        (first, HistoryKind::Ban, rule("failures"), 4),
        (first, HistoryKind::Unban, None, 1),
        (first, HistoryKind::Refused, rule("users"), 1),
        (second, HistoryKind::Ban, rule("manual"), 1),
    ];
    assert_eq!(tally.counts, expected);
    let countries = [(None, (1, 1)), (rule("NL"), (4, 4))].into();
    assert_eq!(tally.countries, Some(countries), "the /16 is nowhere");

    assert_eq!(
        counted(NOW + 1, NOW + 2, 0).await.counts,
        [(first, HistoryKind::Ban, rule("failures"), 2)]
    );
    let until_midnight = i64::try_from(day - NOW % day).unwrap();
    let ahead = counted(NOW, NOW, until_midnight).await;
    assert_eq!(ahead.counts[0].0, first + 1, "days begin in local time");
    let nothing =
        store.tally(TallyQuery { from: at(0), to: at(1), ahead_micros: 0 }, None::<fn(IpNet) -> _>);
    let nothing = nothing.await.unwrap();
    assert_eq!((nothing.counts.len(), nothing.countries), (0, None));
}

#[tokio::test]
async fn the_wanted_networks_fill_each_page_and_the_next_one_goes_on() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&settings(&dir.path().join("sipward.db")));
    for n in 0..40_u64 {
        let address = if n % 4 == 0 { "203.0.113.1" } else { "198.51.100.7" };
        store.put(Entry::Ban { at: at(NOW + n), ban: ban(address, NOW + HOUR) });
    }
    store.settled().await;
    let wanted = |net: IpNet| net.to_string().starts_with("203.0.113.");
    let mut query = HistoryQuery { limit: 6, ..HistoryQuery::default() };
    let mut times = Vec::new();
    for _ in 0..4 {
        let page = store.history_of(query.clone(), wanted).await.unwrap();
        times.extend(page.events.iter().map(|event| event.at));
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..10).rev().map(|n| at(NOW + 4 * n)).collect();
    assert_eq!((times, query.before), (expected, None));
}
