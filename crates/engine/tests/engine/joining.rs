//! What a failure weighs: its attempt decides.

use std::time::Duration;

use crate::world::*;
use proptest::prelude::*;
use sipward_engine::*;

const WAIT: Duration = Duration::from_millis(200);

fn world() -> World {
    World::new(Policy { max_failures: 1, ..Policy::default() })
}

fn addr() -> std::net::IpAddr {
    "192.0.2.7".parse().unwrap()
}

fn failure(sequence: u64) -> Input<'static> {
    Input::AuthFailure(a_failure(addr(), sequence))
}

fn attempt(sequence: u64, nonce_checked: bool) -> Input<'static> {
    let username = nonce_checked.then_some("1000");
    Input::AuthAttempt(AuthAttempt { username, ..an_attempt(addr(), sequence) })
}

#[test]
fn a_valid_nonce_counts_fully() {
    let mut world = world();
    world.handle(attempt(1, true));
    let actions = world.handle(failure(2));
    assert_eq!(grades(&actions), [Grade::Challenged], "just started: its challenge went unseen");
    assert_eq!(blocks(&actions), ["192.0.2.7/32"]);
}

#[test]
fn an_unchecked_nonce_bans_nobody() {
    let mut world = world();
    for _ in 0..1_000 {
        world.pass(Duration::from_millis(20)); // Below the flood rule.
        let actions = world.forge("192.0.2.7");
        assert_eq!(grades(&actions), [Grade::Unproven]);
        assert!(blocks(&actions).is_empty());
    }
    assert_eq!(world.engine.source(addr()).unproven, 1_000);
}

#[test]
fn a_failure_waits_for_an_attempt_that_comes_late() {
    let mut world = world();
    assert!(world.handle(failure(2)).is_empty());
    world.pass(WAIT - Duration::from_millis(1));
    let actions = world.handle(attempt(1, false));
    assert_eq!(grades(&actions), [Grade::Unproven]);
}

#[test]
fn an_attempt_behind_the_failure_is_another_ones() {
    let mut world = world();
    world.handle(failure(2));
    assert!(world.handle(attempt(3, true)).is_empty());
    assert_eq!(grades(&world.pass(WAIT)), [Grade::Unjoined]);
}

#[test]
fn without_its_attempt_a_failure_weighs_nothing() {
    let mut world = world();
    world.forge("198.51.100.1"); // This core sends attempts.
    world.handle(failure(100));
    let actions = world.pass(WAIT);
    assert_eq!(grades(&actions), [Grade::Unjoined]);
    assert!(blocks(&actions).is_empty());
    assert_eq!(world.engine.source(addr()).unjoined, 1);
}

#[test]
fn a_core_that_never_sends_attempts_is_taken_at_its_word() {
    let mut world = world();
    world.handle(failure(2));
    let actions = world.pass(WAIT);
    assert_eq!(grades(&actions), [Grade::Assumed]);
    assert_eq!(blocks(&actions), ["192.0.2.7/32"]);
}

#[test]
fn the_very_first_failure_is_not_misjudged_because_its_attempt_is_late() {
    let mut world = world();
    assert!(world.handle(failure(2)).is_empty());
    assert_eq!(grades(&world.handle(attempt(1, false))), [Grade::Unproven]);
}

#[test]
fn after_a_restart_the_new_core_is_judged_anew() {
    let mut world = world();
    world.forge("198.51.100.1");
    let core = CoreId(2);
    world.handle(Input::Core(core));
    world.handle(Input::AuthFailure(AuthFailure { core, ..a_failure(addr(), 5) }));
    assert_eq!(grades(&world.pass(WAIT)), [Grade::Assumed]);
}

#[test]
fn each_attempt_serves_one_failure() {
    let mut world = world();
    world.handle(attempt(1, true));
    assert_eq!(grades(&world.handle(failure(2))), [Grade::Challenged]);
    assert!(world.handle(failure(3)).is_empty());
    assert_eq!(grades(&world.pass(WAIT)), [Grade::Unjoined]);
}

#[test]
fn port_profile_user_and_core_must_agree() {
    let mut world = world();
    world.handle(attempt(1, true));
    let right = a_failure(addr(), 2);
    for wrong in [
        AuthFailure { port: 5061, ..right },
        AuthFailure { profile: "external", ..right },
        AuthFailure { user: "1001", ..right },
        AuthFailure { core: CoreId(2), ..right },
    ] {
        assert!(world.handle(Input::AuthFailure(wrong)).is_empty());
    }
    assert_eq!(grades(&world.handle(Input::AuthFailure(right))), [Grade::Challenged]);
    let late = world.pass(WAIT);
    assert_eq!(grades(&late), [Grade::Unjoined, Grade::Unjoined, Grade::Unjoined, Grade::Assumed]);
}

