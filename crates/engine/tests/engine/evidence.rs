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
fn a_failure_is_answered_once_for_each_challenge_of_its_dialog() {
    let mut world = world();
    world.challenge(PHONE);
    world.pass(Duration::from_secs(90));
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Answered]);
    world.challenge(PHONE);
    world.pass(SECOND);
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Answered]);
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Challenged], "it is used up");
    world.call = "another";
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Challenged], "of another dialog");
    world.pass(90 * SECOND);
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Unchallenged]);
}

#[test]
fn a_nonce_lives_as_long_as_its_profile_says() {
    let mut world = world();
    let life = Duration::from_secs(300);
    world.handle(Input::NonceLife { profile: "internal", life });
    world.challenge(PHONE);
    world.pass(life);
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Answered]);
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Challenged]);
    world.pass(MINUTE);
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Unchallenged]);
}

#[test]
fn the_dialog_of_a_registration_is_genuine_for_its_own_user_only() {
    let mut world = world();
    world.register(PHONE, "1000");
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Genuine], "without a challenge");
    let other = world.fail_as(PHONE, "1001", Some("1001"));
    assert_eq!(grades(&other), [Grade::Answered], "its Call-ID for another user");
    assert_eq!(grades(&world.borrow_nonce(ELSEWHERE)), [Grade::Unchallenged], "elsewhere");
    world.call = "of a forger";
    assert!(grades(&world.borrow_nonce(PHONE))[0] < Grade::Answered);
}

#[test]
fn what_may_have_been_challenged_while_we_were_blind_is_challenged() {
    let mut world = world();
    world.pass(HOUR);
    let (from, to) = (world.now, world.now);
    world.handle(Input::Blind { from, to });
    assert_eq!(grades(&world.borrow_nonce(PHONE)), [Grade::Challenged]);
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
        assert_eq!(!denials(&actions).is_empty(), n == 20, "failure {n}");
    }
    assert!(!world.is_banned(PHONE), "the host stays");
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

/// Failures of `times` invented users whose dialogs were challenged, as a patient forger sends them.
fn patient_forgery(world: &mut World, times: usize) -> Vec<Action> {
    let call = std::mem::replace(&mut world.call, "of a forger");
    let mut actions = Vec::new();
    for n in 0..times {
        let user = format!("f{n}");
        actions.extend(world.fail_as(PHONE, &user, Some(&user)));
    }
    world.call = call;
    actions
}

#[test]
fn a_patient_forger_takes_no_minute_from_a_registered_phone() {
    let mut world = world();
    world.register(PHONE, "1000");
    let actions = patient_forgery(&mut world, 2_000);
    assert!(world.banned().is_empty());
    let told = |reason: &Refusal| matches!(reason, Refusal::Known { .. } | Refusal::Registered);
    assert!(refusals(&actions).iter().all(told));
    assert!(denials(&actions).is_empty(), "its port is known, and forged");
    assert!((1..=6).contains(&refusals(&actions).len()), "told, once for each rule");
}

#[test]
fn a_patient_forger_takes_ten_minutes_an_hour_from_one_port_of_a_known_host_without_registrations()
{
    let mut world = world();
    world.login(PHONE, "1000");
    let mut denied = Duration::ZERO;
    for _ in 0..24 * 60 {
        patient_forgery(&mut world, 40);
        denied += if world.denied.is_empty() { Duration::ZERO } else { MINUTE };
        assert!(!world.is_banned(PHONE));
        world.pass(MINUTE);
    }
    assert!((220 * MINUTE..=240 * MINUTE).contains(&denied), "{denied:?} of a day");
    let view = world.engine.source(PHONE.parse().unwrap());
    assert_eq!(view.ban_count, 0, "no offence");
}

#[test]
fn an_operator_who_allows_a_flow_is_not_overruled_within_the_hour() {
    let mut world = world();
    world.login(PHONE, "1000");
    patient_forgery(&mut world, 40);
    let manual = |flow: &str| (flow.to_owned(), UnblockReason::Manual);
    let flows = ["192.0.2.7 udp 5060", "192.0.2.7 tcp 5060"];
    assert_eq!(allowed(&world.unban("192.0.2.0/24")), flows.map(manual));
    let actions = patient_forgery(&mut world, 400);
    assert!(world.denied.is_empty());
    assert!(refusals(&actions).contains(&Refusal::DeniedLately));
}

#[test]
fn one_packet_bans_nobodys_phone() {
    for agent in ["friendly-scanner", "Yealink SIP-T46S"] {
        for register in [true, false] {
            let mut world = world();
            if register {
                world.register(PHONE, "1000");
            } else {
                world.login(PHONE, "1000");
            }
            world.call = "of a forger";
            world.agent = agent;
            world.borrow_nonce(PHONE);
            for n in 0..30 {
                let user = format!("{n}");
                world.attempt_and_fail(PHONE, &user, Some(&user));
                world.forge(PHONE);
            }
            assert!(world.banned().is_empty(), "{agent}, registered: {register}");
        }
    }
}

