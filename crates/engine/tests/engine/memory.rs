//! Memory is bounded, and what goes first is what matters least.

use std::net::IpAddr;

use sipward_engine::*;

use crate::world::*;

fn small() -> World {
    World::without_networks(Policy { max_tracked: 1_000, max_unproven: 100, ..Policy::default() })
}

fn stranger(n: u32) -> String {
    IpAddr::from((0x0A00_0000 + n).to_be_bytes()).to_string()
}

#[test]
fn a_spoofed_flood_evicts_nothing_real() {
    let mut world = small();
    world.fails("192.0.2.7", 4);
    for n in 0..20_000 {
        world.forge(&stranger(n));
    }
    let stats = world.engine.stats();
    assert_eq!((stats.tracked, stats.weightless, stats.evicted), (1, 100, 0));
    world.fail("192.0.2.7");
    assert!(world.is_banned("192.0.2.7"));
}

#[test]
fn a_wide_attack_evicts_the_lightest_first() {
    let mut world = small();
    world.fails("192.0.2.7", 4);
    for n in 0..20_000 {
        world.fail(&stranger(n));
    }
    let stats = world.engine.stats();
    assert_eq!((stats.tracked, stats.evicted), (1_000, 19_001));
    world.fail("192.0.2.7");
    assert!(world.is_banned("192.0.2.7"), "the heaviest source was kept");
}

#[test]
fn quiet_sources_are_forgotten_after_the_window() {
    let mut world = small();
    for n in 0..500 {
        world.fail(&stranger(n));
        world.forge(&stranger(n));
    }
    world.pass(11 * MINUTE + SECOND);
    let stats = world.engine.stats();
    assert_eq!((stats.tracked, stats.weightless), (500, 0), "the slow rule looks back for a day");
    world.pass(DAY);
    assert_eq!(world.engine.stats().tracked, 0);
    world.pass(2 * DAY);
    assert_eq!(world.engine.next_deadline(), None, "nothing is remembered");
}

#[test]
fn texts_of_any_size_are_cut() {
    let mut world = small();
    let huge = "x".repeat(2_000_000);
    let actions = world.fail_as("192.0.2.7", &huge, Some(&huge));
    let Some(Action::Judged(judgement)) = actions.last() else { panic!() };
    assert_eq!(judgement.user.len(), Text::MAX_BYTES);
    assert!(judgement.user.is_cut());
}

#[test]
fn old_bans_keep_their_numbers_and_lose_their_texts() {
    let mut world = World::without_networks(Policy { max_failures: 1, ..Policy::default() });
    let mut actions = Vec::new();
    for n in 0..10_000_u32 {
        let source = IpAddr::from((0x0A00_0000 + n).to_be_bytes());
        let sequence = world.next();
        let now = world.now;
        world.engine.handle(Input::AuthAttempt(an_attempt(source, sequence)), now, &mut actions);
        let failure = Input::AuthFailure(a_failure(source, sequence + 1));
        world.engine.handle(failure, now, &mut actions);
        actions.clear();
    }
    let with_details = world
        .engine
        .bans()
        .filter(|ban| ban.cause.evidence().is_some_and(|evidence| evidence.details.is_some()))
        .count();
    assert_eq!(with_details, 4_096);
    assert!(world.engine.bans().all(|ban| ban.cause.evidence().is_some_and(|e| e.failures == 1)));
}