/// The To user is the sender's: whatever makes it look different, the attempt in front of a failure from
/// the same socket is its own.
#[test]
fn a_failure_that_names_another_user_takes_the_attempt_in_front_of_it_at_last() {
    let mut world = world();
    world.handle(attempt(1, true));
    world.handle(attempt(10, false));
    let failure = AuthFailure { user: "1000\u{fffd}", ..a_failure(addr(), 11) };
    assert!(world.handle(Input::AuthFailure(failure)).is_empty());
    assert_eq!(grades(&world.pass(WAIT)), [Grade::Unproven], "of the attempt at 10");
    assert_eq!(grades(&world.handle(self::failure(12))), [Grade::Challenged], "that at 1 is free");
}

#[test]
fn a_user_that_came_cut_joins_like_the_whole_one() {
    let mut world = world();
    let whole = "9".repeat(4_200);
    let cut = &whole[..4_000];
    world.handle(Input::AuthAttempt(AuthAttempt { user: cut, ..an_attempt(addr(), 1) }));
    let failure = AuthFailure { user: &whole, ..a_failure(addr(), 2) };
    let actions = world.handle(Input::AuthFailure(failure));
    assert_eq!(grades(&actions), [Grade::Challenged]);
}

#[test]
fn healthy_logins_leave_no_attempt_behind() {
    let mut world = world();
    let success = AuthAttempt { result: AuthResult::Success, ..an_attempt(addr(), 1) };
    world.handle(Input::AuthAttempt(success));
    assert!(world.handle(failure(2)).is_empty());
    assert_eq!(grades(&world.pass(WAIT)), [Grade::Unjoined]);
}

#[test]
fn a_flood_of_attempts_does_not_push_out_a_join_in_flight() {
    let mut world = world();
    world.handle(attempt(1, true));
    for n in 0..10_000_u32 {
        let source = std::net::IpAddr::from((0x0A00_0000 + n).to_be_bytes());
        world.handle(Input::AuthAttempt(an_attempt(source, 10 + u64::from(n))));
    }
    assert_eq!(grades(&world.handle(failure(2))), [Grade::Challenged]);
}

#[test]
fn a_flood_of_waiting_failures_is_bounded() {
    let mut world = world();
    world.forge("198.51.100.1");
    let mut judged = 0;
    for n in 0..5_000_u32 {
        let source = std::net::IpAddr::from((0x0A00_0000 + n).to_be_bytes());
        let actions = world.handle(Input::AuthFailure(a_failure(source, 10 + u64::from(n))));
        judged += grades(&actions).len();
        assert!(world.engine.stats().waiting <= 2_048);
    }
    judged += grades(&world.pass(WAIT)).len();
    assert_eq!(judged, 5_000, "none is lost");
}

proptest! {
    /// One socket guesses quickly; its events arrive in any order within the wait. The same grades
    /// come out as in order.
    #[test]
    fn disorder_within_the_wait_gives_the_same_verdicts(
        checked in prop::collection::vec(any::<bool>(), 1..20),
        lost in prop::collection::vec(prop::bool::weighted(0.1), 20),
        shuffle in any::<u64>(),
    ) {
        let mut events = Vec::new();
        for (n, &checked) in checked.iter().enumerate() {
            let sequence = 10 * n as u64 + 100;
            if !lost[n] {
                events.push((sequence, attempt(sequence, checked)));
            }
            events.push((sequence + 1, failure(sequence + 1)));
        }
        let verdicts = |events: Vec<(u64, Input<'static>)>| {
            let mut world = World::new(Policy { max_failures: 1_000, ..Policy::default() });
            world.forge("198.51.100.1");
            let mut grades = Vec::new();
            for (_, event) in events {
                grades.extend(crate::world::grades(&world.handle(event)));
            }
            grades.extend(crate::world::grades(&world.pass(WAIT)));
            grades.sort_unstable();
            grades
        };
        let in_order = verdicts(events.clone());
        prop_assert_eq!(in_order.len(), checked.len());
        let mut jumbled = events;
        let mut state = shuffle | 1;
        for at in (1..jumbled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(state >> 33).unwrap() % (at + 1);
            jumbled.swap(at, other);
        }
        prop_assert_eq!(verdicts(jumbled), in_order);
    }
}
