#![allow(clippy::unchecked_time_subtraction, reason = "constants whose differences are positive")]

use std::sync::Arc;

use sipward_engine::{Cause, Engine, Input, Policy, Scope};
use sipward_route::Found;
use tokio::sync::{broadcast, mpsc};

use super::*;
use crate::engine_task::{EngineStatus, Outputs};
use crate::route_queue::RouteQueue;
use sipward_config::{StoreLocation, StoreSettings};
use sipward_model::clock::Clock;
use sipward_model::clock::by_hand::ByHand;
use sipward_store::{HistoryQuery, Notice, Saved, Store};

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// An engine task with a clock that is set by hand, over a store in a file.
struct Simulation {
    task: EngineTask,
    hand: ByHand,
    store: Store,
    notices: mpsc::Receiver<Notice>,
    records: broadcast::Receiver<Arc<Record>>,
}

/// Starts by a clock that shows `wall`; gives the bans that stand again.
fn simulation(directory: &tempfile::TempDir, wall: Timestamp) -> Simulation {
    let location = StoreLocation::File(directory.path().join("s.db"));
    let (store, saved) =
        Store::open(&StoreSettings { location, ..StoreSettings::default() }).unwrap();
    let hand = ByHand::at(wall);
    let clock = Clock::by(hand.clone(), saved.written.map(|_| written(wall, &saved)));
    let (changes, _) = mpsc::channel(64);
    let (questions, _) = mpsc::channel(8);
    let (tell, records) = broadcast::channel(64);
    let routes_out = RouteQueue::new(changes);
    let outputs = Outputs { routes_out, store: store.clone(), questions, records: tell };
    let status_hook = Box::new(|_: &EngineStatus| ());
    let engine = Engine::new(Policy::default(), 1).unwrap();
    let mut task = EngineTask::new(engine, clock, outputs, status_hook, None);
    task.take_over(saved, &Found::default());
    let notices = store.take_notices().unwrap();
    Simulation { task, hand, store, notices, records }
}

/// The latest time in a store that is written by clocks set by hand: its own row has the host's.
fn written(wall: Timestamp, saved: &Saved) -> Timestamp {
    let rows = saved.bans.iter().map(|ban| ban.since).max();
    rows.unwrap_or(wall)
}

impl Simulation {
    fn ban(&mut self, net: &str, time: Duration) {
        let until = Expiry::At(self.task.clock.steady() + time);
        let net = net.parse().unwrap();
        self.task.handle(Input::Ban {
            net,
            until,
            scope: None,
            reason: "test".into(),
            force: false,
        });
    }

    /// What a ban has left, by the engine.
    fn left(&self, net: &str) -> Option<Duration> {
        match self.task.engine.ban(net.parse::<IpNet>().unwrap())?.until {
            Expiry::At(end) => Some(self.task.clock.until_steady(end)),
            Expiry::Never => Some(Duration::MAX),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.hand.pass(time);
        self.task.engine.tick(self.task.clock.steady(), &mut self.task.actions);
        self.task.carry_out(None);
        self.task.forget_ended();
    }

    /// Somebody sets the clock, and what follows from it happens.
    async fn set(&mut self, wall: Timestamp) {
        self.hand.set(wall);
        self.task.look_at_clock();
        if self.stepped().is_some_and(|(_, corrected)| corrected) {
            let saved = loop {
                if let Notice::Late(saved) = self.notices.recv().await.unwrap() {
                    break saved;
                }
            };
            self.task.late(*saved);
        }
        self.pass(Duration::from_millis(2));
    }

    fn stepped(&mut self) -> Option<(f64, bool)> {
        let mut last = None;
        while let Ok(record) = self.records.try_recv() {
            if let Record::ClockStepped { by_seconds, corrected, .. } = *record {
                last = Some((by_seconds, corrected));
            }
        }
        last
    }

    /// A stored ban: its beginning and end.
    async fn stored(&self, net: &str) -> Option<(Timestamp, Expiry)> {
        self.store.settled().await;
        let saved = self.task.engine.ban(net.parse::<IpNet>().unwrap())?;
        Some((self.task.clock.wall(saved.since), self.task.clock.wall_end(saved.until)))
    }

    async fn stop(self) {
        let Self { task, store, .. } = self;
        drop(task);
        let _ = store.close().await;
    }
}

const A: &str = "203.0.113.9/32";
const B: &str = "203.0.113.10/32";
const C: &str = "203.0.113.11/32";

fn around(left: Option<Duration>, expected: Duration) -> bool {
    left.is_some_and(|left| left <= expected && left + Duration::from_secs(1) > expected)
}

/// A run that bans one network.
async fn run_with(directory: &tempfile::TempDir, now: Timestamp, net: &str, time: Duration) {
    let mut run = simulation(directory, now);
    run.ban(net, time);
    run.stop().await;
}

#[tokio::test]
async fn bans_keep_their_time_left_when_a_clock_that_was_behind_at_boot_is_set_right() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = simulation(&directory, NOW);
    before.ban(A, MINUTE);
    before.ban(B, 7 * DAY);
    before.stop().await;

