//! Each rule: when it bans, when it only shadows, whom it spares.

use std::time::Duration;

use sipward_engine::*;

use crate::world::*;

const HOST: &str = "192.0.2.7";

fn world_with(change: impl FnOnce(&mut Policy)) -> World {
    let mut policy = Policy::default();
    change(&mut policy);
    World::new(policy)
}

fn rules_of(actions: &[Action]) -> Vec<RuleName> {
    let rules = actions.iter().filter_map(|action| match action {
        Action::Block { cause, .. } => cause.evidence().map(|evidence| evidence.rule),
        _ => None,
    });
    rules.collect()
}

fn shadows_of(actions: &[Action]) -> Vec<RuleName> {
    let rules = actions.iter().filter_map(|action| match action {
        Action::Shadowed { cause, .. } => cause.evidence().map(|evidence| evidence.rule),
        _ => None,
    });
    rules.collect()
}

fn has_alarm(actions: &[Action], what: impl Fn(&Alarm) -> bool) -> bool {
    actions.iter().any(|action| matches!(action, Action::Alarm(alarm) if what(alarm)))
}

#[test]
fn a_base_rule_in_shadow_tells_once_and_bans_nobody() {
    let mut world = world_with(|policy| policy.rules.failures.mode = Mode::Shadow);
    let actions = world.fails(HOST, 9);
    assert_eq!(shadows_of(&actions), [RuleName::Failures]);
    assert!(world.banned().is_empty());
}

#[test]
fn evidence_below_the_grade_of_a_rule_only_shadows() {
    let mut world = world_with(|policy| policy.rules.failures.min_grade = Grade::Answered);
    world.pass(2 * MINUTE);
    let actions: Vec<_> = (0..25).flat_map(|_| world.borrow_nonce(HOST)).collect();
    assert_eq!(shadows_of(&actions), [RuleName::Failures]);
    assert!(world.banned().is_empty());
}

#[test]
fn a_stranger_that_tries_ten_users_falls() {
    let mut world = world_with(|policy| policy.max_failures = 20);
    let mut actions = Vec::new();
    for n in 1..=10 {
        assert!(world.banned().is_empty());
        actions = world.fail_as(HOST, &format!("guess{n}"), Some(&format!("guess{n}")));
    }
    assert_eq!(rules_of(&actions), [RuleName::Users]);
}

#[test]
fn neither_many_users_nor_a_scanners_name_ban_a_known_host() {
    let mut world = world_with(|_| ());
    world.login(HOST, "1000");
    world.agent = "friendly-scanner";
    let mut actions = Vec::new();
    for n in 1..=12 {
        let user = format!("guess{n}");
        actions.extend(world.fail_as(HOST, &user, Some(&user)));
    }
    assert!(world.banned().is_empty());
    assert!(refusals(&actions).iter().all(|reason| matches!(reason, Refusal::Known { .. })));
    assert_eq!(refusals(&actions).len(), 2, "each rule once");
}

#[test]
fn a_known_scanner_falls_at_its_first_answered_failure() {
    let mut world = world_with(|_| ());
    world.agent = "Friendly-Scanner";
    assert!(rules_of(&world.forge(HOST)).is_empty());
    assert_eq!(rules_of(&world.fail(HOST)), [RuleName::UserAgents]);
}

fn report(source: &str, proved: bool) -> Input<'static> {
    let reason = "call to a premium number";
    Input::Report { source: source.parse().unwrap(), reason, proved }
}

fn reports(world: &mut World, source: &str, times: usize) -> Vec<Action> {
    (0..times).flat_map(|_| world.handle(report(source, false))).collect()
}