#[test]
fn a_phone_beyond_the_attention_limit_loses_the_port_that_fails_unless_it_is_registered_there() {
    let mut world = world();
    world.register(PHONE, "1000");
    world.call = "after a restart";
    let actions = world.fails(PHONE, 200);
    assert!(denials(&actions).is_empty(), "a forger's failures look the same");
    assert!(refusals(&actions).contains(&Refusal::Registered));
    world.pass(10 * MINUTE);
    world.port = 40_001;
    assert!(denials(&world.fails(PHONE, 59)).is_empty());
    assert_eq!(denials(&world.fail(PHONE)), ["192.0.2.7 udp 40001", "192.0.2.7 tcp 40001"]);
    assert!(!world.is_banned(PHONE));
    let expired = |flow: &str| (flow.to_owned(), UnblockReason::Expired);
    let flows = ["192.0.2.7 udp 40001", "192.0.2.7 tcp 40001"];
    assert_eq!(allowed(&world.pass(10 * MINUTE)), flows.map(expired));
}

#[test]
fn a_line_with_a_wrong_password_takes_nothing_from_the_one_beside_it() {
    let mut world = world();
    world.register(PHONE, "1000");
    let mut told = 0;
    for _ in 0..2_000 {
        world.call = "second line";
        told += attention(&world.fail_as(PHONE, "1003", Some("1003")));
        world.pass(SECOND);
        world.call = CALL;
        if world.now.as_micros().is_multiple_of(20_000_000) {
            world.register(PHONE, "1000");
        }
    }
    assert!(!world.is_banned(PHONE));
    assert_eq!(told, 1);
    world.call = "second line";
    world.register(PHONE, "1003");
    let actions: Vec<_> =
        (0..100).flat_map(|_| world.fail_as(PHONE, "1003", Some("1003"))).collect();
    assert_eq!(grades(&actions), [Grade::Genuine; 100]);
    assert!(!world.is_banned(PHONE), "neither answers for the other");
    assert!(insiders(&actions).is_empty());
}

fn insiders(actions: &[Action]) -> Vec<(u32, u32)> {
    let insiders = alarms(actions).into_iter().filter_map(|alarm| match alarm {
        Alarm::Insider { users, failures, .. } => Some((*users, *failures)),
        _ => None,
    });
    insiders.collect()
}

#[test]
fn an_account_that_guesses_the_passwords_of_others_is_told() {
    let mut world = world();
    world.register(PHONE, "1000");
    world.pass(95 * SECOND);
    let mut actions = Vec::new();
    for n in 0..12 {
        // With the nonce of its own registration.
        world.call = "a new one";
        let user = format!("{}", 1100 + n);
        actions.extend(world.attempt_and_fail(PHONE, &user, Some(&user)));
    }
    assert_eq!(insiders(&actions), [(5, 5)]);
    assert!(world.banned().is_empty(), "one forged packet each could do the same");
    let mut one = self::world();
    one.login(PHONE, "1000");
    one.pass(95 * SECOND);
    one.call = "a new one";
    let actions: Vec<_> =
        (0..30).flat_map(|_| one.attempt_and_fail(PHONE, "1100", Some("1100"))).collect();
    assert_eq!(insiders(&actions), [(1, 20)], "also when it is one user only");
}

#[test]
fn an_insider_is_slowed_down_where_somebody_is_registered_and_loses_its_flow_elsewhere() {
    let slows = |actions: &[Action]| {
        let slow = |action: &&Action| matches!(action, Action::Slow { .. });
        actions.iter().filter(slow).count()
    };
    let guess = |world: &mut World, users: usize, times: usize| -> Vec<Action> {
        world.call = "guessing";
        let guesses = (0..times).map(|n| format!("{}", 1100 + n % users));
        guesses.flat_map(|user| world.fail_as(PHONE, &user, Some(&user))).collect()
    };
    let mut registered = world();
    registered.register(PHONE, "1000");
    let actions = guess(&mut registered, 3, 100);
    assert_eq!(slows(&actions), 1);
    assert!(registered.banned().is_empty());
    let view = registered.engine.source(PHONE.parse().unwrap());
    assert!(view.insider_until.is_some());
    registered.pass(HOUR);
    assert_eq!(slows(&guess(&mut registered, 3, 100)), 1, "once an hour");

    let mut gone = world();
    gone.login(PHONE, "1000");
    let actions = guess(&mut gone, 4, 20);
    assert_eq!((slows(&actions), denials(&actions).len()), (0, 2));
    assert!(gone.banned().is_empty());
    gone.pass(10 * MINUTE);
    assert!(gone.denied.is_empty());
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
    world.register(ELSEWHERE, "1000");
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
    world.agent = "another";
    world.register(ELSEWHERE, "1000");
    assert_eq!(world.engine.source(addr).identity, Identity::Known);
}

