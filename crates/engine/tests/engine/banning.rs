//! When a source is banned, for how long, and how it ends.

use std::time::Duration;

use crate::world::*;
use sipward_engine::*;

fn world() -> World {
    World::new(Policy::default())
}

#[test]
fn bans_on_the_fifth_failure_within_the_window() {
    let mut world = world();
    assert!(blocks(&world.fails("192.0.2.7", 4)).is_empty());
    let actions = world.fail("192.0.2.7");
    assert_eq!(blocks(&actions), ["192.0.2.7/32"]);
    let Some(Action::Block { since, until, cause, .. }) = actions.last() else { panic!() };
    assert_eq!(*until, Expiry::At(*since + HOUR));
    let evidence = cause.evidence().unwrap();
    assert_eq!((evidence.failures, evidence.max_failures, evidence.ban_count), (5, 5, 1));
    assert_eq!(evidence.grade, Grade::Answered);
}

#[test]
fn a_failure_leaves_the_window_exactly_at_its_end() {
    let mut world = world();
    world.fail("192.0.2.7");
    world.pass(Duration::from_millis(599_999));
    world.fails("192.0.2.7", 3);
    assert_eq!(world.engine.source("192.0.2.7".parse().unwrap()).failures, 4);
    world.pass(Duration::from_millis(1));
    assert!(blocks(&world.fail("192.0.2.7")).is_empty(), "the first one is ten minutes old");
    assert_eq!(blocks(&world.fail("192.0.2.7")), ["192.0.2.7/32"]);
}

#[test]
fn what_fail2ban_estimates_is_exact_here() {
    // fail2ban scales its count down and bans at 701 s with three real failures in the window.
    let mut world = world();
    let mut last = 0;
    for at in [0_u64, 1, 2, 590, 700, 701] {
        world.pass(Duration::from_secs(at - last));
        last = at;
        assert!(blocks(&world.fail("192.0.2.7")).is_empty(), "at {at} s");
    }
}

#[test]
fn the_ban_names_the_users_tried() {
    let mut world = world();
    let users = ["100", "101", "102", "101", "103"];
    let actions: Vec<_> =
        users.iter().flat_map(|user| world.fail_as("192.0.2.7", user, Some(user))).collect();
    let Some(Action::Block { cause, .. }) = actions.last() else { panic!() };
    let details = cause.evidence().unwrap().details.clone().unwrap();
    assert_eq!(details.users, ["100", "102", "101", "103"]);
    assert_eq!(details.profile, "internal");
    assert_eq!(details.user_agent, "pytest/1.0");
}

#[test]
fn an_ipv6_host_falls_with_its_64() {
    let mut world = world();
    for host in 1..=5 {
        world.fail(&format!("2001:db8:0:1::{host:x}"));
    }
    assert_eq!(world.banned(), ["2001:db8:0:1::/64"]);
}

#[test]
fn an_ipv4_mapped_source_is_ipv4() {
    let mut world = world();
    world.fails("::ffff:192.0.2.7", 3);
    world.fails("192.0.2.7", 2);
    assert_eq!(world.banned(), ["192.0.2.7/32"]);
}

#[test]
fn every_ban_ends_and_the_next_one_is_longer() {
    let mut world = world();
    for hours in [1, 2, 4, 8] {
        world.fails("192.0.2.7", 5);
        assert!(world.is_banned("192.0.2.7"));
        world.pass(hours * HOUR - Duration::from_millis(1));
        assert!(world.is_banned("192.0.2.7"));
        let actions = world.pass(Duration::from_millis(1));
        assert_eq!(unblocks(&actions), [("192.0.2.7/32".into(), UnblockReason::Expired)]);
    }
}

#[test]
fn escalation_stops_at_its_maximum() {
    let mut world = world();
    for _ in 0..40 {
        world.fails("192.0.2.7", 5);
        world.pass(7 * DAY);
        assert!(world.banned().is_empty());
    }
    world.fails("192.0.2.7", 5);
    let until = world.engine.bans().next().unwrap().until;
    assert_eq!(until, Expiry::At(world.now + 7 * DAY));
}

#[test]
fn an_offender_is_forgotten_after_a_month_without_a_ban() {
    let mut world = world();
    world.fails("192.0.2.7", 5);
    world.pass(HOUR + 30 * DAY - SECOND);
    assert_eq!(world.engine.source("192.0.2.7".parse().unwrap()).ban_count, 1);
    world.pass(SECOND);
    assert_eq!(world.engine.source("192.0.2.7".parse().unwrap()).ban_count, 0);
}