#[test]
fn the_third_report_of_the_dialplan_bans_for_ten_minutes_and_says_why() {
    let mut world = world_with(|_| ());
    assert!(blocks(&reports(&mut world, HOST, 2)).is_empty());
    let asked = reports(&mut world, HOST, 1);
    assert_eq!(asked, [Action::AskAcl { addr: HOST.parse().unwrap() }], "held for the answer");
    let actions = world.pass(SECOND);
    assert_eq!(rules_of(&actions), [RuleName::Report]);
    let Some(Action::Block { cause, .. }) = actions.first() else { panic!() };
    let evidence = cause.evidence().unwrap();
    assert_eq!(evidence.grade, Grade::Unjoined, "over UDP anybody can be named");
    assert_eq!(evidence.details.as_ref().unwrap().reason.unwrap(), "call to a premium number");
    world.pass(10 * MINUTE);
    assert!(world.banned().is_empty());
    assert_eq!(world.engine.source(HOST.parse().unwrap()).ban_count, 0, "no offence");
}

#[test]
fn a_report_over_tcp_is_proved_and_its_bans_grow() {
    let mut world = world_with(|_| ());
    for minutes in [10, 20] {
        for _ in 0..3 {
            world.handle(report(HOST, true));
        }
        world.pass(SECOND);
        assert_eq!(world.banned(), [format!("{HOST}/32")]);
        world.pass(minutes * MINUTE - SECOND);
        assert!(world.is_banned(HOST), "{minutes} minutes");
        world.pass(2 * SECOND);
        assert!(world.banned().is_empty());
    }
}

#[test]
fn an_allowed_carrier_is_not_banned_by_reports_while_the_answer_is_on_its_way() {
    let mut world = world_with(|_| ());
    reports(&mut world, HOST, 5);
    let addr = HOST.parse().unwrap();
    world.pass(SECOND / 2);
    world.handle(Input::AclAnswer { addr, allowed: Some(true) });
    let actions = world.pass(SECOND);
    assert!(matches!(refusals(&actions)[..], [Refusal::Exempt { class: Exemption::Acl, .. }]));
    let late = "192.0.2.8";
    reports(&mut world, late, 3);
    world.pass(SECOND);
    assert!(world.is_banned(late));
    world.handle(Input::AclAnswer { addr: late.parse().unwrap(), allowed: Some(true) });
    assert!(!world.is_banned(late), "a late answer lifts the ban");
}

#[test]
fn reports_ban_nobody_who_is_known_or_whose_call_was_accepted() {
    let mut world = world_with(|_| ());
    world.login("192.0.2.8", "1000");
    let actions = reports(&mut world, "192.0.2.8", 9);
    assert!(matches!(refusals(&actions)[..], [Refusal::Known { .. }, ..]));

    let caller = "192.0.2.9";
    world.handle(Input::CallAccepted { source: caller.parse().unwrap() });
    assert_eq!(world.identity(caller), Identity::Caller);
    reports(&mut world, caller, 9);
    world.pass(SECOND);
    assert!(world.banned().is_empty());
    world.fails(caller, 5);
    assert!(world.is_banned(caller), "of reports only");
    world.pass(DAY);
    assert_eq!(world.identity(caller), Identity::Stranger);
}

#[test]
fn forged_reports_ban_only_so_many_strangers_a_minute_and_leave_room() {
    let mut world = world_with(|policy| {
        policy.max_bans = 50;
        policy.rules.report.threshold = 1;
        policy.rules.network.guard.mode = Mode::Off;
    });
    let mut actions = Vec::new();
    for n in 1..=100 {
        actions.extend(reports(&mut world, &format!("198.51.{n}.1"), 1));
    }
    actions.extend(world.pass(SECOND));
    assert_eq!(world.banned().len(), 5, "a tenth of the table");
    assert!(refusals(&actions).contains(&Refusal::ShareUsedUp));

    let mut world = world_with(|policy| policy.rules.report.threshold = 1);
    let mut actions = Vec::new();
    for n in 1..=200 {
        actions.extend(reports(&mut world, &format!("198.51.{n}.1"), 1));
    }
    actions.extend(world.pass(SECOND));
    assert_eq!(world.banned().len(), MAX_FORGEABLE_PER_MINUTE as usize);
    let told = |alarm: &Alarm| matches!(alarm, Alarm::ForgeableBans { bans: 61 });
    assert!(has_alarm(&actions, told));
    assert_eq!(shadows_of(&actions).len(), 140);
}