#[test]
fn who_has_just_guessed_a_password_is_not_trusted() {
    let mut world = world();
    world.login(PHONE, "1000");
    for n in 0..20 {
        let user = format!("{n}");
        world.fail_as(PHONE, &user, Some(&user));
    }
    assert!(!world.denied.is_empty());
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
fn a_phone_that_fails_sixty_times_in_ten_minutes_loses_its_flow_for_ten() {
    let mut world = world();
    world.login(PHONE, "1000");
    let actions = world.fails(PHONE, 60);
    assert_eq!(denials(&actions).len(), 2);
    world.pass(10 * MINUTE);
    assert!(world.denied.is_empty() && !world.is_banned(PHONE));
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
    world.agent = "another";
    assert_eq!(attention(&world.fail(PHONE)), 0);
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
fn a_source_with_three_users_of_a_day_is_a_proxy_that_no_rule_bans() {
    let mut world = world();
    let users = ["1000", "1001", "1002"];
    for user in users {
        world.login(PHONE, user);
    }
    assert_eq!(world.identity(PHONE), Identity::Known, "three fresh accounts are no proxy");
    world.pass(DAY);
    for user in users {
        world.login(PHONE, user);
    }
    assert_eq!(world.identity(PHONE), Identity::Shared);
    world.login(PHONE, "1003");
    assert_eq!(world.identity(PHONE), Identity::Shared, "a new phone behind it changes nothing");
    let mut actions = Vec::new();
    for n in 0..200 {
        let user = format!("guess{}", n % 2);
        world.agent = "friendly-scanner";
        actions.extend(world.fail_as(PHONE, &user, Some(&user)));
    }
    assert!(world.banned().is_empty());
    assert!(refusals(&actions).iter().all(|reason| *reason == Refusal::Shared));
    let likely = alarms(&actions).iter().filter(|a| matches!(a, Alarm::LikelyProxy { .. })).count();
    assert!((1..=4).contains(&likely), "told once for each rule, not {likely} times");
    world.pass(DAY);
    assert_eq!(world.identity(PHONE), Identity::Trusted);
}

#[test]
fn an_aged_account_vouches_for_a_handful_of_new_addresses_a_day() {
    let mut policy = Policy::default();
    policy.healthy.max_new_addresses = 3;
    let mut world = World::new(policy);
    for _ in 0..3 {
        world.login(PHONE, "1000");
        world.pass(DAY);
    }
    let mut trusted = 0;
    for day in 0..2 {
        for n in 0..10 {
            let addr = format!("198.51.{day}.{n}");
            world.login(&addr, "1000");
            trusted += u32::from(world.identity(&addr) == Identity::Trusted);
        }
        world.pass(DAY);
    }
    assert_eq!(trusted, 6);
}

#[test]
fn a_neighbour_in_a_64_does_not_answer_for_a_known_phone() {
    let (phone, neighbour) = ("2001:db8:c20::cafe", "2001:db8:c20::bad");
    let mut world = world();
    world.register(phone, "4001");
    world.agent = "friendly-scanner";
    world.fail(neighbour);
    assert_eq!(world.banned(), ["2001:db8:c20::bad/128"]);

    let mut world = self::world();
    world.fails(neighbour, 5);
    assert_eq!(world.banned(), ["2001:db8:c20::/64"], "a /64 is one stranger");
    world.handle(Input::Registrations {
        phones: vec![a_registration(phone.parse().unwrap())],
        asked: world.now,
        first: false,
    });
    assert_eq!(world.banned(), ["2001:db8:c20::bad/128"], "narrowed");
}

#[test]
fn behind_nat64_and_teredo_each_address_is_a_host_of_its_own() {
    let nat64_prefixes = vec!["2001:db8:64::/96".parse().unwrap()];
    let policy = Policy { nat64_prefixes, ..Policy::default() };
    let mut world = World::new(policy);
    for (n, source) in
        ["64:ff9b::c633:6407", "64:ff9b:1::7", "2001:0:4136:e378:8000::1", "2001:db8:64::7"]
            .into_iter()
            .enumerate()
    {
        world.fails(source, 5);
        assert_eq!(world.banned().len(), n + 1);
        assert!(
            world
                .banned()
                .contains(&format!("{}/128", source.parse::<std::net::IpAddr>().unwrap()))
        );
    }
    for n in 0..40 {
        world.fail(&format!("64:ff9b::c633:{n:x}"));
    }
    assert_eq!(world.banned().len(), 4, "no network either");
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

/// Another address that half a public hash took for this one: the dialog registered there proved failures here.
#[test]
fn the_dialog_of_a_chosen_address_is_no_evidence_about_another() {
    let mut world = World::without_networks(Policy::default());
    world.pass(3 * MINUTE);
    let chosen = std::net::Ipv6Addr::from_bits(0x2a0d_1234_5678_0000_08c2_cbfa_0ba9_216e);
    let (victim, chosen) = ("203.0.113.7", &*chosen.to_string());
    let (source, at) = (victim.parse().unwrap(), world.now.earlier(HOUR));
    let (user, user_agent) = (Text::new("1000"), Text::new("a phone"));
    world.handle(Input::Remember(Success { source, user, user_agent, since: at, at }));
    world.call = "the attacker's own";
    world.register(chosen, "attacker");
    world.pass(SECOND);
    for _ in 0..70 {
        let actions = world.attempt_and_fail(victim, "attacker", Some("attacker"));
        assert_eq!(grades(&actions), [Grade::Unchallenged]);
        assert!(denials(&actions).is_empty());
        world.pass(SECOND);
    }
}