#[test]
fn failures_in_flight_neither_extend_a_ban_nor_count_after_it() {
    let mut world = world();
    world.fails("192.0.2.7", 5);
    let before = world.engine.bans().next().unwrap().until;
    assert!(blocks(&world.fails("192.0.2.7", 50)).is_empty());
    assert_eq!(world.engine.bans().next().unwrap().until, before);
    world.pass(HOUR);
    assert!(blocks(&world.fails("192.0.2.7", 4)).is_empty());
    assert_eq!(world.engine.stats().in_flight, 50);
}

#[test]
fn time_never_goes_backwards() {
    let mut world = world();
    world.fails("192.0.2.7", 5);
    let now = world.now;
    world.now = Timestamp::from_micros(1);
    world.fails("192.0.2.8", 5);
    world.now = now;
    assert!(world.engine.bans().all(|ban| ban.until == Expiry::At(now + HOUR)));
}

#[test]
fn a_late_wake_up_ends_bans_all_the_same() {
    let mut world = world();
    for host in 1..=50 {
        world.fails(&format!("192.0.2.{host}"), 5);
        world.pass(SECOND);
    }
    world.pass(400 * DAY);
    assert!(world.banned().is_empty());
    assert_eq!(world.engine.next_deadline(), None, "nothing is left to wait for");
}

#[test]
fn a_full_table_refuses_and_alarms_once_until_there_is_room() {
    let mut world = World::without_networks(Policy { max_bans: 20, ..Policy::default() });
    let storm = |world: &mut World, net: u8| -> Vec<Action> {
        (1..=25).flat_map(|host| world.fails(&format!("192.0.{net}.{host}"), 7)).collect()
    };
    let actions = storm(&mut world, 1);
    assert_eq!(blocks(&actions).len(), 20);
    assert_eq!(refusals(&actions), [Refusal::TooManyBans; 5], "each source is refused once");
    let alarms = |actions: &[Action]| {
        actions
            .iter()
            .filter(|action| matches!(action, Action::Alarm(Alarm::BanTableFull { .. })))
            .count()
    };
    assert_eq!(alarms(&actions), 1);
    world.pass(HOUR);
    assert_eq!(alarms(&storm(&mut world, 2)), 1);
}

#[test]
fn a_refused_source_is_banned_at_its_next_failure_once_there_is_room() {
    let mut world = World::new(Policy { max_bans: 1, ..Policy::default() });
    world.ban("198.51.100.1", MINUTE);
    world.fails("192.0.2.7", 5);
    assert!(!world.is_banned("192.0.2.7"));
    world.pass(MINUTE);
    world.fail("192.0.2.7");
    assert!(world.is_banned("192.0.2.7"));
}

#[test]
fn a_new_policy_holds_at_once_and_keeps_the_counts() {
    let mut world = world();
    world.fails("192.0.2.7", 2);
    let policy = Policy { max_failures: 3, ban_time: MINUTE, ..Policy::default() };
    world.handle(Input::Policy(Box::new(policy)));
    assert_eq!(blocks(&world.fail("192.0.2.7")), ["192.0.2.7/32"]);
    world.pass(MINUTE);
    assert!(world.banned().is_empty());
}

#[test]
fn a_broken_policy_is_rejected_and_the_old_one_stays() {
    let mut world = world();
    let broken = Policy { max_failures: 0, ..Policy::default() };
    let actions = world.handle(Input::Policy(Box::new(broken)));
    assert!(matches!(actions[..], [Action::Alarm(Alarm::PolicyRejected { .. })]));
    assert_eq!(world.engine.policy(), &Policy::default());
}

#[test]
fn the_kernels_answer_is_listed_and_its_refusal_alarms_once() {
    let mut world = world();
    world.fails("192.0.2.7", 5);
    world.fails("192.0.2.8", 5);
    let refuse = |host: &str| Input::ApplyFailed { net: net(host), error: "EPERM".into() };
    assert!(matches!(
        world.handle(refuse("192.0.2.7"))[..],
        [Action::Alarm(Alarm::NotEnforced { .. })]
    ));
    assert!(world.handle(refuse("192.0.2.8")).is_empty());
    assert_eq!(world.engine.stats().not_enforced, 2);
    for host in ["192.0.2.7", "192.0.2.8"] {
        world.handle(Input::Applied { net: net(host), enforced: true });
    }
    assert!(world.engine.bans().all(|ban| ban.enforcement.is_enforced()));
    assert_eq!(world.handle(refuse("192.0.2.7")).len(), 1, "a new trouble, a new alarm");
}