#[test]
fn a_proved_attacker_finds_room_in_a_table_full_of_forgeries() {
    let mut world = world_with(|policy| {
        policy.max_bans = 20;
        policy.rules.report.threshold = 1;
        policy.rules.network.guard.mode = Mode::Off;
    });
    for n in 1..=18 {
        world.fails(&format!("203.0.{n}.1"), 5);
    }
    reports(&mut world, "198.51.100.1", 1);
    reports(&mut world, "198.51.101.1", 1);
    world.pass(SECOND);
    assert_eq!(world.banned().len(), 20);
    let actions = world.fails(HOST, 5);
    assert!(unblocks(&actions).contains(&("198.51.100.1/32".into(), UnblockReason::MadeRoom)));
    assert!(world.is_banned(HOST) && world.is_banned("198.51.101.1"));
    world.fails("192.0.3.7", 5);
    assert!(!world.is_banned("198.51.101.1"));
    let actions = world.fails("192.0.4.7", 5);
    assert!(world.is_banned("192.0.4.7"));
    assert_eq!(unblocks(&actions).len(), 1, "the ban that ends first gives way");
    assert!(has_alarm(&actions, |alarm| matches!(alarm, Alarm::BanTableFull { .. })));
}

fn login(world: &mut World, source: &str) -> Vec<Action> {
    world.handle(Input::LoginFailure { source: source.parse().unwrap() })
}

#[test]
fn the_tenth_failed_login_to_the_page_within_ten_minutes_bans() {
    let mut world = world_with(|_| ());
    for _ in 0..9 {
        assert!(login(&mut world, HOST).is_empty());
        world.pass(MINUTE);
    }
    let actions = login(&mut world, "::ffff:192.0.2.7");
    assert_eq!(rules_of(&actions), [RuleName::Login]);
    let [_, Action::Block { cause, .. }] = &actions[..] else { panic!("{actions:?}") };
    let evidence = cause.evidence().unwrap();
    assert_eq!((evidence.failures, evidence.grade), (10, Grade::Answered));
    world.pass(HOUR);
    assert!(world.banned().is_empty());
    for _ in 0..9 {
        login(&mut world, HOST);
    }
    assert!(world.banned().is_empty(), "a ban begins the count anew");
    login(&mut world, HOST);
    world.pass(HOUR);
    assert!(world.is_banned(HOST), "the second ban is longer");
}

#[test]
fn failed_logins_to_the_page_are_no_sip_failures_and_need_their_window() {
    let mut world = world_with(|_| ());
    for _ in 0..100 {
        login(&mut world, HOST);
        world.pass(2 * MINUTE);
    }
    assert!(world.banned().is_empty());
    assert_eq!(world.engine.source(HOST.parse().unwrap()).failures, 0);
}

#[test]
fn failed_logins_to_the_page_ban_nobody_who_is_known_or_exempt() {
    let mut world = world_with(|_| ());
    world.login(HOST, "1000");
    world.exempt(Exemption::Allow, &["192.0.2.8"]);
    for (host, known) in [(HOST, true), ("192.0.2.8", false), ("127.0.0.1", false)] {
        let actions: Vec<_> = (0..10).flat_map(|_| login(&mut world, host)).collect();
        let [reason] = refusals(&actions)[..] else { panic!("{actions:?}") };
        assert_eq!(matches!(reason, Refusal::Known { .. }), known);
    }
    assert!(world.banned().is_empty());
}

#[test]
fn failed_logins_to_the_page_in_shadow_are_told_once() {
    let mut world = world_with(|policy| policy.rules.login.guard.mode = Mode::Shadow);
    let actions: Vec<_> = (0..30).flat_map(|_| login(&mut world, HOST)).collect();
    assert_eq!(shadows_of(&actions), [RuleName::Login]);
    assert!(world.banned().is_empty());
}

