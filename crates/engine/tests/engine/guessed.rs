//! A log-in after failures: a password that may have been guessed.

use crate::world::*;
use sipward_engine::*;

const STRANGER: &str = "203.0.113.7";
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

/// What an alarm says: user, address, failures there, other strangers.
type Told = (String, String, u32, u32);

fn guessed(actions: &[Action]) -> Vec<Told> {
    let told = |action: &Action| match action {
        Action::Alarm(Alarm::Guessed { user, address, failures, strangers, .. }) => {
            Some((user.to_string(), address.to_string(), *failures, *strangers))
        }
        _ => None,
    };
    actions.iter().filter_map(told).collect()
}

fn alarm(user: &str, address: &str, failures: u32, strangers: u32) -> Vec<Told> {
    vec![(user.to_owned(), address.to_owned(), failures, strangers)]
}

fn world() -> World {
    World::without_networks(Policy::default())
}

#[test]
fn a_stranger_that_logs_in_after_three_failures_for_the_user_may_have_guessed() {
    let mut world = world();
    world.fails(STRANGER, 3);
    world.pass(30 * SECOND);
    let actions = world.login(STRANGER, "1000");
    assert_eq!(guessed(&actions), alarm("1000", STRANGER, 3, 0));
    let first = actions.iter().find_map(|action| match action {
        Action::Alarm(Alarm::Guessed { first_failure_seconds_before, .. }) => {
            *first_failure_seconds_before
        }
        _ => None,
    });
    assert_eq!(first, Some(30), "from the first failure to the log-in");
}

#[test]
fn two_mistypes_are_no_guess() {
    let mut world = world();
    world.fails(STRANGER, 2);
    assert_eq!(guessed(&world.login(STRANGER, "1000")), []);
}

#[test]
fn slow_guesses_count_as_long_as_they_are_remembered() {
    let mut world = world();
    let guess_for = |world: &mut World, hours: u32| {
        for _ in 0..hours {
            world.fails(STRANGER, 2);
            world.pass(60 * MINUTE);
        }
    };
    guess_for(&mut world, 7);
    assert_eq!(guessed(&world.login(STRANGER, "1000")), alarm("1000", STRANGER, 14, 0));
}

#[test]
fn failures_for_other_users_are_no_guesses_of_this_password() {
    let mut world = world();
    for user in ["2001", "2002", "2003", "2004"] {
        world.fail_as(STRANGER, user, Some(user));
    }
    assert_eq!(guessed(&world.login(STRANGER, "1000")), []);
}

#[test]
fn a_phone_at_home_that_fails_and_succeeds_is_no_guess() {
    let mut world = world();
    world.login(STRANGER, "1000");
    world.fails(STRANGER, 10);
    assert_eq!(guessed(&world.login(STRANGER, "1000")), []);
}

#[test]
fn mistypes_at_an_office_are_no_guess_but_those_of_an_insider_are() {
    let mut world = world();
    world.login(STRANGER, "2000");
    world.pass(2 * MINUTE);
    world.fails(STRANGER, 6);
    assert_eq!(guessed(&world.login(STRANGER, "1000")), [], "a new phone, mistyped and corrected");
    // Now the same host tries one user after the other.
    for user in ["3001", "3002", "3003", "3004", "3005"] {
        world.fail_as(STRANGER, user, Some(user));
    }
    for _ in 0..3 {
        world.fail_as(STRANGER, "3009", Some("3009"));
    }
    assert_eq!(guessed(&world.login(STRANGER, "3001")), [], "one failure");
    assert_eq!(guessed(&world.login(STRANGER, "3009")), alarm("3009", STRANGER, 3, 0));
}

#[test]
fn a_host_that_guessed_one_password_is_no_office_for_the_next() {
    let mut world = world();
    world.fails(STRANGER, 4);
    assert_eq!(guessed(&world.login(STRANGER, "1000")).len(), 1);
    for _ in 0..4 {
        world.fail_as(STRANGER, "1001", Some("1001"));
    }
    assert_eq!(guessed(&world.login(STRANGER, "1001")), alarm("1001", STRANGER, 4, 0));
}

#[test]
fn forged_failures_make_no_guess() {
    let mut world = world();
    for _ in 0..10 {
        world.forge(STRANGER);
    }
    assert_eq!(guessed(&world.login(STRANGER, "1000")), []);
}

#[test]
fn a_right_password_with_a_nonce_of_another_host_may_be_guessed_too() {
    let mut world = world();
    // Not long after the start a challenge may have gone unseen.
    world.pass(5 * MINUTE);
    for _ in 0..4 {
        world.borrow_nonce(STRANGER);
    }
    let actions = world.succeed(STRANGER.parse().unwrap(), "1000");
    assert_eq!(guessed(&actions), alarm("1000", STRANGER, 4, 0));
    assert_eq!(world.identity(STRANGER), Identity::Stranger, "it proves no address");
}

