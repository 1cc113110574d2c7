use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sipward_engine::{Cause, Flow, Identity, Policy, Transport};
use sipward_esl::Notice;

use super::*;
use crate::freeswitch_queries::Registration;
use crate::freeswitch_queries::table::Part;
use crate::freeswitch_queries::{Answer, Listed};
use crate::route_queue::route_flow;
use sipward_config::{StoreLocation, StoreSettings};
use sipward_ingest::freeswitch::registrations::{Odd, Outcome};
use sipward_route::{Change, Found};
use sipward_store::{Saved, SavedFlow};

/// An engine task without a status hook, and what it asks of FreeSWITCH.
fn engine_task() -> (EngineTask, mpsc::Receiver<Query>) {
    let (task, questions, _) = engine_task_with_kernel();
    (task, questions)
}

/// The same, with what it asks of the kernel.
fn engine_task_with_kernel() -> (EngineTask, mpsc::Receiver<Query>, mpsc::Receiver<Change>) {
    let engine = Engine::new(Policy::default(), 1).unwrap();
    let (changes, wishes) = mpsc::channel(8);
    let (ask, questions) = mpsc::channel(8);
    let (records, _) = broadcast::channel(1);
    let (routes_out, status_hook) = (RouteQueue::new(changes), Box::new(|_: &EngineStatus| ()));
    let settings = StoreSettings { location: StoreLocation::Memory, ..StoreSettings::default() };
    let (store, _) = Store::open(&settings).unwrap();
    let outputs = Outputs { routes_out, store, questions: ask, records };
    (EngineTask::new(engine, Clock::start(None), outputs, status_hook, None), questions, wishes)
}

fn phone(n: u8, expires: Option<u64>) -> Registration {
    Registration {
        user: format!("100{n}"),
        domain: "pbx.test".into(),
        source: IpAddr::from([192, 0, 2, n]),
        port: Some(5060),
        call_id: format!("call-{n}"),
        expires,
    }
}

fn known(task: &EngineTask) -> BTreeSet<u8> {
    let is_known = |n: &u8| {
        let view = task.engine.source(IpAddr::from([192, 0, 2, *n]));
        view.registrations > 0 && view.identity == Identity::Known
    };
    (0..=9).filter(is_known).collect()
}

#[test]
fn after_dropped_events_the_registrations_are_asked_for_once() {
    let (mut task, mut questions) = engine_task();
    task.beat();
    assert!(questions.try_recv().is_err(), "nothing was missed");
    for _ in 0..3 {
        task.notice(Notice::Overflow { dropped: 7 });
    }
    assert!(questions.try_recv().is_err(), "not in the midst of a flood");
    task.beat();
    assert_eq!(questions.try_recv(), Ok(Query::Registrations));
    task.beat();
    assert!(questions.try_recv().is_err());
}

#[test]
fn the_list_of_freeswitch_is_what_stands() {
    let (mut task, _questions) = engine_task();
    let asked = Instant::now();
    let now = task.clock.now().as_micros() / 1_000_000;
    // Run out by FreeSWITCH's clock, which need not be ours: it says that they stand.
    let phones = vec![phone(1, None), phone(2, Some(now + 600)), phone(3, Some(now - 600))];
    list(&mut task, phones, asked, Outcome::default());
    assert_eq!(known(&task), [1, 2, 3].into());

    std::thread::sleep(Duration::from_millis(1));
    let later = Instant::now() + LIST_LAG;
    // An odd row may be any of them.
    let odd = Outcome { odd: Odd { count: 1, named: vec!["row 2".into()] }, ..Outcome::default() };
    list(&mut task, vec![phone(2, None)], later, odd);
    assert_eq!(known(&task), [1, 2, 3].into());
    assert!(task.protected.unknown().any(|part| part == Part::Registrations));

    list(&mut task, vec![phone(2, None)], later, Outcome::default());
    assert_eq!(known(&task), [2].into());
    assert_eq!(task.totals.registered_now, 1);
    assert!(!task.protected.unknown().any(|part| part == Part::Registrations));
}