#[test]
fn a_flood_is_stopped_for_a_minute_and_is_no_offence() {
    let mut world = world_with(|_| ());
    let challenge = Input::Challenge(a_challenge(HOST.parse().unwrap()));
    for _ in 0..200 {
        world.handle(challenge.clone());
    }
    assert_eq!(rules_of(&world.pass(SECOND)), [RuleName::Flood]);
    world.pass(MINUTE);
    assert!(world.banned().is_empty());
    assert_eq!(world.engine.source(HOST.parse().unwrap()).ban_count, 0);
}

#[test]
fn phones_that_boot_together_and_then_log_in_are_no_flood() {
    let mut world = world_with(|_| ());
    for _ in 0..220 {
        world.handle(Input::Challenge(a_challenge(HOST.parse().unwrap())));
    }
    world.pass(SECOND / 2);
    for n in 0..220 {
        world.login(HOST, &format!("{n}"));
    }
    world.pass(10 * SECOND);
    assert!(world.banned().is_empty());
}

#[test]
fn two_hundred_events_in_more_than_a_second_are_no_flood() {
    let mut world = world_with(|_| ());
    let challenge = Input::Challenge(a_challenge(HOST.parse().unwrap()));
    for _ in 0..2_000 {
        world.handle(challenge.clone());
        world.pass(Duration::from_millis(6));
    }
    assert!(world.banned().is_empty());
}

#[test]
fn a_flood_from_a_known_or_allowed_host_is_only_reported() {
    let mut world = world_with(|_| ());
    world.login(HOST, "1000");
    world.exempt(Exemption::Allow, &["192.0.2.8"]);
    for (host, known) in [(HOST, true), ("192.0.2.8", false)] {
        let challenge = Input::Challenge(a_challenge(host.parse().unwrap()));
        let actions: Vec<_> = (0..400).flat_map(|_| world.handle(challenge.clone())).collect();
        let [reason] = refusals(&actions)[..] else { panic!() };
        assert_eq!(matches!(reason, Refusal::Known { .. }), known);
    }
    assert!(world.banned().is_empty());
}

#[test]
fn thirty_failures_in_a_day_are_slow_and_shadowed() {
    let mut world = world_with(|_| ());
    let mut actions = Vec::new();
    for _ in 0..30 {
        world.pass(40 * MINUTE);
        actions.extend(world.fail(HOST));
    }
    assert_eq!(shadows_of(&actions), [RuleName::Slow]);
    assert!(world.banned().is_empty());
}

#[test]
fn knocking_without_ever_answering_is_shadowed_and_phones_do_not_trip_it() {
    let mut world = world_with(|_| ());
    let mut actions = Vec::new();
    for _ in 0..60 {
        world.pass(SECOND);
        actions.extend(world.handle(Input::Challenge(a_challenge(HOST.parse().unwrap()))));
        // A phone that registers every second, and whose challenges come twice.
        world.handle(Input::Challenge(a_challenge("192.0.2.8".parse().unwrap())));
        actions.extend(world.login("192.0.2.8", "1000"));
    }
    assert_eq!(shadows_of(&actions), [RuleName::Challenges]);
}

#[test]
fn failed_calls_are_counted_by_themselves() {
    let mut world = world_with(|policy| {
        policy.max_failures = 10;
        policy.rules.calls.guard.mode = Mode::Ban;
    });
    world.method = Method::Invite;
    let actions = world.fails(HOST, 5);
    assert_eq!(rules_of(&actions), [RuleName::Calls]);
}