    let mut simulation = simulation(&directory, NOW.earlier(6 * YEAR));
    assert!(around(simulation.left(A), MINUTE), "{:?} is more than its length", simulation.left(A));
    assert!(around(simulation.left(B), 7 * DAY), "{:?}", simulation.left(B));
    simulation.ban(C, DAY);
    simulation.pass(Duration::from_secs(3));
    simulation.set(NOW + MINUTE / 2).await;
    assert!(
        around(simulation.left(A), MINUTE / 2),
        "it has what its stored end says: {:?}",
        simulation.left(A)
    );
    assert!(around(simulation.left(B), 7 * DAY - MINUTE / 2), "{:?}", simulation.left(B));
    assert!(around(simulation.left(C), DAY - Duration::from_secs(3)), "{:?}", simulation.left(C));
    let (since, until) = simulation.stored(C).await.unwrap();
    assert!(since > NOW && until > Expiry::At(NOW + DAY), "{since:?} {until:?} by the right time");
    simulation.pass(MINUTE);
    assert_eq!(simulation.left(A), None);
    simulation.stop().await;
    // What the store has is right, too.
    let simulation = self::simulation(&directory, NOW + 2 * MINUTE);
    assert!(simulation.left(A).is_none());
    assert!(around(simulation.left(B), 7 * DAY - 2 * MINUTE), "{:?}", simulation.left(B));
    let c = simulation.left(C).unwrap();
    assert!(c > DAY - 2 * MINUTE && c < DAY, "{c:?}");
}

#[tokio::test]
async fn bans_that_a_clock_ahead_has_ended_come_back_when_it_is_set_right() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = simulation(&directory, NOW);
    before.ban(A, MINUTE);
    before.ban(B, 7 * DAY);
    before.stop().await;

    let mut ahead = simulation(&directory, NOW + 4 * YEAR);
    assert_eq!((ahead.left(A), ahead.left(B)), (None, None));
    ahead.ban(C, DAY);
    // Stopped before it was set right: nothing is lost either.
    ahead.stop().await;
    let mut ahead = simulation(&directory, NOW + 4 * YEAR + MINUTE);
    assert_eq!(ahead.left(B), None);
    ahead.set(NOW + 2 * MINUTE).await;
    assert_eq!(ahead.left(A), None, "its time is over by any clock");
    assert!(around(ahead.left(B), 7 * DAY - 2 * MINUTE), "{:?}", ahead.left(B));
    let c = ahead.left(C).unwrap();
    assert!(
        c <= DAY && c > DAY - 3 * MINUTE,
        "made by the wrong clock, and no longer than it was: {c:?}"
    );
    ahead.stop().await;
    let right = simulation(&directory, NOW + 3 * MINUTE);
    assert!(around(right.left(B), 7 * DAY - 3 * MINUTE), "{:?}", right.left(B));
}

#[tokio::test]
async fn after_a_run_by_a_clock_ahead_the_right_one_gives_every_ban_its_time() {
    let directory = tempfile::tempdir().unwrap();
    run_with(&directory, NOW, B, 7 * DAY).await;
    run_with(&directory, NOW + YEAR, C, DAY).await;
    let right = simulation(&directory, NOW + MINUTE);
    assert!(around(right.left(B), 7 * DAY - MINUTE), "{:?}", right.left(B));
    assert!(around(right.left(C), DAY), "{:?}", right.left(C));
}

#[tokio::test]
async fn steps_of_a_running_clock_change_no_time_left_and_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let mut simulation = simulation(&directory, NOW);
    simulation.ban(A, MINUTE);
    simulation.ban(B, 7 * DAY);
    // Long after the start, a step corrects nothing.
    simulation.pass(BOOT);
    simulation.ban(C, DAY);
    let b = simulation.left(B).unwrap();
    for by in [YEAR, DAY, Duration::from_secs(90)] {
        let now = simulation.task.clock.now();
        simulation.hand.set(now + by);
        simulation.task.look_at_clock();
        assert_eq!(simulation.stepped(), Some((by.as_secs_f64(), false)));
        assert_eq!(
            (simulation.left(B), simulation.left(C)),
            (Some(b), Some(DAY)),
            "forward by {by:?}"
        );
        simulation.hand.set(now);
        simulation.task.look_at_clock();
        assert_eq!(simulation.stepped(), Some((-by.as_secs_f64(), false)));
        assert_eq!(
            (simulation.left(B), simulation.left(C)),
            (Some(b), Some(DAY)),
            "back by {by:?}"
        );
    }
    assert_eq!(simulation.stepped(), None);
    simulation.hand.set(NOW + YEAR);
    simulation.task.look_at_clock();
    simulation.stop().await;
    // The store has followed.
    let simulation = self::simulation(&directory, NOW + YEAR);
    assert!(
        around(simulation.left(B), b) && around(simulation.left(C), DAY),
        "{:?}",
        simulation.left(B)
    );
}

