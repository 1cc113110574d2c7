use std::collections::BTreeSet;

use sipward_engine::{Identity, Policy};
use sipward_esl::Notice;

use super::*;
use crate::store::{Location, StoreSettings};

/// A judge without a heart, and what it asks of FreeSWITCH.
fn judge() -> (Judge, mpsc::Receiver<Question>) {
    let engine = Engine::new(Policy::default(), 1).unwrap();
    let (changes, _) = mpsc::channel(1);
    let (ask, questions) = mpsc::channel(8);
    let (records, _) = broadcast::channel(1);
    let (wishes, heart) = (Wishes::new(changes), Box::new(|_: &Beat| ()));
    let settings = StoreSettings { location: Location::Memory, ..StoreSettings::default() };
    let (store, _) = Store::open(&settings).unwrap();
    let voices = Voices { wishes, store, questions: ask, records };
    (Judge::new(engine, Clock::start(None), voices, heart, None), questions)
}

fn phone(n: u8, expires: Option<u64>) -> Registration {
    Registration {
        user: format!("100{n}"),
        domain: "pbx.test".into(),
        source: IpAddr::from([192, 0, 2, n]),
        token: format!("call-{n}"),
        expires,
    }
}

fn known(judge: &Judge) -> BTreeSet<u8> {
    let is_known = |n: &u8| {
        let view = judge.engine.source(IpAddr::from([192, 0, 2, *n]));
        view.registrations > 0 && view.identity == Identity::Known
    };
    (0..=9).filter(is_known).collect()
}

#[test]
fn after_dropped_events_the_registrations_are_asked_for_once() {
    let (mut judge, mut questions) = judge();
    judge.beat();
    assert!(questions.try_recv().is_err(), "nothing was missed");
    for _ in 0..3 {
        judge.notice(Notice::Overflow { dropped: 7 });
    }
    assert!(questions.try_recv().is_err(), "not in the midst of a flood");
    judge.beat();
    assert_eq!(questions.try_recv(), Ok(Question::Snapshot));
    judge.beat();
    assert!(questions.try_recv().is_err());
}

#[test]
fn the_list_of_freeswitch_is_what_stands() {
    let (mut judge, _questions) = judge();
    let asked = Instant::now();
    let now = judge.clock.now().as_micros() / 1_000_000;
    // Run out by FreeSWITCH's clock, which need not be ours: it says that they stand.
    let phones = vec![phone(1, None), phone(2, Some(now + 600)), phone(3, Some(now - 600))];
    judge.order(Order::Registered { phones, asked });
    assert_eq!(known(&judge), [1, 2, 3].into());

    std::thread::sleep(Duration::from_millis(1));
    let later = Instant::now() + LIST_LAG;
    judge.order(Order::Registered { phones: vec![phone(2, None)], asked: later });
    assert_eq!(known(&judge), [2].into());
    assert_eq!(judge.totals.registered_now, 1);
}