#[test]
fn abandoned_calls_prove_nothing_by_default() {
    let mut world = world_with(|policy| policy.rules.calls.guard.mode = Mode::Ban);
    let source = HOST.parse().unwrap();
    let actions: Vec<_> =
        (0..9).flat_map(|_| world.handle(Input::AbandonedCall { source })).collect();
    assert_eq!(shadows_of(&actions), [RuleName::Calls]);
    assert!(world.banned().is_empty());
}

#[test]
fn registering_to_an_address_is_suspicious_unless_somebody_does_so_rightly() {
    let ban = |policy: &mut Policy| policy.rules.raw_address.guard.mode = Mode::Ban;
    let mut world = world_with(ban);
    world.domain = "203.0.113.5";
    assert_eq!(rules_of(&world.fails(HOST, 3)), [RuleName::RawAddress]);

    let mut world = world_with(ban);
    let phone = a_registration("192.0.2.9".parse().unwrap());
    world.handle(Input::Registered(Registered { domain: "[2001:db8::5]", ..phone }));
    world.domain = "203.0.113.5";
    assert!(world.fails(HOST, 4).iter().all(|action| !matches!(action, Action::Block { .. })));
}

#[test]
fn an_account_attacked_from_many_sources_alarms_and_lowers_the_threshold_for_strangers() {
    let mut world = world_with(|policy| policy.rules.account.guard.mode = Mode::Ban);
    world.login("192.0.2.200", "1000");
    let mut actions = Vec::new();
    for n in 1..=10 {
        actions.extend(world.fail(&format!("192.0.2.{n}")));
    }
    assert!(has_alarm(&actions, |alarm| matches!(
        alarm,
        Alarm::AccountAttacked { sources: 10, .. }
    )));
    assert_eq!(rules_of(&world.fail("192.0.2.1")), [RuleName::Account]);
    world.fails("192.0.2.200", 4);
    assert!(!world.is_banned("192.0.2.200"), "the phone of that user is left alone");
}

#[test]
fn a_network_of_strangers_that_fails_twenty_times_is_banned_whole_for_ten_minutes() {
    let mut world = world_with(|_| ());
    let mut actions = Vec::new();
    for n in 1..=20 {
        assert!(world.banned().is_empty(), "{n}");
        actions = world.fail(&format!("192.0.2.{n}"));
    }
    assert_eq!(world.banned(), ["192.0.2.0/24"]);
    let network = net("192.0.2.0/24");
    assert!(has_alarm(&actions, |alarm| {
        matches!(alarm, Alarm::NetworkBanned { net, failures: 20 } if *net == network)
    }));
    world.pass(10 * MINUTE);
    assert!(world.banned().is_empty());
    for n in 1..=20 {
        world.fail(&format!("192.0.2.{n}"));
    }
    world.pass(10 * MINUTE);
    assert!(world.is_banned("192.0.2.1"), "the second time it is longer");
}

#[test]
fn an_attacker_who_rotates_through_a_48_has_twenty_guesses() {
    let mut world = world_with(|_| ());
    let mut guesses = 0;
    for n in 0..65_536_u32 {
        let source = format!("2001:db8:7:{:x}::1", n * 7_919 % 65_536);
        if !world.is_banned(&source) {
            world.fail(&source);
            guesses += 1;
        }
        world.pass(Duration::from_millis(5));
    }
    assert_eq!(guesses, 20);
    assert!(world.is_banned("2001:db8:7:ffff::1"));
}

#[test]
fn three_hosts_are_no_network() {
    let mut world = world_with(|policy| policy.max_failures = 100);
    for n in 0..60 {
        world.fail(&format!("192.0.2.{}", n % 3));
    }
    assert!(world.banned().is_empty());
}

#[test]
fn networks_have_a_share_of_the_table() {
    let mut world = world_with(|_| ());
    let mut actions = Vec::new();
    for network in 0..=MAX_NETWORK_BANS {
        for n in 1..=20 {
            actions.extend(world.fail(&format!("198.{}.{}.{n}", network / 100, network % 100)));
        }
    }
    assert_eq!(world.banned().len(), MAX_NETWORK_BANS);
    assert!(refusals(&actions).contains(&Refusal::ShareUsedUp));
}