#[test]
fn an_account_under_attack_that_logs_in_elsewhere_with_another_phone_may_be_stolen() {
    let attacked = || {
        let mut world = world();
        world.agent = "Yealink";
        world.login("192.0.2.1", "1000");
        world.agent = "scanner";
        for n in 1..=3 {
            world.fails(&format!("198.51.100.{n}"), 1);
        }
        world
    };
    let mut world = attacked();
    assert_eq!(guessed(&world.login(STRANGER, "1000")), alarm("1000", STRANGER, 0, 3));

    let mut world = attacked();
    world.agent = "Yealink";
    assert_eq!(guessed(&world.login(STRANGER, "1000")), [], "the same phone at another address");

    let mut world = attacked();
    assert_eq!(guessed(&world.login("192.0.2.1", "1000")), [], "another phone at home");

    let mut world = attacked();
    world.login(STRANGER, "2000");
    assert_eq!(guessed(&world.login(STRANGER, "1000")), [], "where others log in");

    let mut world = attacked();
    assert_eq!(guessed(&world.login("198.51.100.3", "1000")), [], "two others and one mistype");

    let mut world = attacked();
    world.pass(61 * MINUTE);
    assert_eq!(guessed(&world.login(STRANGER, "1000")), [], "the attack is over");
}

#[test]
fn a_success_of_a_banned_address_is_a_guess() {
    // In observe mode its packets still arrive, and in ban mode those in flight.
    let mut world = world();
    world.fails(STRANGER, 5);
    assert!(world.is_banned(STRANGER));
    assert_eq!(guessed(&world.login(STRANGER, "1000")), alarm("1000", STRANGER, 5, 0));
}

#[test]
fn exempt_hosts_are_not_suspected() {
    let mut world = world();
    let nets = vec!["203.0.113.0/24".parse().unwrap()];
    world.handle(Input::Exempt { class: Exemption::Proxy, nets });
    for n in 1..=4 {
        world.fails(&format!("198.51.100.{n}"), 1);
    }
    world.fails(STRANGER, 4);
    assert_eq!(guessed(&world.login(STRANGER, "1000")), []);
}

#[test]
fn an_operator_who_unbans_an_address_forgives_it() {
    let mut world = world();
    world.fails(STRANGER, 5);
    world.handle(Input::Unban { net: STRANGER.parse::<std::net::IpAddr>().unwrap().into() });
    assert_eq!(guessed(&world.login(STRANGER, "1000")), []);
}

#[test]
fn failures_from_the_same_ipv6_64_count() {
    let mut world = world();
    for n in 1..=4 {
        world.fails(&format!("2001:db8:7::{n}"), 1);
    }
    assert_eq!(
        guessed(&world.login("2001:db8:7::99", "1000")),
        alarm("1000", "2001:db8:7::99", 4, 0)
    );
}

#[test]
fn a_guess_forgives_nothing_and_mistypes_are_forgiven() {
    let mut world = world();
    world.fails(STRANGER, 2);
    world.login(STRANGER, "1000");
    assert_eq!(world.engine.failures(STRANGER.parse().unwrap()).len(), 0);

    let mut world = self::world();
    world.fails(STRANGER, 4);
    world.login(STRANGER, "1000");
    assert_eq!(world.engine.failures(STRANGER.parse().unwrap()).len(), 4);
}

#[test]
fn a_guess_is_reported_once_an_hour_for_an_account() {
    let mut world = world();
    world.fails(STRANGER, 3);
    assert_eq!(guessed(&world.login(STRANGER, "1000")).len(), 1);
    assert_eq!(guessed(&world.login(STRANGER, "1000")).len(), 0, "it is known there now");
    world.fails("203.0.113.8", 3);
    assert_eq!(guessed(&world.login("203.0.113.8", "1000")).len(), 0, "in the same hour");
    world.pass(61 * MINUTE);
    world.fails("203.0.113.9", 3);
    assert_eq!(guessed(&world.login("203.0.113.9", "1000")).len(), 1);
}

#[test]
fn an_old_freeswitch_without_attempts_shows_guesses_too() {
    let mut world = world();
    for _ in 0..3 {
        let failure = a_failure(STRANGER.parse().unwrap(), 1);
        world.handle(Input::AuthFailure(AuthFailure { user: "1000", ..failure }));
        world.pass(SECOND);
    }
    let actions = world.handle(Input::Registered(Registered {
        source: STRANGER.parse().unwrap(),
        port: Some(5060),
        user: "1000",
        domain: "pbx.test",
        realm: None,
        username: None,
        call_id: CALL,
        user_agent: "scanner",
        life: None,
        core: CORE,
    }));
    assert_eq!(guessed(&actions), alarm("1000", STRANGER, 3, 0));
}
