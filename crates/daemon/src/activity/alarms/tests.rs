use std::net::IpAddr;

use sipward_engine::{Alarm, Text};

use super::*;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000 * 1_000_000);

fn at(minutes: u64) -> Timestamp {
    NOON + Duration::from_secs(minutes * 60)
}

fn away(error: &str) -> Record {
    Record::EslDisconnected { error: error.to_owned(), retry_in_seconds: 1.0 }
}

fn back() -> Record {
    Record::EslConnected { peer: "127.0.0.1:8021".parse().unwrap() }
}

fn undelivered(by: &str) -> Record {
    let (by, error) = (by.to_owned(), "no route".to_owned());
    Record::DeliveryFailed { by, error, retry_in_seconds: None }
}

fn told(records: impl IntoIterator<Item = (u64, Record)>) -> Alarms {
    let mut alarms = Alarms::default();
    for (minutes, record) in records {
        alarms.note(&Arc::new(record), at(minutes));
    }
    alarms
}

fn state(concern: AlarmKind) -> ActiveState {
    ActiveState { concern, since: NOON, text: "it stands".to_owned() }
}

#[test]
fn attempts_that_fail_one_after_the_other_are_one_alarm() {
    let alarms = told([(0, away("refused")), (1, away("timed out"))]);
    let seen = alarms.read(&[state(AlarmKind::EslDisconnected)], at(2));
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].first, seen[0].last, seen[0].times), (at(0), at(1), 2));
    assert_eq!(seen[0].standing, Some(true));
    assert!(seen[0].text.contains("timed out"), "{}", seen[0].text);
    assert_eq!(seen[0].weighs(at(2)), Some(AlarmState::Alarm));
}

#[test]
fn an_alarm_that_is_over_says_when_it_ended() {
    let alarms = told([(0, away("refused")), (5, back()), (9, away("refused")), (10, back())]);
    let seen = alarms.read(&[], at(11));
    let ends: Vec<_> = seen.iter().map(|alarm| (alarm.standing, alarm.ended)).collect();
    assert_eq!(ends, [(Some(false), Some(at(10))), (Some(false), Some(at(5)))]);
    assert_eq!(seen[0].weighs(at(11)), None);
}

#[test]
fn what_the_owner_of_a_state_says_outweighs_what_was_told() {
    // The end was not heard.
    let alarms = told([(0, away("refused"))]);
    assert_eq!(alarms.read(&[], at(1))[0].standing, Some(false));
    // The beginning was not heard.
    let seen = Alarms::default().read(&[state(AlarmKind::StoreDegraded)], at(1));
    assert_eq!(seen[0].standing, Some(true));
    assert_eq!(seen[0].text, "it stands");
}

#[test]
fn only_the_newest_of_a_kind_stands() {
    let alarms = told([(0, away("a")), (5, back()), (9, away("b"))]);
    let seen = alarms.read(&[state(AlarmKind::EslDisconnected)], at(10));
    let stand: Vec<_> = seen.iter().map(|alarm| alarm.standing).collect();
    assert_eq!(stand, [Some(true), Some(false)]);
}

#[test]
fn alarms_about_different_things_are_told_apart() {
    let again = Record::Delivered { by: "mail".to_owned(), lost: 0 };
    let alarms = told([(0, undelivered("mail")), (1, undelivered("webhook x")), (2, again)]);
    let stand: Vec<_> = alarms.read(&[], at(3)).iter().map(|alarm| alarm.standing).collect();
    assert_eq!(stand, [Some(true), Some(false)]);
}

#[test]
fn an_alarm_without_an_end_wants_attention_for_an_hour_and_is_remembered_for_a_day() {
    let alarms = told([(0, Record::Alarm(Alarm::ManyBans { bans: 700 }))]);
    let seen = alarms.read(&[], at(59));
    assert_eq!(seen[0].standing, None);
    assert_eq!(seen[0].weighs(at(59)), Some(AlarmState::Attention));
    assert_eq!(seen[0].weighs(at(60)), None);
    assert_eq!(alarms.read(&[], at(24 * 60 - 1)).len(), 1);
    assert_eq!(alarms.read(&[], at(24 * 60)).len(), 0);
}

