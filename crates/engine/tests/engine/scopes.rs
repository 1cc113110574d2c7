//! What a ban stops.

use sipward_engine::*;

use crate::world::*;

const HOST: &str = "192.0.2.7";

fn scopes(actions: &[Action]) -> Vec<(String, Scope)> {
    let scopes = actions.iter().filter_map(|action| match action {
        Action::Block { net, scope, .. } => Some((net.to_string(), *scope)),
        _ => None,
    });
    scopes.collect()
}

/// The scope of the ban that answered failures of a stranger lead to.
fn scope_of(policy: Policy) -> Scope {
    let mut world = World::without_networks(policy);
    world.pass(2 * MINUTE);
    scopes(&world.fails(HOST, 5))[0].1
}

#[test]
fn a_ban_stops_the_host_unless_the_policy_or_its_rule_says_otherwise() {
    let mut policy = Policy::default();
    assert_eq!(scope_of(policy.clone()), Scope::Host);
    policy.scope = Scope::Sip;
    assert_eq!(scope_of(policy.clone()), Scope::Sip);
    policy.rules.failures.scope = Some(Scope::Host);
    assert_eq!(scope_of(policy.clone()), Scope::Host);
    policy.scope = Scope::Host;
    policy.rules.failures.scope = Some(Scope::Sip);
    assert_eq!(scope_of(policy), Scope::Sip);
}

#[test]
fn every_rule_has_a_scope_of_its_own_and_what_is_forgeable_stops_sip_only() {
    for (scope, forced) in [(Scope::Host, Scope::Sip), (Scope::Sip, Scope::Sip)] {
        let mut policy = Policy::default();
        let rules = &mut policy.rules;
        for guard in [
            &mut rules.failures,
            &mut rules.users.guard,
            &mut rules.user_agents.guard,
            &mut rules.report.guard,
            &mut rules.flood.guard,
            &mut rules.slow.guard,
            &mut rules.challenges.guard,
            &mut rules.calls.guard,
            &mut rules.raw_address.guard,
            &mut rules.network.guard,
            &mut rules.log.guard,
            &mut rules.login.guard,
        ] {
            guard.scope = Some(scope);
            guard.mode = Mode::Ban;
        }
        let world = || {
            let mut world = World::new(policy.clone());
            world.pass(2 * MINUTE);
            world
        };
        let source: std::net::IpAddr = HOST.parse().unwrap();
        let report = |proved| {
            let mut world = world();
            let input = Input::Report { source, reason: "call", proved };
            let mut actions: Vec<_> = (0..3).flat_map(|_| world.handle(input.clone())).collect();
            actions.extend(world.pass(SECOND));
            scopes(&actions)[0].1
        };
        assert_eq!(report(true), scope);
        assert_eq!(report(false), forced, "over UDP anybody can be named");

        let mut flood = world();
        let challenge = Input::Challenge(a_challenge(source));
        let mut actions: Vec<_> = (0..250).flat_map(|_| flood.handle(challenge.clone())).collect();
        actions.extend(flood.pass(SECOND));
        assert_eq!(scopes(&actions)[0].1, forced);

        let mut borrowing = world();
        let actions: Vec<_> = (0..20).flat_map(|_| borrowing.borrow_nonce(HOST)).collect();
        assert_eq!(scopes(&actions)[0].1, forced, "a borrowed nonce proves no address");

        let mut scanner = world();
        scanner.agent = "friendly-scanner";
        assert_eq!(scopes(&scanner.fail(HOST))[0].1, scope);

        let mut network = world();
        let hosts = (0..20).map(|n| format!("198.51.100.{}", n % 5));
        let actions: Vec<_> = hosts.flat_map(|host| network.fail(&host)).collect();
        assert!(scopes(&actions).contains(&("198.51.100.0/24".to_owned(), forced)));

        let mut log = world();
        let (user, kind) = (None, ComplaintKind::Reported);
        let line = Input::Complaint(Complaint { source, user, kind });
        let actions: Vec<_> = (0..5).flat_map(|_| log.handle(line.clone())).collect();
        assert_eq!(scopes(&actions)[0].1, forced);

        let mut login = world();
        let failure = Input::LoginFailure { source };
        let actions: Vec<_> = (0..10).flat_map(|_| login.handle(failure.clone())).collect();
        assert_eq!(scopes(&actions)[0].1, scope);
    }
}

#[test]
fn deafness_stops_sip_only() {
    let mut world = World::without_networks(Policy::default());
    world.handle(Input::Packets { count: 0 });
    for n in 0..500_u32 {
        world.fail(&format!("198.{}.{}.1", 18 + n / 250, n % 250));
    }
    world.pass(2 * SECOND);
    world.handle(Input::Packets { count: 3_000 });
    let actions = world.fails(HOST, 3);
    assert_eq!(scopes(&actions), [(format!("{HOST}/32"), Scope::Sip)]);
}

