//! Grades, identity and health memory: a policy that cannot be turned against its owner.

use std::time::Duration;

use sipward_engine::*;

use crate::world::*;

const PHONE: &str = "192.0.2.7";
const ELSEWHERE: &str = "203.0.113.9";

/// Past the time in which challenges may have gone unseen.
fn world() -> World {
    let mut world = World::new(Policy::default());
    world.pass(2 * MINUTE);
    world
}

fn alarms(actions: &[Action]) -> Vec<&Alarm> {
    let alarms = actions.iter().filter_map(|action| match action {
        Action::Alarm(alarm) => Some(alarm),
        _ => None,
    });
    alarms.collect()
}

fn attention(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::NeedsAttention { .. })).count()
}

#[test]
fn a_borrowed_nonce_is_unchallenged_and_weighs_a_quarter() {
    let mut world = world();
    let mut actions = Vec::new();
    for n in 1..=20 {
        actions = world.borrow_nonce(PHONE);
        assert_eq!(grades(&actions), [Grade::Unchallenged]);
        assert_eq!(!blocks(&actions).is_empty(), n == 20);
    }
    let Some(Action::Block { cause, .. }) = actions.last() else { panic!() };
    let evidence = cause.evidence().unwrap();
    assert_eq!((evidence.failures, evidence.grade), (20, Grade::Unchallenged));
    assert!((evidence.score - 5.0).abs() < 1e-9);
}

#[test]
fn a_challenge_within_90_seconds_makes_a_failure_answered() {
    let mut world = world();
    world.handle(Input::Challenge(a_challenge(PHONE.parse().unwrap())));
    world.pass(Duration::from_secs(90));
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Answered]);
    world.pass(SECOND);
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Unchallenged]);
}

#[test]
fn what_was_challenged_while_we_were_blind_is_answered() {
    let mut world = world();
    world.pass(HOUR);
    let (from, to) = (world.now, world.now);
    world.handle(Input::Blind { from, to });
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Answered]);
    world.pass(91 * SECOND);
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Unchallenged]);
}

#[test]
fn a_known_source_has_a_higher_threshold() {
    let mut world = world();
    world.login(PHONE, "1000");
    for n in 1..=20 {
        // Another user: not a phone with an old password.
        let actions = world.fail_as(PHONE, "1001", Some("1001"));
        assert_eq!(!blocks(&actions).is_empty(), n == 20, "failure {n}");
    }
}

#[test]
fn blind_and_borrowing_forgers_cannot_harm_a_known_source() {
    let mut world = world();
    world.login(PHONE, "1000");
    world.pass(2 * MINUTE);
    for _ in 0..5_000 {
        world.forge(PHONE);
        world.borrow_nonce(PHONE);
    }
    assert!(!world.is_banned(PHONE), "not even by the flood rule");
}

#[test]
fn a_patient_forger_cannot_harm_a_trusted_source() {
    let mut world = world();
    world.login(PHONE, "1000");
    world.pass(DAY);
    world.login(PHONE, "1000");
    let mut actions = Vec::new();
    for n in 0..2_000 {
        // Forged challenges before forged failures look like a real attack.
        let user = format!("{n}");
        actions.extend(world.fail_as(PHONE, &user, Some(&user)));
    }
    assert!(!world.is_banned(PHONE));
    assert!(refusals(&actions).iter().all(|reason| matches!(reason, Refusal::Known { .. })));
    assert!((1..=6).contains(&refusals(&actions).len()), "told, once for each rule");
}

/// A user who was at home for two days, now at another address.
fn roaming(world: &mut World, mistypes: usize) -> Identity {
    for _ in 0..3 {
        world.login(PHONE, "1000");
        world.pass(DAY);
    }
    for _ in 0..mistypes {
        world.fail_as(ELSEWHERE, "1000", Some("1000"));
    }
    world.login(ELSEWHERE, "1000");
    world.engine.source(ELSEWHERE.parse().unwrap()).identity
}