#[test]
fn many_alarms_push_out_those_that_are_over_and_none_that_stands() {
    let attacked = |n: usize| {
        let user = Text::new(&format!("user{n}"));
        Record::Alarm(Alarm::AccountAttacked { user, sources: 10 })
    };
    let mut alarms = told([(0, undelivered("mail"))]);
    for n in 0..2 * MOST {
        alarms.note(&Arc::new(attacked(n)), at(1));
    }
    let seen = alarms.read(&[], at(1));
    assert_eq!(seen.len(), MOST);
    let mail = seen.last().unwrap();
    assert_eq!((mail.concern, mail.standing), (AlarmKind::DeliveryFailed, Some(true)));
}

#[test]
fn text_of_strangers_is_escaped() {
    let source: IpAddr = "192.0.2.7".parse().unwrap();
    let user = Text::new("a\u{1b}[2Jb");
    let reason = sipward_model::record::RefusedFor::MaxRegistrations;
    let alarms = told([(0, Record::RefusedLogin { address: source, user, reason })]);
    assert!(!alarms.read(&[], at(0))[0].text.contains('\u{1b}'));
}

fn attacked(user: &str) -> Record {
    Record::Alarm(Alarm::AccountAttacked { user: Text::new(user), sources: 12 })
}

#[test]
fn an_acknowledged_alarm_no_longer_counts_and_stays_listed_with_who_and_when() {
    let mut alarms = told([(0, attacked("1000")), (0, attacked("1001")), (1, away("refused"))]);
    let standing = [state(AlarmKind::EslDisconnected)];
    let done =
        alarms.acknowledge((AlarmKind::AccountAttacked, Some("1001")), "anna", &standing, at(2));
    assert_eq!(done.len(), 1);
    assert_eq!((done[0].about.as_deref(), done[0].at), (Some("1001"), at(2)));
    let rest = alarms.acknowledge((AlarmKind::AccountAttacked, None), "bert", &standing, at(3));
    assert_eq!(rest.len(), 1, "the other one");
    let seen = alarms.read(&standing, at(4));
    let by = |about: &str| {
        let found = seen.iter().find(|seen| seen.about.as_deref() == Some(about)).unwrap();
        (found.acknowledged.clone(), found.weighs(at(4)))
    };
    assert_eq!(by("1001"), (Some(("anna".to_owned(), at(2))), None));
    assert_eq!(by("1000"), (Some(("bert".to_owned(), at(3))), None));
    assert_eq!(alarms.acknowledge((AlarmKind::AccountAttacked, None), "x", &[], at(5)), []);

    // The same, later: a new alarm.
    alarms.note(&Arc::new(attacked("1000")), at(60));
    let seen = alarms.read(&[], at(60));
    assert_eq!(
        (seen[0].acknowledged.clone(), seen[0].weighs(at(60))),
        (None, Some(AlarmState::Attention))
    );
}