#[test]
fn a_network_that_holds_a_known_or_exempt_host_or_a_caller_is_not_banned() {
    for what in 0..3 {
        let mut world = world_with(|_| ());
        match what {
            0 => world.login("192.0.2.200", "1000"),
            1 => world.exempt(Exemption::Allow, &["192.0.2.200"]),
            _ => world.handle(Input::CallAccepted { source: "192.0.2.200".parse().unwrap() }),
        };
        let actions: Vec<_> =
            (1..=20).flat_map(|n| world.fails(&format!("192.0.2.{n}"), 4)).collect();
        assert!(world.banned().is_empty());
        assert_eq!(refusals(&actions).len(), 4, "once for each twenty");
    }
}

#[test]
fn a_banned_network_is_split_where_a_known_host_appears() {
    let mut world = world_with(|_| ());
    for n in 1..=20 {
        world.fail(&format!("192.0.2.{n}"));
    }
    world.login("192.0.2.200", "1000");
    assert!(!world.is_banned("192.0.2.200"));
    assert!(world.is_banned("192.0.2.201"));
}

#[test]
fn distributed_guessing_is_told_with_the_accounts_it_tries() {
    let mut world = world_with(|_| ());
    let mut actions = Vec::new();
    let began = world.now;
    for n in 0..300_u32 {
        let source = format!("{}.{}.7.1", 100 + n / 200, n % 200);
        let user = format!("{}", 1000 + n % 3);
        actions.extend(world.fail_as(&source, &user, Some(&user)));
        world.pass(Duration::from_millis(200));
        if has_alarm(&actions, |alarm| matches!(alarm, Alarm::Distributed { .. })) {
            break;
        }
    }
    assert!(world.now.since(began) <= MINUTE);
    let users = ["1000", "1001", "1002"].map(Text::new).to_vec();
    let tried = actions.iter().find_map(|action| match action {
        Action::Alarm(Alarm::Distributed { sources: 90..=100, users }) => Some(users),
        _ => None,
    });
    let tried = tried.unwrap();
    assert_eq!(tried.iter().collect::<std::collections::HashSet<_>>(), users.iter().collect());
}

#[test]
fn failures_without_attempts_are_no_silence() {
    let mut world = world_with(|_| ());
    world.fail("203.0.113.1");
    let mut actions = Vec::new();
    for _ in 0..40 {
        let sequence = world.next();
        actions
            .extend(world.handle(Input::AuthFailure(a_failure(HOST.parse().unwrap(), sequence))));
        actions.extend(world.pass(SECOND));
    }
    assert!(world.banned().is_empty());
    let host = HOST.parse().unwrap();
    assert!(has_alarm(&actions, |alarm| *alarm == Alarm::Unjoined { address: host, failures: 20 }));
    assert_eq!(shadows_of(&actions), [RuleName::Failures]);
}

#[test]
fn many_bans_in_a_minute_alarm_once_and_stand() {
    let mut world = world_with(|policy| policy.alarm_bans_per_minute = 20);
    let actions: Vec<_> = (1..=50).flat_map(|n| world.fails(&format!("192.0.{n}.1"), 5)).collect();
    let many = actions.iter().filter(|a| matches!(a, Action::Alarm(Alarm::ManyBans { bans: 20 })));
    assert_eq!(many.count(), 1);
    assert_eq!(world.banned().len(), 50);
}

/// 500 sources with three failures each, then silence while the packets go on.
fn deafen(world: &mut World) -> Vec<Action> {
    world.handle(Input::Packets { count: 0 });
    for _ in 0..3 {
        for n in 0..500_u32 {
            world.fail(&format!("198.{}.{}.1", 18 + n / 250, n % 250));
        }
        world.pass(Duration::from_millis(200));
    }
    world.pass(2 * SECOND);
    world.handle(Input::Packets { count: 3_000 })
}

