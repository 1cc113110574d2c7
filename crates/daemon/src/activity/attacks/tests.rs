use std::net::{IpAddr, Ipv4Addr};

use sipward_engine::{Grade, Identity, Judgement};

use super::tables::Within;
use super::*;
use sipward_model::text::Time;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000 * 1_000_000);

fn at(seconds: u64) -> Timestamp {
    NOON + Duration::from_secs(seconds)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn failure(source: IpAddr, user: &str, grade: Grade) -> Judgement {
    Judgement {
        address: source,
        user: Text::new(user),
        profile: Text::new("internal"),
        user_agent: Text::new("x"),
        grade,
        identity: Identity::Stranger,
        attention: false,
        failures: 1,
        exempt: None,
        banned: false,
    }
}

fn told(judgement: Judgement) -> Arc<Record> {
    Arc::new(Record::AuthFailure(judgement))
}

/// Failures a second apart.
fn attacks(failures: impl IntoIterator<Item = (&'static str, &'static str, Grade)>) -> Attacks {
    let mut attacks = Attacks::new(NOON);
    for (second, (source, user, grade)) in (0..).zip(failures) {
        attacks.failure(&failure(ip(source), user, grade), at(second));
    }
    attacks
}

const STORM: [(&str, &str, Grade); 5] = [
    ("192.0.2.1", "1000", Grade::Answered),
    ("192.0.2.2", "1000", Grade::Answered),
    ("192.0.2.2", "1000", Grade::Unproven),
    ("192.0.2.2", "Admin", Grade::Answered),
    ("192.0.2.3", "admin", Grade::Unproven),
];

#[test]
fn accounts_are_told_with_the_sources_that_attack_them() {
    let remembered = attacks(STORM).remembered(at(9));
    let (users, total) = users(&remembered, None, 0, 10);
    assert_eq!(total, 3);
    assert_eq!(
        users[0],
        Attacked {
            user: "1000".to_owned(),
            failures: 3,
            proved: 2,
            sources: 2,
            first: at(0),
            last: at(2),
            top: vec![(ip("192.0.2.2"), 2), (ip("192.0.2.1"), 1)],
            profiles: vec!["internal".to_owned()],
        }
    );
    assert_eq!(users[1].user, "admin", "of equals the one that was tried last");
    let (page, total) = tables::users(&remembered, Some("MIN"), 1, 1);
    assert_eq!((page.len(), page[0].user.as_str(), total), (1, "Admin", 2));
}

#[test]
fn each_table_counts_its_own_column() {
    let remembered = attacks(STORM).remembered(at(9));
    let of = |column, most| {
        let (rows, total) = rows(&remembered, column, |_| true, most);
        let rows = rows.into_iter().map(|row| (row.name, row.failures, row.proved, row.distinct));
        (rows.collect::<Vec<_>>(), total)
    };
    let (sources, total) = of(Column::Source, 2);
    assert_eq!(sources, [("192.0.2.2".to_owned(), 3, 2, 2), ("192.0.2.1".to_owned(), 1, 1, 1)]);
    assert_eq!(total, 3);
    assert_eq!(of(Column::User, 1).0, [("1000".to_owned(), 3, 2, 2)]);
    assert_eq!(of(Column::UserAgent, 9), (vec![("x".to_owned(), 5, 3, 3)], 1));
}

#[test]
fn attackers_come_before_those_whom_forged_packets_name_and_phones_are_neither() {
    let forged = [("203.0.113.9", "1000", Grade::Unproven); 7];
    let mut attacks = attacks(STORM.into_iter().chain(forged));
    // Its first failure, before it was known that it needs attention.
    attacks.failure(&failure(ip("203.0.113.5"), "1001", Grade::Answered), at(19));
    for second in 20..30 {
        let phone = failure(ip("203.0.113.5"), "1001", Grade::Genuine);
        attacks.failure(&Judgement { attention: true, ..phone }, at(second));
        let trunk = failure(ip("203.0.113.6"), "1001", Grade::Answered);
        let exempt = Some(sipward_engine::Exemption::Trunk);
        attacks.failure(&Judgement { exempt, ..trunk }, at(second));
    }
    let remembered = attacks.remembered(at(40));
    let of = |wanted: fn(&Row) -> bool| {
        let (rows, total) = rows(&remembered, Column::Source, wanted, 9);
        assert_eq!(rows.len() as u64, total);
        rows.into_iter().map(|row| (row.name, row.counted)).collect::<Vec<_>>()
    };
    let named = |rows: &[(&str, u64)]| -> Vec<(String, u64)> {
        rows.iter().map(|(name, counted)| ((*name).to_owned(), *counted)).collect()
    };
    assert_eq!(of(|row| row.counted > 0), named(&[("192.0.2.2", 2), ("192.0.2.1", 1)]));
    assert_eq!(of(|row| row.proved == 0), named(&[("203.0.113.9", 0), ("192.0.2.3", 0)]));
    assert_eq!(of(|_| true)[0].0, "192.0.2.2", "not whom most packets name");
}

#[test]
fn a_full_memory_says_how_far_it_reaches() {
    let mut attacks = Attacks::new(NOON);
    for n in 0..u32::try_from(MOST_FAILURES).unwrap() + 2 {
        let source = Ipv4Addr::from(n).into();
        let judgement = failure(source, "1000", Grade::Answered);
        attacks.failure(&judgement, at(n.into()));
    }
    let remembered = attacks.remembered(at(MOST_FAILURES as u64 + 1));
    assert_eq!(remembered.count(), MOST_FAILURES);
    assert_eq!(remembered.since, at(1), "the latest of those that went");
    let all = within(&remembered, Duration::from_secs(82_800), at(MOST_FAILURES as u64 + 1));
    assert_eq!(all.failures, MOST_FAILURES as u64);
    assert!(all.is_partial);
    let minute = within(&remembered, Duration::from_secs(60), at(MOST_FAILURES as u64 + 1));
    assert_eq!(
        minute,
        Within { failures: 60, sources: 60, counted: 60, attackers: 60, is_partial: false }
    );
}

#[test]
fn what_is_a_day_old_is_forgotten() {
    let mut attacks = attacks(STORM);
    let remembered = attacks.remembered(at(24 * 3600 + 2));
    assert_eq!(remembered.count(), 2);
    assert_eq!(remembered.since, at(2));
}

#[test]
fn a_healthy_phone_that_fails_is_told_once_with_its_failures() {
    let mut attacks = Attacks::new(NOON);
    let phone = ip("203.0.113.5");
    let attended = Judgement { attention: true, ..failure(phone, "1001", Grade::Answered) };
    attacks.failure(&attended.clone(), at(1));
    attacks.failure(&failure(phone, "1001", Grade::Answered), at(2));
    attacks.failure(&attended, at(3));
    let record = Arc::new(Record::NeedsAttention {
        address: phone,
        user: Text::new("1001"),
        user_agent: Text::new("Yealink"),
        last_success: Some(Time(NOON)),
    });
    attacks.attention(&record, at(1));
    attacks.attention(&record, at(4));
    let (patients, total) = patients(&attacks.remembered(at(5)), 10);
    assert_eq!(total, 1);
    let expected = Patient {
        user: "1001".to_owned(),
        source: phone,
        user_agent: "Yealink".to_owned(),
        last_success: Some(NOON),
        told: at(4),
        failures: 2,
        last: Some(at(3)),
    };
    assert_eq!(patients, [expected]);
}

#[test]
fn the_ticker_has_decisions_beside_a_storm_of_failures() {
    let mut ticker = crate::activity::Ticker::default();
    let address: IpAddr = ip("192.0.2.9");
    let unban = Record::Unban {
        net: address.into(),
        reason: sipward_engine::UnblockReason::Manual,
        still_stopped_by: None,
    };
    ticker.note(&Arc::new(unban), at(0));
    for second in 1..200_u32 {
        let source = Ipv4Addr::from(0xC633_6400 + second % 7).into();
        ticker.note(&told(failure(source, "1000", Grade::Answered)), at(second.into()));
    }
    for second in 200..203 {
        ticker.note(&told(failure(ip("203.0.113.7"), "1000", Grade::Answered)), at(second));
    }
    let latest = ticker.latest();
    assert_eq!(latest.len(), 6, "five that fail, and what was decided");
    assert_eq!((latest[0].at, latest[0].times), (at(202), 3));
    assert!(matches!(&*latest[5].record, Record::Unban { .. }));
}
