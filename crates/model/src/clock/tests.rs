use super::by_hand::ByHand;
use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const START: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

fn clock(written: Option<Timestamp>) -> (ByHand, Clock) {
    let hand = ByHand::at(START);
    (hand.clone(), Clock::by(hand, written))
}

#[test]
fn a_step_moves_the_wall_time_and_not_the_steady_time() {
    for to in [START + 365 * DAY, START.earlier(365 * DAY), START + Duration::from_millis(2)] {
        let (hand, clock) = clock(None);
        let end = clock.steady() + DAY;
        hand.set(to);
        assert_eq!(clock.now(), START, "before it is noticed");
        let found = clock.look();
        assert_eq!(found.stepped, difference(to, START));
        assert_eq!((clock.now(), clock.wall(end)), (to, to + DAY));
        assert_eq!(clock.until_steady(end), DAY);
        assert_eq!(clock.steady_of(clock.wall(end)), end);
        assert_eq!(clock.look(), Found::default(), "it is reported once");
    }
}

#[test]
fn a_suspended_machine_is_time_that_passes_and_no_step() {
    let (hand, clock) = clock(None);
    let end = clock.steady() + DAY;
    hand.sleep(2 * DAY);
    let found = clock.look();
    assert_eq!((found.stepped, found.suspended), (0, 2 * DAY));
    assert_eq!(clock.until_steady(end), Duration::ZERO);
    hand.sleep(Duration::from_secs(1));
    hand.set(START);
    let found = clock.look();
    assert_eq!(found.suspended, Duration::from_secs(1));
    assert_eq!(found.stepped, -difference(START + 2 * DAY + Duration::from_secs(1), START));
}

#[test]
fn less_than_a_millisecond_is_noise_until_it_adds_up() {
    let (hand, clock) = clock(None);
    let noise = Duration::from_micros(600);
    hand.set(START + noise);
    assert_eq!(clock.look().stepped, 0);
    hand.set(START + 2 * noise);
    assert_eq!(clock.look().stepped, 1_200);
}

#[test]
fn what_was_stored_by_another_clock_counts_from_the_latest_of_it() {
    let written = START + 100 * DAY;
    let (hand, clock) = clock(Some(written));
    assert_eq!(clock.behind(), Some(written));
    assert_eq!((clock.now(), clock.at_start()), (START, START), "people read what the host says");
    let (began, end) = (written.earlier(DAY), written + DAY);
    let left = |clock: &Clock| clock.until_steady(clock.restored(end, began));
    assert_eq!(left(&clock), DAY);
    // The other way about, a time that has passed is as it says: the earlier run may have been ahead.
    let old = START.earlier(DAY);
    assert_eq!(clock.until_steady(clock.restored(START + DAY, old)), DAY);
    // Set right a long time after the start.
    hand.pass(10 * BOOT);
    let right = written + Duration::from_secs(72_000);
    hand.set(right);
    assert!(clock.look().corrected);
    assert_eq!(clock.behind(), None);
    assert_eq!(left(&clock), end.since(right));
    // Once it was right, a step says nothing of what is stored.
    hand.set(right + 50 * DAY);
    assert!(!clock.look().corrected);
}

#[test]
fn a_step_soon_after_the_start_corrects_and_a_later_one_does_not() {
    let (hand, early) = clock(Some(START.earlier(DAY)));
    assert_eq!(early.behind(), None);
    let end = START + 7 * DAY;
    hand.set(START + 3 * DAY);
    assert!(early.look().corrected);
    assert_eq!(early.until_steady(early.restored(end, START.earlier(DAY))), 4 * DAY);

    let (hand, late) = clock(Some(START.earlier(DAY)));
    hand.pass(BOOT);
    hand.set(START + 3 * DAY);
    assert!(!late.look().corrected);
}

/// Held by a test that sets the host's clock and by one that needs it unset: tests of a crate run side by side.
static HOST_CLOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[test]
fn the_kernel_is_asked_for_three_clocks_at_one_moment() {
    let _unset = HOST_CLOCK.blocking_lock();
    let reading = System.read();
    assert!(reading.boot >= reading.monotonic && reading.monotonic > Duration::ZERO);
    let clock = Clock::start(None);
    assert_eq!(clock.look(), Found::default());
    let instant = Instant::now();
    let (before, at) = (clock.steady_start(), clock.steady_at(instant));
    assert!(before <= at && at <= clock.steady());
}

#[tokio::test]
async fn the_timer_waits_while_nobody_sets_the_clock() {
    let _unset = HOST_CLOCK.lock().await;
    let watch = StepWatch::start();
    assert!(watch.is_armed(), "this kernel has no such timer");
    // Nothing announces that the timer did not fire.
    let waited = tokio::time::timeout(Duration::from_millis(50), watch.stepped()).await;
    assert!(waited.is_err());
}

/// Sets the host's clock by 2 ms and back, so only where `SIPWARD_STEP_CLOCK` asks for it, as `.ci/run` does.
#[tokio::test]
async fn the_timer_fires_when_the_system_clock_is_set() {
    use nix::sys::time::{TimeSpec, TimeValLike as _};
    use nix::time::{ClockId, clock_gettime, clock_settime};

    let step = |millis| {
        let now = clock_gettime(ClockId::CLOCK_REALTIME)?;
        clock_settime(ClockId::CLOCK_REALTIME, now + TimeSpec::milliseconds(millis))
    };
    if std::env::var_os("SIPWARD_STEP_CLOCK").is_none() {
        println!("NOT TRIED: a step of the clock; set SIPWARD_STEP_CLOCK=1");
        return;
    }
    let _set = HOST_CLOCK.lock().await;
    let (watch, clock) = (StepWatch::start(), Clock::start(None));
    for millis in [2, -2] {
        // Time that passes between the reading and the setting is lost to the step.
        let mut stepped = 0;
        for _ in 0..20 {
            if let Err(error) = step(millis) {
                println!("NOT TRIED: a step of the clock: {error}");
                return;
            }
            watch.stepped().await;
            stepped = clock.look().stepped;
            if (stepped - millis * 1_000).abs() < 900 {
                break;
            }
        }
        assert!((stepped - millis * 1_000).abs() < 900, "{stepped} µs for {millis} ms");
    }
}