#[test]
fn deafness_is_recognised_and_the_burst_falls_at_two() {
    let mut world = world_with(|_| ());
    world.login("198.18.0.1", "1000");
    world.fail("192.0.2.1");
    let actions = deafen(&mut world);
    assert!(has_alarm(&actions, |alarm| matches!(alarm, Alarm::Deaf { .. })));
    assert_eq!(world.banned().len(), 499, "all but the known one");
    assert!(!world.is_banned("198.18.0.1") && !world.is_banned("192.0.2.1"));
    world.fail("192.0.2.1");
    assert!(world.is_banned("192.0.2.1"), "the threshold stays low for a while");
    world.pass(MINUTE);
    world.fails("192.0.2.2", 2);
    assert!(!world.is_banned("192.0.2.2"));
}

/// 500 strangers with two failures each, which anybody can have fetched the nonces for.
fn borrowing_burst(world: &mut World) {
    for n in 0..1_000_u32 {
        let source = format!("198.{}.{}.1", 18 + n % 500 / 250, n % 250);
        world.attempt_and_fail(&source, "1000", Some("1000"));
    }
}

fn deaf_for(seconds: u64) -> Input<'static> {
    Input::Probed { deaf_for: Some(Duration::from_secs(seconds)) }
}

#[test]
fn a_probe_without_an_answer_makes_the_burst_fall_although_nothing_counts_packets() {
    let mut world = world_with(|_| ());
    world.forge("203.0.113.250");
    borrowing_burst(&mut world);
    assert!(world.banned().is_empty());
    world.pass(4 * SECOND);
    let actions = world.handle(deaf_for(3));
    let by_probe = |alarm: &Alarm| matches!(alarm, Alarm::Deaf { packets: None, .. });
    assert!(has_alarm(&actions, by_probe));
    assert_eq!(world.banned().len(), 500, "on unchallenged evidence");
    world.pass(SECOND);
    assert!(!has_alarm(&world.handle(deaf_for(4)), by_probe), "told once");
    world.fails("192.0.2.1", 2);
    assert!(world.is_banned("192.0.2.1"));
    world.pass(MINUTE);
    world.handle(deaf_for(65));
    world.fails("192.0.2.2", 2);
    assert!(!world.is_banned("192.0.2.2"), "a minute after the burst it is over");
}

#[test]
fn an_answer_ends_deafness_at_once_and_without_a_burst_there_is_none() {
    let mut world = world_with(|_| ());
    world.pass(10 * SECOND);
    assert!(world.handle(deaf_for(3)).is_empty(), "nobody attacks");
    borrowing_burst(&mut world);
    world.pass(10 * SECOND);
    assert!(world.handle(deaf_for(3)).is_empty(), "it went deaf long after");
    let mut world = world_with(|_| ());
    deafen(&mut world);
    world.handle(Input::Probed { deaf_for: None });
    world.fails("192.0.2.1", 2);
    assert!(!world.is_banned("192.0.2.1"));
}

#[test]
fn while_a_probe_is_answered_silence_in_a_flood_is_no_deafness() {
    let mut world = world_with(|_| ());
    for n in 0..1_000_u32 {
        world.fail(&format!("198.{}.{}.1", 18 + n % 500 / 250, n % 250));
    }
    world.handle(Input::Packets { count: 0 });
    world.pass(2 * SECOND);
    world.handle(Input::Probed { deaf_for: None });
    assert!(world.handle(Input::Packets { count: 3_000 }).is_empty());
    assert!(world.banned().is_empty());
}

#[test]
fn silence_without_packets_is_a_quiet_night() {
    let mut world = world_with(|_| ());
    let actions = deafen(&mut world);
    assert!(!actions.is_empty());
    let mut quiet = world_with(|_| ());
    for n in 0..500_u32 {
        quiet.fail(&format!("198.{}.{}.1", 18 + n / 250, n % 250));
    }
    quiet.handle(Input::Packets { count: 0 });
    quiet.pass(2 * SECOND);
    assert!(quiet.handle(Input::Packets { count: 100 }).is_empty());
}