#[test]
fn a_trusted_user_is_trusted_at_a_new_address_at_once() {
    let mut world = world();
    assert_eq!(roaming(&mut world, 2), Identity::Trusted);
    for n in 0..60 {
        let user = format!("{n}");
        world.fail_as(ELSEWHERE, &user, Some(&user));
    }
    assert!(!world.is_banned(ELSEWHERE), "a patient forger was there first");
}

#[test]
fn who_guessed_the_password_of_a_trusted_user_is_not_trusted() {
    assert_eq!(roaming(&mut world(), 3), Identity::Known);
    let mut world = world();
    world.login(PHONE, "1000");
    world.pass(DAY - SECOND);
    world.login(PHONE, "1000");
    world.login(ELSEWHERE, "1000");
    let identity = world.engine.source(ELSEWHERE.parse().unwrap()).identity;
    assert_eq!(identity, Identity::Known, "its user is not trusted yet");
}

#[test]
fn a_trusted_user_with_another_user_agent_is_not_trusted_at_a_new_address() {
    let mut world = world();
    for _ in 0..3 {
        world.login(PHONE, "1000");
        world.pass(DAY);
    }
    let addr = ELSEWHERE.parse().unwrap();
    let phone = a_registration(addr);
    world.handle(Input::Registered(Registered { user_agent: "another", ..phone }));
    assert_eq!(world.engine.source(addr).identity, Identity::Known);
}

#[test]
fn who_has_just_guessed_a_password_is_not_trusted() {
    let mut world = world();
    world.login(PHONE, "1000");
    for n in 0..10 {
        let user = format!("{n}");
        world.fail_as(PHONE, &user, Some(&user));
    }
    assert!(world.is_banned(PHONE));
}

#[test]
fn health_is_remembered_for_a_month() {
    let mut world = world();
    world.login(PHONE, "1000");
    world.pass(30 * DAY - SECOND);
    let addr = PHONE.parse().unwrap();
    assert_eq!(world.engine.source(addr).identity, Identity::Known);
    world.pass(SECOND);
    assert_eq!(world.engine.source(addr).identity, Identity::Stranger);
}

#[test]
fn health_survives_a_restart() {
    let mut first = world();
    let actions = first.login(PHONE, "1000");
    let success = actions.iter().find_map(|action| match action {
        Action::Remember(success) => Some(*success),
        _ => None,
    });
    assert!(!first.login(PHONE, "1000").iter().any(|a| matches!(a, Action::Remember(_))));
    let json = serde_json::to_string(&success.unwrap()).unwrap();

    let mut second = world();
    second.now = first.now + HOUR;
    second.handle(Input::Remember(serde_json::from_str(&json).unwrap()));
    assert_eq!(attention(&second.fails(PHONE, 10)), 1, "user and agent are remembered too");
    assert!(!second.is_banned(PHONE));
}

#[test]
fn a_phone_left_on_its_old_password_needs_attention_and_is_not_banned() {
    let mut world = world();
    world.login(PHONE, "1000");
    let mut told = 0;
    for _ in 0..24 * 60 {
        world.pass(MINUTE);
        told += attention(&world.fail(PHONE));
        assert!(!world.is_banned(PHONE));
    }
    assert_eq!(told, 1, "told once a day");
}

#[test]
fn a_phone_that_fails_sixty_times_in_ten_minutes_is_banned_briefly() {
    let mut world = world();
    world.login(PHONE, "1000");
    let actions = world.fails(PHONE, 60);
    assert_eq!(blocks(&actions), ["192.0.2.7/32"]);
    world.pass(10 * MINUTE);
    assert!(!world.is_banned(PHONE));
    assert_eq!(world.engine.source(PHONE.parse().unwrap()).ban_count, 0, "not an offender");
}