#[test]
fn a_ban_by_hand_has_the_scope_of_the_policy_or_its_own() {
    let policy = Policy { scope: Scope::Sip, ..Policy::default() };
    let mut world = World::new(policy);
    for (scope, expected) in
        [(None, Scope::Sip), (Some(Scope::Host), Scope::Host), (Some(Scope::Sip), Scope::Sip)]
    {
        let (net, until, reason) = (net(HOST), Expiry::Never, "test".to_owned());
        let actions = world.handle(Input::Ban { net, until, scope, reason, force: false });
        assert_eq!(scopes(&actions)[0].1, expected);
        assert_eq!(world.engine.ban(net).unwrap().scope, expected);
    }
}

#[test]
fn a_wider_ban_of_sip_leaves_a_narrower_one_of_the_host_in_place() {
    let mut world = World::new(Policy::default());
    let by_hand = |world: &mut World, text, scope| {
        let (net, until, reason) = (net(text), Expiry::Never, "test".to_owned());
        world.handle(Input::Ban { net, until, scope: Some(scope), reason, force: false })
    };
    by_hand(&mut world, "192.0.2.7", Scope::Host);
    by_hand(&mut world, "192.0.2.8", Scope::Sip);
    let actions = by_hand(&mut world, "192.0.2.0/24", Scope::Sip);
    assert_eq!(unblocks(&actions), [("192.0.2.8/32".to_owned(), UnblockReason::Superseded)]);
    assert_eq!(world.banned(), ["192.0.2.0/24", "192.0.2.7/32"]);
    // Inside a ban of SIP one of the host is of use, one of SIP is none.
    by_hand(&mut world, "192.0.2.9", Scope::Host);
    let refused = by_hand(&mut world, "192.0.2.10", Scope::Sip);
    assert!(matches!(refusals(&refused)[..], [Refusal::Covered { .. }]));
    let actions = by_hand(&mut world, "192.0.2.0/23", Scope::Host);
    assert_eq!(unblocks(&actions).len(), 3, "a ban of the host makes all of them useless");
}

#[test]
fn pieces_of_a_split_ban_stop_what_it_stopped() {
    let mut world = World::new(Policy::default());
    let (wide, until, reason) = (net("192.0.2.0/30"), Expiry::Never, "test".to_owned());
    world.handle(Input::Ban { net: wide, until, scope: Some(Scope::Sip), reason, force: false });
    let actions = world.unban("192.0.2.1");
    let pieces = [("192.0.2.2/31", Scope::Sip), ("192.0.2.0/32", Scope::Sip)];
    assert_eq!(scopes(&actions), pieces.map(|(net, scope)| (net.to_owned(), scope)));
}

#[test]
fn a_restart_keeps_the_scope_and_a_route_that_nothing_explains_stops_the_host() {
    let mut world = World::new(Policy { scope: Scope::Sip, ..Policy::default() });
    let (since, until) = (world.now, Expiry::At(world.now + HOUR));
    for (text, scope) in [("192.0.2.7", Scope::Sip), ("192.0.2.8", Scope::Host)] {
        let cause = Cause::Manual { reason: "test".into(), force: false }.into();
        let input = Input::Restore { net: net(text), since, until, scope, cause };
        assert_eq!(scopes(&world.handle(input)), [(net(text).to_string(), scope)]);
    }
    let adopted = world.handle(Input::Adopt { net: net("192.0.2.9") });
    assert_eq!(scopes(&adopted), [("192.0.2.9/32".to_owned(), Scope::Host)]);
    // The route of a ban that needs none: the kernel gets again what it should hold.
    let again = world.handle(Input::Adopt { net: net("192.0.2.7") });
    assert_eq!(scopes(&again), [("192.0.2.7/32".to_owned(), Scope::Sip)]);
    assert!(world.handle(Input::Adopt { net: net("192.0.2.8") }).is_empty());
}

/// Under a ban of SIP the page of sipward itself stays reachable, so guesses there still count.
#[test]
fn guesses_at_the_page_ban_a_host_whose_sip_is_banned_already() {
    let policy = Policy { scope: Scope::Sip, ..Policy::default() };
    let mut world = World::without_networks(policy);
    world.pass(2 * MINUTE);
    let first = world.fails(HOST, 5);
    assert_eq!(scopes(&first), [(format!("{HOST}/32"), Scope::Sip)]);
    world.pass(30 * MINUTE);
    let source = HOST.parse().unwrap();
    let actions: Vec<_> =
        (0..12).flat_map(|_| world.handle(Input::LoginFailure { source })).collect();
    assert_eq!(scopes(&actions), [(format!("{HOST}/32"), Scope::Host)], "once");
    let end = world.engine.ban(net(HOST)).unwrap().until;
    assert!(end >= Expiry::At(world.now + 2 * HOUR), "the second ban");

    // An operator who stops SIP only meant it.
    let mut world = World::new(Policy::default());
    let (until, reason) = (Expiry::Never, "test".to_owned());
    let scope = Some(Scope::Sip);
    world.handle(Input::Ban { net: net(HOST), until, scope, reason, force: false });
    for _ in 0..12 {
        world.handle(Input::LoginFailure { source });
    }
    assert_eq!(world.engine.ban(net(HOST)).unwrap().scope, Scope::Sip);
}