#[test]
fn a_rule_that_is_off_does_nothing() {
    let mut world = world_with(|policy| {
        policy.rules.failures.mode = Mode::Off;
        policy.rules.slow.guard.mode = Mode::Off;
    });
    let actions = world.fails(HOST, 50);
    assert!(shadows_of(&actions).is_empty() && rules_of(&actions).is_empty());
}

fn scanner(source: &str, packets: u64) -> Input<'static> {
    Input::Scanner { source: source.parse().unwrap(), packets }
}

#[test]
fn a_scanner_is_slowed_at_300_packets_a_second_later_and_not_banned() {
    let mut world = world_with(|_| ());
    assert!(world.handle(scanner(HOST, 299)).is_empty());
    world.handle(scanner(HOST, 300));
    let actions = world.pass(SECOND);
    let [Action::Slow { source, until, cause }] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((*source, *until), (HOST.parse().unwrap(), world.now + SLOWED_FOR));
    let evidence = cause.evidence().unwrap();
    assert_eq!((evidence.rule, evidence.failures), (RuleName::Scan, 300));
    assert!(world.banned().is_empty());
}

#[test]
fn callers_phones_and_exempt_hosts_are_no_scanners() {
    let mut world = world_with(|policy| policy.rules.scan.guard.mode = Mode::Ban);
    world.handle(Input::CallAccepted { source: "192.0.2.1".parse().unwrap() });
    world.login("192.0.2.2", "1000");
    let nets = vec!["192.0.2.3/32".parse().unwrap()];
    world.handle(Input::Exempt { class: Exemption::Allow, nets });
    for host in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        world.handle(scanner(host, 10_000));
    }
    world.pass(SECOND);
    assert!(world.banned().is_empty());
    let mut off = world_with(|policy| policy.rules.scan.guard.mode = Mode::Off);
    off.handle(scanner(HOST, 10_000));
    assert!(off.pass(SECOND).is_empty());
}

#[test]
fn a_ban_of_a_scanner_is_a_short_forgeable_one_and_above_60_a_minute_they_are_slowed() {
    let mut world = world_with(|policy| policy.rules.scan.guard.mode = Mode::Ban);
    for n in 0..80 {
        world.handle(scanner(&format!("198.51.100.{n}"), 600));
    }
    let actions = world.pass(SECOND);
    let slowed = actions.iter().filter(|action| matches!(action, Action::Slow { .. })).count();
    assert_eq!((world.banned().len(), slowed), (60, 20));
    for action in &actions {
        if let Action::Block { until, .. } = action {
            assert_eq!(*until, Expiry::At(world.now + 10 * MINUTE));
        }
    }
    world.pass(11 * MINUTE);
    world.handle(scanner("198.51.100.0", 600));
    let again = world.pass(SECOND);
    let until = again.iter().find_map(|action| match action {
        Action::Block { until, .. } => Some(*until),
        _ => None,
    });
    assert_eq!(until, Some(Expiry::At(world.now + 10 * MINUTE)), "never longer");
}

#[test]
fn only_rule_scan_has_the_mode_slow_and_its_window_is_fixed() {
    let with = |change: fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        policy.validate().map_err(|error| error.key)
    };
    assert_eq!(with(|policy| policy.rules.users.guard.mode = Mode::Slow), Err("users.mode"));
    assert_eq!(with(|policy| policy.deafness.mode = Mode::Slow), Err("deafness.mode"));
    assert_eq!(with(|policy| policy.rules.scan.threshold = 299), Err("scan.threshold"));
    assert_eq!(with(|policy| policy.rules.scan.window = MINUTE), Err("scan.window"));
    assert_eq!(with(|policy| policy.rules.scan.guard.mode = Mode::Slow), Ok(()));
}