fn list(task: &mut EngineTask, phones: Vec<Registration>, asked: Instant, outcome: Outcome) {
    for phone in phones {
        task.answer(Answer::Listed(Listed::Phones { phones: vec![phone], asked }));
    }
    task.answer(Answer::Listed(Listed::End { outcome, asked }));
}

/// An event of `sofia.c`.
fn event(subclass: &str, headers: &str) -> sipward_esl::Event {
    sipward_esl::Event::from_plain(format!(
        "Event-Subclass: sofia%3A%3A{subclass}\nEvent-Name: CUSTOM\n\
         Core-UUID: 4d36171e-cefe-4a7b-abf8-98eb32b5b3be\nEvent-Date-Timestamp: 1795969629663337\n\
         Event-Calling-File: sofia.c\nEvent-Sequence: 433\nprofile-name: internal\n{headers}\n"
    ))
}

#[test]
fn a_websocket_that_closes_ends_its_registration_without_an_address() {
    let (mut task, _questions) = engine_task();
    let who = "from-user: 1103\nfrom-host: pbx.test\ncall-id: a42306d26d9ab501\n";
    let register = event("register", &format!("{who}network-ip: 192.0.2.7\nnetwork-port: 40000\n"));
    task.event(&register, Instant::now());
    assert_eq!((task.totals.registered_now, known(&task)), (1, [7].into()));
    let close = event("unregister", &format!("{who}rpid: unknown\nreason: socket-disconnection\n"));
    task.event(&close, Instant::now());
    assert_eq!(task.totals.registered_now, 0);
    assert_eq!(task.engine.source(IpAddr::from([192, 0, 2, 7])).registrations, 0);
    // The list that was made before that does not bring it back.
    let back =
        Registration { user: "1103".into(), call_id: "a42306d26d9ab501".into(), ..phone(7, None) };
    list(&mut task, vec![back], Instant::now(), Outcome::default());
    assert_eq!(task.totals.registered_now, 0);
    assert_eq!(task.engine.source(IpAddr::from([192, 0, 2, 7])).registrations, 0);
}

#[test]
fn a_failure_to_connect_is_told_once_as_long_as_it_is_the_same() {
    let (mut task, _questions) = engine_task();
    let (records, mut told) = broadcast::channel(16);
    task.records = records;
    let error = || sipward_esl::client::ClientError::Closed;
    for _ in 0..8 {
        task.notice(Notice::Disconnected { error: error(), retry_in: Duration::from_millis(250) });
    }
    let other = sipward_esl::client::ClientError::AclRejected;
    task.notice(Notice::Disconnected { error: other, retry_in: Duration::from_secs(5) });
    let told: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn at_the_start_flows_that_nothing_explains_make_room_before_others_are_denied() {
    let (mut task, _questions, mut wishes) = engine_task_with_kernel();
    let flow = |n: u8| Flow {
        source: IpAddr::from([192, 0, 2, n]),
        transport: Transport::Udp,
        port: 5060,
    };
    let (now, hour) = (task.clock.now(), Duration::from_secs(3_600));
    let cause = Arc::new(Cause::Adopted);
    let stored = |n, until| SavedFlow { flow: flow(n), since: now, until, cause: cause.clone() };
    // The second is allowed again, and only counts.
    let flows = vec![stored(1, now + hour), stored(2, now)];
    let found = [2, 3].map(|n| (route_flow(flow(n)), hour));
    let found = Found { flows: found.into(), ..Found::default() };
    task.take_over(Saved { flows, ..Saved::default() }, &found);
    let all: Vec<Change> = std::iter::from_fn(|| wishes.try_recv().ok()).collect();
    let [first, second, third] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(*first, Change::Allow(route_flow(flow(3))));
    assert!(matches!(second, Change::Deny { flow: denied, .. } if *denied == route_flow(flow(1))));
    assert_eq!(*third, Change::Allow(route_flow(flow(2))));
}