#[tokio::test]
async fn a_step_that_is_taken_back_within_the_first_hour_ends_nothing_for_good() {
    let directory = tempfile::tempdir().unwrap();
    run_with(&directory, NOW, B, 7 * DAY).await;
    let mut simulation = simulation(&directory, NOW + MINUTE);
    simulation.set(NOW + YEAR).await;
    assert_eq!(simulation.left(B), None, "its end has passed by the time that seems right");
    simulation.set(NOW + 2 * MINUTE).await;
    assert!(around(simulation.left(B), 7 * DAY - 2 * MINUTE), "{:?}", simulation.left(B));
}

#[tokio::test]
async fn a_step_to_a_time_before_what_is_stored_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    run_with(&directory, NOW, B, 7 * DAY).await;
    // A run by a clock ahead makes that the latest time that is stored.
    run_with(&directory, NOW + YEAR, C, DAY).await;
    let mut right = simulation(&directory, NOW + MINUTE);
    right.set(NOW.earlier(YEAR)).await;
    assert!(around(right.left(B), 7 * DAY - MINUTE), "{:?}", right.left(B));
    right.set(NOW + MINUTE).await;
    assert!(around(right.left(B), 7 * DAY - MINUTE), "{:?}", right.left(B));
    assert!(around(right.left(C), DAY), "{:?}", right.left(C));
}

#[tokio::test]
async fn bans_that_ended_while_the_daemon_was_down_leave_the_store_an_hour_after_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = simulation(&directory, NOW);
    before.ban(A, MINUTE);
    before.stop().await;
    let mut simulation = simulation(&directory, NOW + DAY);
    let unbans = async |simulation: &Simulation| {
        simulation.store.settled().await;
        let page =
            simulation.store.history(HistoryQuery { limit: 10, ..HistoryQuery::default() }).await;
        page.unwrap().events.len() - 1
    };
    assert_eq!((simulation.left(A), unbans(&simulation).await), (None, 0));
    simulation.pass(BOOT);
    assert_eq!(unbans(&simulation).await, 1);
}

#[tokio::test]
async fn a_suspended_machine_ends_bans_on_time_and_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let mut simulation = simulation(&directory, NOW);
    simulation.ban(A, MINUTE);
    simulation.ban(B, DAY);
    simulation.hand.sleep(2 * MINUTE);
    simulation.task.look_at_clock();
    let reported = std::iter::from_fn(|| simulation.records.try_recv().ok());
    let suspended = reported.into_iter().find_map(|record| match *record {
        Record::Suspended { seconds } => Some(seconds),
        _ => None,
    });
    assert_eq!(suspended, Some(120.0));
    simulation.pass(Duration::ZERO);
    assert_eq!((simulation.left(A), simulation.left(B)), (None, Some(DAY - 2 * MINUTE)));
}

#[tokio::test]
async fn a_row_that_says_nonsense_has_no_more_left_than_its_length() {
    let directory = tempfile::tempdir().unwrap();
    let simulation = simulation(&directory, NOW);
    let cause = Arc::new(Cause::Adopted);
    let row = |since, until| SavedBan {
        scope: Scope::Host,
        net: A.parse().unwrap(),
        since,
        until,
        cause: Arc::clone(&cause),
    };
    let (since, until) =
        simulation.task.restored_times(&row(NOW + YEAR, Expiry::At(NOW + YEAR + DAY)));
    assert_eq!((since, until), (NOW, Expiry::At(NOW + DAY)));
    let (_, until) = simulation.task.restored_times(&row(NOW + DAY, Expiry::At(NOW)));
    assert_eq!(until, Expiry::At(NOW));
    let (_, until) = simulation.task.restored_times(&row(NOW + DAY, Expiry::Never));
    assert_eq!(until, Expiry::Never);
}

#[tokio::test]
async fn a_stall_is_reported_with_its_length() {
    let directory = tempfile::tempdir().unwrap();
    let mut simulation = simulation(&directory, NOW);
    simulation.task.turned = Instant::now().checked_sub(Duration::from_millis(1_900)).unwrap();
    simulation.task.end_turn();
    assert!(simulation.records.try_recv().is_err(), "a heartbeat that comes late");
    simulation.task.turned = Instant::now().checked_sub(Duration::from_secs(34)).unwrap();
    simulation.task.end_turn();
    match *simulation.records.try_recv().unwrap() {
        Record::Stalled { seconds } => assert!((34.0..40.0).contains(&seconds), "{seconds}"),
        ref other => panic!("{other}"),
    }
    simulation.task.end_turn();
    assert!(simulation.records.try_recv().is_err());
}
