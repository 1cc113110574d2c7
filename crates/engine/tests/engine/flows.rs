//! Single flows of hosts that must stay.

use sipward_engine::*;

use crate::world::*;

const OFFICE: &str = "192.0.2.7";

fn world() -> World {
    let mut world = World::without_networks(Policy::default());
    world.pass(2 * MINUTE);
    world
}

/// Guesses of passwords of several users from one port.
fn guess(world: &mut World, port: u16, times: usize) -> Vec<Action> {
    let own = std::mem::replace(&mut world.call, "of a guesser");
    world.port = port;
    let users = (0..times).map(|n| format!("g{}", n % 2));
    let actions = users.flat_map(|user| world.fail_as(OFFICE, &user, Some(&user))).collect();
    (world.call, world.port) = (own, 5060);
    actions
}

fn flows(port: u16) -> Vec<String> {
    ["udp", "tcp"].map(|transport| format!("{OFFICE} {transport} {port}")).to_vec()
}

fn registered(user: &'static str, port: u16) -> Registered<'static> {
    let (username, port) = (Some(user), Some(port));
    Registered { user, username, port, call_id: user, ..a_registration(OFFICE.parse().unwrap()) }
}

/// Phones behind a NAT, each at a port and in a dialog of its own.
fn office(world: &mut World, phones: &[(&'static str, u16)]) {
    for (user, port) in phones {
        (world.call, world.port) = (user, *port);
        world.register(OFFICE, user);
    }
    (world.call, world.port) = (CALL, 5060);
}

fn distrusted(actions: &[Action]) -> Vec<Timestamp> {
    let distrusted = actions.iter().filter_map(|action| match action {
        Action::Distrust { until, .. } => Some(*until),
        _ => None,
    });
    distrusted.collect()
}

#[test]
fn a_guesser_behind_a_nat_loses_its_flow_and_the_phones_there_lose_nothing() {
    let mut world = world();
    let phones: Vec<(&'static str, u16)> =
        (0..20).map(|n| (&*format!("{}", 1000 + n).leak(), 10_000 + n)).collect();
    office(&mut world, &phones);
    assert!(denials(&guess(&mut world, 41_234, 20)).is_empty(), "the first may be a phone");
    let actions = guess(&mut world, 41_234, 1);
    assert_eq!(denials(&actions), flows(41_234));
    assert!(world.banned().is_empty());
    let Some(Action::DenyFlow { since, until, cause, .. }) =
        actions.iter().find(|action| matches!(action, Action::DenyFlow { .. }))
    else {
        panic!("{actions:?}")
    };
    assert_eq!((*since, *until), (world.now, world.now + 10 * MINUTE));
    let evidence = cause.evidence().unwrap();
    assert_eq!((evidence.rule, evidence.failures), (RuleName::Failures, 20));
    // On their way when it was denied: they count for nothing.
    let judged = guess(&mut world, 41_234, 3);
    assert!(judged.iter().all(|action| !matches!(action, Action::Judged(j) if !j.banned)));
    assert_eq!(world.engine.stats().in_flight, 3);
    let ports: Vec<u16> = world.engine.registered_flows(OFFICE.parse().unwrap()).collect();
    assert_eq!(ports, (10_000..10_020).collect::<Vec<_>>());
    assert_eq!(allowed(&world.pass(10 * MINUTE)).len(), 2);
}

#[test]
fn a_source_that_hops_from_port_to_port_is_followed_for_eight_ports_and_then_distrusted() {
    for register in [true, false] {
        let mut world = world();
        if register {
            world.register(OFFICE, "1000")
        } else {
            world.login(OFFICE, "1000")
        };
        let actions = guess(&mut world, 40_000, 21);
        assert_eq!(denials(&actions), flows(40_000));
        for port in 40_001..40_007 {
            let actions = guess(&mut world, port, 1);
            assert_eq!(denials(&actions), flows(port));
            assert!(distrusted(&actions).is_empty());
        }
        let actions = guess(&mut world, 40_007, 1);
        assert_eq!(denials(&actions), flows(40_007));
        assert_eq!(distrusted(&actions), [world.now + HOUR]);
        let actions = guess(&mut world, 40_008, 300);
        assert!(denials(&actions).is_empty() && distrusted(&actions).is_empty());
        assert!(refusals(&actions).contains(&Refusal::DeniedLately));
        assert!(world.banned().is_empty(), "for the rules the host is what it was");
        let view = world.engine.source(OFFICE.parse().unwrap());
        assert_eq!(view.distrusted_until, Some(world.now + HOUR));
        assert_eq!(view.denied_flows.len(), 16);
        assert_eq!(world.engine.stats().flows, 16);
        assert_eq!((world.engine.stats().flows_denied, world.engine.stats().distrusted), (8, 1));
        world.pass(HOUR);
        let view = world.engine.source(OFFICE.parse().unwrap());
        assert_eq!((view.distrusted_until, view.denied_flows), (None, vec![]));
        assert_eq!(denials(&guess(&mut world, 40_009, 21)), flows(40_009));
    }
}

#[test]
fn no_forged_port_denies_the_flow_of_a_registration() {
    let mut world = world();
    office(&mut world, &[("1000", 5060), ("1001", 10_001)]);
    for port in [5060, 10_001] {
        let actions = guess(&mut world, port, 400);
        assert!(denials(&actions).is_empty(), "{port}");
        world.pass(HOUR / 4);
    }
    // Where the phone was before, anybody may be.
    world.pass(2 * MINUTE);
    world.handle(Input::Registered(registered("1001", 10_002)));
    let ports: Vec<u16> = world.engine.registered_flows(OFFICE.parse().unwrap()).collect();
    assert_eq!(ports, [5060, 10_002]);
    assert_eq!(denials(&guess(&mut world, 10_001, 21)), flows(10_001));
}

#[test]
fn a_registration_of_an_unknown_port_protects_all_ports() {
    let mut world = world();
    let (asked, first) = (world.now, false);
    let listed = Registered { port: None, ..registered("1000", 1) };
    world.handle(Input::Registrations { phones: vec![listed], asked, first });
    assert!(denials(&guess(&mut world, 40_000, 100)).is_empty());
    world.handle(Input::Registrations { phones: vec![registered("1000", 7)], asked, first });
    assert_eq!(denials(&guess(&mut world, 40_000, 20)), flows(40_000));
    // An event that names no port of the same dialog changes nothing, another dialog does.
    world.handle(Input::Registrations { phones: vec![listed], asked, first });
    assert_eq!(world.engine.flows().count(), 2);
    let other = Registered { call_id: "another", ..listed };
    let actions = world.handle(Input::Registrations { phones: vec![other], asked, first });
    let registered = |flow| (flow, UnblockReason::Registered);
    assert_eq!(allowed(&actions), flows(40_000).into_iter().map(registered).collect::<Vec<_>>());
}

#[test]
fn a_registration_that_arrives_from_a_denied_flow_lifts_it_at_once() {
    for listed in [true, false] {
        let mut world = world();
        world.login(OFFICE, "1000");
        guess(&mut world, 41_234, 20);
        assert_eq!(world.denied.len(), 2);
        let actions = if listed {
            let (asked, first) = (world.now, false);
            let phones = vec![registered("1000", 41_234)];
            world.handle(Input::Registrations { phones, asked, first })
        } else {
            world.port = 41_234;
            world.register(OFFICE, "1000")
        };
        let registered = |flow| (flow, UnblockReason::Registered);
        let expected: Vec<_> = flows(41_234).into_iter().map(registered).collect();
        assert_eq!(allowed(&actions), expected);
        assert!(denials(&guess(&mut world, 41_234, 100)).is_empty());
    }
}

/// A right password proves no address: FreeSWITCH takes a nonce that another host fetched.
#[test]
fn a_forged_registration_protects_no_port() {
    let mut world = world();
    world.login(OFFICE, "1000");
    world.pass(2 * MINUTE);
    world.call = "never challenged";
    world.succeed(OFFICE.parse().unwrap(), "1005");
    let forged = Registered { call_id: "never challenged", ..registered("1005", 41_234) };
    world.handle(Input::Registered(forged));
    assert_eq!(world.engine.registered_flows(OFFICE.parse().unwrap()).count(), 0);
    assert_eq!(denials(&guess(&mut world, 41_234, 20)), flows(41_234));
}

#[test]
fn a_handshake_names_the_transport() {
    let mut world = world();
    world.login(OFFICE, "1000");
    let source = OFFICE.parse().unwrap();
    let mut actions = Vec::new();
    for n in 0..20 {
        let (user, port) = (["g0", "g1"][n % 2], 50_000);
        let (username, websocket) = (Some(user), true);
        let attempt = an_attempt(source, world.next());
        world.handle(Input::AuthAttempt(AuthAttempt {
            user,
            username,
            port,
            websocket,
            ..attempt
        }));
        let failure = AuthFailure { user, port, ..a_failure(source, world.next()) };
        actions.extend(world.handle(Input::AuthFailure(failure)));
    }
    assert_eq!(denials(&actions), ["192.0.2.7 tcp 50000"]);
}

#[test]
fn a_trusted_or_shared_address_that_is_not_registered_keeps_the_port_that_a_forger_guesses() {
    for users in [&["1000"][..], &["1000", "1001", "1002"]] {
        let mut world = world();
        for _ in 0..2 {
            world.pass(DAY);
            for user in users {
                world.login(OFFICE, user);
            }
        }
        world.pass(2 * MINUTE);
        // Less than three users: `insider` has no say.
        let actions = guess(&mut world, 5060, 400);
        assert!(denials(&actions).is_empty() && world.banned().is_empty());
    }
}

#[test]
fn exemption_allows_flows() {
    let mut world = world();
    world.login(OFFICE, "1000");
    guess(&mut world, 41_234, 20);
    let actions = world.exempt(Exemption::Allow, &["192.0.2.0/24"]);
    let exempted = |flow| (flow, UnblockReason::Exempted);
    assert_eq!(allowed(&actions), flows(41_234).into_iter().map(exempted).collect::<Vec<_>>());
    assert!(denials(&guess(&mut world, 41_235, 100)).is_empty());
}

#[test]
fn one_flow_is_allowed_by_hand_and_an_address_is_trusted_again() {
    let mut world = world();
    world.login(OFFICE, "1000");
    guess(&mut world, 40_000, 20);
    for port in 40_001..40_008 {
        guess(&mut world, port, 1);
    }
    let flow: Flow = "::ffff:192.0.2.7 udp 40003".parse().unwrap();
    let actions = world.handle(Input::UnbanFlow { flow });
    assert_eq!(allowed(&actions), [(flow.to_string(), UnblockReason::Manual)]);
    assert!(world.handle(Input::UnbanFlow { flow }).is_empty());
    assert!(world.engine.flow(flow).is_none());
    let actions = world.unban("192.0.2.7");
    assert_eq!(allowed(&actions).len(), 15);
    assert_eq!(distrusted(&actions), [world.now]);
    assert_eq!(world.engine.source(OFFICE.parse().unwrap()).distrusted_until, None);
}

#[test]
fn the_kernels_answer_is_listed() {
    let mut world = world();
    world.login(OFFICE, "1000");
    guess(&mut world, 41_234, 20);
    let [udp, tcp] = ["udp", "tcp"].map(|t| format!("{OFFICE} {t} 41234").parse::<Flow>().unwrap());
    world.handle(Input::FlowApplied { flow: udp, enforced: true });
    world.handle(Input::FlowFailed { flow: tcp, error: "x".repeat(10_000) });
    assert_eq!(*world.engine.flow(udp).unwrap().enforcement, Enforcement::Enforced);
    let Enforcement::Failed { error } = world.engine.flow(tcp).unwrap().enforcement else {
        panic!("listed as failed")
    };
    assert_eq!(error.len(), 256);
    assert_eq!(world.engine.stats().flows_not_enforced, 1);
    world.handle(Input::FlowApplied { flow: tcp, enforced: false });
    assert_eq!(world.engine.stats().flows_not_enforced, 0);
    assert_eq!(*world.engine.flow(tcp).unwrap().enforcement, Enforcement::Ineffective);
}

#[test]
fn flows_survive_a_restart_with_what_they_count() {
    let mut first = world();
    first.login(OFFICE, "1000");
    guess(&mut first, 40_000, 20);
    for port in 40_001..40_007 {
        guess(&mut first, port, 1);
    }
    let mut stored = Vec::new();
    for view in first.engine.flows() {
        let cause = serde_json::to_string(view.cause).unwrap();
        stored.push((view.flow, view.since, view.until, cause));
    }
    let mut second = world();
    second.now = first.now + 2 * MINUTE;
    for (flow, since, until, cause) in stored.clone() {
        let cause = serde_json::from_str::<Cause>(&cause).unwrap().into();
        let actions = second.handle(Input::RestoreFlow { flow, since, until, cause });
        assert!(matches!(actions[..], [Action::DenyFlow { flow: f, .. }] if f == flow));
    }
    assert!(second.engine.flows().map(|view| view.flow).eq(first.engine.flows().map(|v| v.flow)));
    second.login(OFFICE, "1000");
    let actions = guess(&mut second, 41_000, 20);
    assert_eq!(distrusted(&actions), [second.now + HOUR], "seven before, and this one");

    // Half an hour later they are over, but not forgotten.
    let mut third = world();
    third.now = first.now + HOUR / 2;
    for (flow, since, until, cause) in stored {
        let cause = serde_json::from_str::<Cause>(&cause).unwrap().into();
        let mut actions = Vec::new();
        let input = Input::RestoreFlow { flow, since, until, cause };
        third.engine.handle(input, third.now, &mut actions);
        let reason = UnblockReason::Expired;
        assert_eq!(actions, [Action::AllowFlow { flow, reason }]);
    }
    third.login(OFFICE, "1000");
    assert!(denials(&guess(&mut third, 40_003, 100)).is_empty(), "once an hour");
}

#[test]
fn a_restored_flow_of_a_registered_phone_or_an_exempt_host_is_allowed() {
    let (until, cause) = (|world: &World| world.now + MINUTE, Cause::Adopted);
    let flow: Flow = "192.0.2.7 udp 5060".parse().unwrap();
    for (exempt, reason) in [(true, UnblockReason::Exempted), (false, UnblockReason::Registered)] {
        let mut world = world();
        if exempt {
            world.exempt(Exemption::Trunk, &[OFFICE]);
        } else {
            world.register(OFFICE, "1000");
        }
        let (since, until, cause) = (world.now, until(&world), cause.clone().into());
        let mut actions = Vec::new();
        let input = Input::RestoreFlow { flow, since, until, cause };
        world.engine.handle(input, world.now, &mut actions);
        assert_eq!(actions, [Action::AllowFlow { flow, reason }]);
    }
}

#[test]
fn a_full_table_lets_the_oldest_flow_go() {
    let mut world = world();
    let cause: std::sync::Arc<Cause> = Cause::Adopted.into();
    let mut actions = Vec::new();
    let since = world.now;
    let flow = |n: u32| Flow {
        source: std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes()),
        transport: Transport::Udp,
        port: 5060,
    };
    let full = u32::try_from(MAX_FLOWS).unwrap();
    for n in 0..=full {
        let until = since + 10 * MINUTE + std::time::Duration::from_micros(n.into());
        let input = Input::RestoreFlow { flow: flow(n), since, until, cause: cause.clone() };
        actions.clear();
        world.engine.handle(input, world.now, &mut actions);
    }
    let reason = UnblockReason::MadeRoom;
    assert_eq!(actions[0], Action::AllowFlow { flow: flow(0), reason });
    assert!(matches!(actions[1], Action::DenyFlow { flow: f, .. } if f == flow(full)));
    let stats = world.engine.stats();
    assert_eq!((stats.flows, stats.flows_made_room), (MAX_FLOWS, 1));
    let parts = world.engine.flows_after(Some(flow(5))).take(2).map(|view| view.flow);
    assert_eq!(parts.collect::<Vec<_>>(), [flow(6), flow(7)]);
}

#[test]
fn a_preview_knows_what_is_denied() {
    let mut world = world();
    world.register(OFFICE, "1000");
    guess(&mut world, 41_234, 21);
    let mut preview = world.engine.preview(&[OFFICE.parse().unwrap()]).unwrap();
    assert!(preview.flows().eq(world.engine.flows()));
    let ports: Vec<u16> = preview.registered_flows(OFFICE.parse().unwrap()).collect();
    assert_eq!(ports, [5060]);
    let mut actions = Vec::new();
    preview.tick(world.now + 10 * MINUTE, &mut actions);
    assert_eq!(allowed(&actions).len(), 2);
}

fn limits(actions: &[Action]) -> Vec<Timestamp> {
    let limits = actions.iter().filter_map(|action| match action {
        Action::Slow { until, .. } => Some(*until),
        _ => None,
    });
    limits.collect()
}

/// A limit where nobody is registered would hit the phone that wakes up there.
#[test]
fn a_source_that_hops_is_limited_until_ten_minutes_after_its_first_port_or_until_a_registration() {
    let mut world = world();
    world.login(OFFICE, "1000");
    guess(&mut world, 40_000, 20);
    let first = world.now;
    let mut actions = Vec::new();
    for port in 40_001..40_008 {
        world.pass(30 * SECOND);
        actions.extend(guess(&mut world, port, 1));
    }
    assert_eq!(limits(&actions), [first + 10 * MINUTE]);
    let actions = world.register(OFFICE, "1000");
    assert_eq!(limits(&actions), [world.now], "it ends");
    world.pass(20 * MINUTE);
    world.handle(Input::RegistrationEnded(RegistrationEnded {
        source: None,
        user: "1000",
        domain: world.domain,
        call_id: CALL,
    }));
    assert!(limits(&guess(&mut world, 40_008, 100)).is_empty(), "once an hour");
}

#[test]
fn denials_and_limits_share_ten_minutes_of_an_hour_also_after_a_restart() {
    let insider = |world: &mut World| -> Vec<Action> {
        world.call = "guessing";
        let users = (0..40).map(|n| format!("{}", 1100 + n % 4));
        let actions = users.flat_map(|user| world.fail_as(OFFICE, &user, Some(&user))).collect();
        world.call = CALL;
        actions
    };
    let mut denied = world();
    denied.login(OFFICE, "1000");
    guess(&mut denied, 41_234, 20);
    let first = denied.now;
    denied.pass(4 * MINUTE);
    denied.port = 5060;
    denied.register(OFFICE, "1000");
    assert_eq!(limits(&insider(&mut denied)), [first + 10 * MINUTE]);
    let mut later = world();
    later.login(OFFICE, "1000");
    guess(&mut later, 41_234, 20);
    later.pass(11 * MINUTE);
    later.register(OFFICE, "1000");
    assert!(limits(&insider(&mut later)).is_empty());
    later.pass(HOUR);
    later.register(OFFICE, "1000");
    assert_eq!(limits(&insider(&mut later)), [later.now + 10 * MINUTE]);

    let mut restarted = world();
    let (source, now) = (OFFICE.parse().unwrap(), restarted.now);
    let (since, until) = (now.earlier(20 * MINUTE), now.earlier(10 * MINUTE));
    restarted.handle(Input::RestoreSlowed { source, since, until });
    restarted.register(OFFICE, "1000");
    assert!(limits(&insider(&mut restarted)).is_empty());
    assert!(denials(&guess(&mut restarted, 41_234, 40)).is_empty());
    restarted.pass(HOUR);
    restarted.register(OFFICE, "1000");
    assert_eq!(limits(&insider(&mut restarted)), [restarted.now + 10 * MINUTE]);
}