#[test]
fn what_was_acknowledged_before_a_restart_stays_so_until_its_state_ends() {
    let mut before = told([(0, undelivered("mail")), (0, attacked("1000"))]);
    let mut saved = before.acknowledge((AlarmKind::DeliveryFailed, None), "anna", &[], at(1));
    saved.extend(before.acknowledge((AlarmKind::AccountAttacked, None), "anna", &[], at(1)));

    let mut alarms = Alarms::default();
    alarms.restore(saved, Vec::new(), at(4));
    alarms.note(&Arc::new(undelivered("mail")), at(5));
    let seen = alarms.read(&[], at(6));
    assert_eq!(seen.len(), 2, "that of the account is listed, with nothing but its text");
    assert!(seen.iter().all(|seen| seen.acknowledged.is_some() && seen.weighs(at(6)).is_none()));
    assert!(seen.iter().any(|seen| seen.text.contains("user 1000 is attacked")), "{seen:?}");

    let over = Record::Delivered { by: "mail".to_owned(), lost: 0 };
    let ended = alarms.note(&Arc::new(over), at(7));
    assert_eq!(ended, Some(Kept::Ended(AlarmKind::DeliveryFailed, Some("mail".to_owned()))));
    alarms.note(&Arc::new(undelivered("mail")), at(8));
    assert_eq!(alarms.read(&[], at(9))[0].weighs(at(9)), Some(AlarmState::Attention));
    alarms.note(&Arc::new(attacked("1000")), at(10));
    assert_eq!(alarms.read(&[], at(10))[0].weighs(at(10)), Some(AlarmState::Attention));
    assert_eq!(alarms.read(&[], at(26 * 60)).len(), 1, "a day later only the state is left");
}

fn kept(alarms: &mut Alarms, minutes: u64, record: Record) -> SavedAlarm {
    match alarms.note(&Arc::new(record), at(minutes)) {
        Some(Kept::Raised(alarm)) => alarm,
        other => panic!("{other:?} is kept"),
    }
}

#[test]
fn an_event_counts_on_after_a_restart_until_it_is_acknowledged_or_old() {
    let mut before = Alarms::default();
    let saved = kept(&mut before, 0, attacked("1000"));
    assert_eq!(before.note(&Arc::new(undelivered("mail")), at(0)), None, "its owner reports it");

    let mut alarms = Alarms::default();
    alarms.restore(Vec::new(), vec![saved.clone()], at(5));
    let seen = alarms.read(&[], at(6));
    assert_eq!((seen.len(), seen[0].first, seen[0].last), (1, at(0), at(0)));
    assert_eq!(seen[0].text, before.read(&[], at(6)).pop().unwrap().text);
    assert_eq!(seen[0].weighs(at(6)), Some(AlarmState::Attention));
    let Some(Report::Saved { fields, .. }) = &seen[0].report else { panic!("{seen:?}") };
    assert_eq!(fields["user"], "1000");

    let done = alarms.acknowledge((AlarmKind::AccountAttacked, None), "anna", &[], at(7));
    assert_eq!(done.len(), 1);
    assert_eq!(alarms.read(&[], at(8)).len(), 1, "listed once");
    let mut again = Alarms::default();
    again.restore(done, vec![saved.clone()], at(9));
    let seen = again.read(&[], at(9));
    assert_eq!((seen.len(), seen[0].weighs(at(9))), (1, None), "acknowledged");

    let mut late = Alarms::default();
    late.restore(Vec::new(), vec![saved], at(24 * 60));
    assert!(late.read(&[], at(24 * 60)).is_empty(), "a day old");
}

#[test]
fn a_store_that_opens_late_takes_nothing_back() {
    let mut before = told([(0, attacked("1000")), (0, attacked("1001"))]);
    let acknowledged = before.acknowledge((AlarmKind::AccountAttacked, None), "anna", &[], at(1));
    let mut alarms = told([(10, attacked("1000"))]);
    alarms.acknowledge((AlarmKind::AccountAttacked, Some("1000")), "bert", &[], at(11));
    alarms.restore(acknowledged, Vec::new(), at(12));
    let seen = alarms.read(&[], at(12));
    let by = |about: &str| {
        let found = seen.iter().find(|seen| seen.about.as_deref() == Some(about)).unwrap();
        found.acknowledged.clone().map(|(name, _)| name)
    };
    assert_eq!((by("1000").as_deref(), by("1001").as_deref()), (Some("bert"), Some("anna")));
}

#[test]
fn of_an_alarm_that_comes_again_and_again_ever_fewer_are_stored() {
    let mut alarms = Alarms::default();
    let raised = (0..64).filter(|_| alarms.note(&Arc::new(attacked("1000")), at(0)).is_some());
    assert_eq!(raised.count(), 7);
}