#[test]
fn a_second_user_or_another_agent_is_no_phone_with_an_old_password() {
    let mut world = world();
    world.login(PHONE, "1000");
    world.fail_as(PHONE, "1001", Some("1001"));
    assert_eq!(attention(&world.fail(PHONE)), 0, "somebody else failed there too");

    let mut world = self::world();
    world.login(PHONE, "1000");
    world.agent = "friendly-scanner";
    assert_eq!(blocks(&world.fail(PHONE)), ["192.0.2.7/32"], "a scanner that knows the user");
}

#[test]
fn a_success_forgives_the_failures_of_that_user_only() {
    let mut world = world();
    world.fails(PHONE, 2);
    world.fail_as(PHONE, "1001", Some("1001"));
    world.login(PHONE, "1000");
    assert_eq!(world.engine.source(PHONE.parse().unwrap()).failures, 1);
}

#[test]
fn a_source_with_three_healthy_users_is_a_proxy_that_no_rule_bans() {
    let mut world = world();
    for user in ["1000", "1001", "1002"] {
        world.login(PHONE, user);
    }
    let mut actions = Vec::new();
    for n in 0..200 {
        let user = format!("guess{n}");
        world.agent = "friendly-scanner";
        actions.extend(world.fail_as(PHONE, &user, Some(&user)));
    }
    assert!(world.banned().is_empty());
    assert!(refusals(&actions).iter().all(|reason| *reason == Refusal::Shared));
    let likely = alarms(&actions).iter().filter(|a| matches!(a, Alarm::LikelyProxy { .. })).count();
    assert!((1..=4).contains(&likely), "told once for each rule, not {likely} times");
    world.pass(DAY);
    assert_eq!(world.engine.source(PHONE.parse().unwrap()).identity, Identity::Known);
}

#[test]
fn the_acl_is_asked_at_the_first_evidence_and_its_answer_protects() {
    let mut world = world();
    let addr = PHONE.parse().unwrap();
    let asked = |actions: &[Action]| actions.contains(&Action::AskAcl { addr });
    assert!(!asked(&world.forge(PHONE)), "no evidence, no question");
    assert!(asked(&world.fail(PHONE)));
    assert!(!asked(&world.fail(PHONE)), "the question is open");
    world.handle(Input::AclAnswer { addr, allowed: Some(true) });
    world.fails(PHONE, 50);
    assert!(!world.is_banned(PHONE));
}

#[test]
fn a_late_answer_of_the_acl_lifts_the_ban() {
    let mut world = world();
    world.fails(PHONE, 5);
    let addr = PHONE.parse().unwrap();
    let actions = world.handle(Input::AclAnswer { addr, allowed: Some(true) });
    assert_eq!(unblocks(&actions), [("192.0.2.7/32".into(), UnblockReason::Exempted)]);
}

#[test]
fn an_acl_that_changes_its_mind_protects_no_longer() {
    let mut world = world();
    let addr = PHONE.parse().unwrap();
    world.handle(Input::AclAnswer { addr, allowed: Some(true) });
    world.handle(Input::AclAnswer { addr, allowed: Some(false) });
    world.fails(PHONE, 5);
    assert!(world.is_banned(PHONE));
}

#[test]
fn a_spoofing_campaign_raises_one_alarm_with_its_victims() {
    let mut world = world();
    let mut actions = Vec::new();
    for n in 0..500 {
        actions.extend(world.forge(&format!("198.51.100.{}", n % 3)));
    }
    let alarms = alarms(&actions);
    let [Alarm::Spoofing { failures: 100, victims }] = alarms[..] else { panic!("{alarms:?}") };
    assert_eq!(victims.len(), 3);
}

#[test]
fn an_invite_is_judged_by_its_digest_user_not_by_the_number_called() {
    let mut world = world();
    world.login(PHONE, "1000");
    for n in 0..30 {
        // A phone with an old password calls thirty different numbers.
        world.pass(MINUTE);
        world.fail_as(PHONE, &format!("0049{n}"), Some("1000"));
    }
    assert!(!world.is_banned(PHONE));
    assert_eq!(world.engine.stats().attention, 1);
}
