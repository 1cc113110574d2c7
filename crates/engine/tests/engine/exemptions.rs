//! Who is never banned, and what operators may do.

use crate::world::*;
use sipward_engine::*;

fn world() -> World {
    World::new(Policy::default())
}

fn split() -> UnblockReason {
    UnblockReason::Split
}

#[test]
fn loopback_and_what_is_nobodys_address_are_never_banned() {
    for addr in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "224.0.0.5",
        "ff02::1",
    ] {
        let mut world = world();
        let actions = world.fails(addr, 20);
        assert!(blocks(&actions).is_empty(), "{addr}");
        assert!(matches!(refusals(&actions)[..], [Refusal::Exempt { class: Exemption::Own, .. }]));
    }
}

#[test]
fn every_class_of_exemption_protects() {
    for class in Exemption::ALL {
        let mut world = world();
        world.exempt(class, &["192.0.2.0/24", "2001:db8::7"]);
        for addr in ["192.0.2.7", "2001:db8::7"] {
            let actions = world.fails(addr, 20);
            assert!(blocks(&actions).is_empty());
            assert!(
                matches!(refusals(&actions)[..], [Refusal::Exempt { class: c, .. }] if c == class),
                "the ban that was due is reported once"
            );
        }
    }
}

#[test]
fn a_64_that_holds_somebody_exempt_narrows_to_the_failing_host() {
    let mut world = world();
    world.exempt(Exemption::Allow, &["2001:db8:0:1::1"]);
    world.fails("2001:db8:0:1::bad", 5);
    assert_eq!(world.banned(), ["2001:db8:0:1::bad/128"]);
    world.fails("2001:db8:0:1::bad2", 5);
    assert_eq!(world.banned().len(), 2, "the next host of that network falls by itself");
}

#[test]
fn a_link_local_host_falls_alone_because_its_64_is_the_whole_link() {
    let mut world = world();
    world.fails("fe80::bad", 5);
    assert_eq!(world.banned(), ["fe80::bad/128"]);
}

#[test]
fn allowing_an_address_lifts_its_ban() {
    let mut world = world();
    world.fails("192.0.2.7", 5);
    let actions = world.exempt(Exemption::Allow, &["192.0.2.7"]);
    assert_eq!(unblocks(&actions), [("192.0.2.7/32".into(), UnblockReason::Exempted)]);
}

#[test]
fn allowing_a_network_lifts_the_bans_inside() {
    let mut world = world();
    for host in 1..=3 {
        world.fails(&format!("192.0.2.{host}"), 5);
    }
    world.exempt(Exemption::Allow, &["192.0.2.0/31"]);
    assert_eq!(world.banned(), ["192.0.2.2/32", "192.0.2.3/32"]);
}

#[test]
fn allowing_a_host_splits_the_64_around_it_with_the_same_end() {
    let mut world = world();
    world.fails("2001:db8:0:1::bad", 5);
    let end = world.engine.bans().next().unwrap().until;
    world.pass(MINUTE);
    let actions = world.exempt(Exemption::Allow, &["2001:db8:0:1::1"]);
    assert_eq!(blocks(&actions).len(), 64);
    assert_eq!(unblocks(&actions), [("2001:db8:0:1::/64".into(), split())]);
    assert!(matches!(actions.last(), Some(Action::Unblock { .. })), "the pieces come first");
    assert!(world.engine.bans().all(|ban| ban.until == end));
    assert!(world.is_banned("2001:db8:0:1::bad") && !world.is_banned("2001:db8:0:1::1"));
    let cause = world.engine.bans().next().unwrap().cause.get();
    assert!(matches!(&*cause, Cause::Split { .. }));
    assert_eq!(cause.evidence().map(|evidence| evidence.failures), Some(5));
    assert_eq!(unblocks(&world.pass(HOUR)).len(), 64, "the pieces end with the whole");
}

#[test]
fn many_allowed_hosts_leave_only_what_is_between_them() {
    let mut world = world();
    world.handle(Input::Adopt { net: net("192.0.2.0/24") });
    world.exempt(Exemption::Allow, &["192.0.2.1", "192.0.2.77", "192.0.2.200/29"]);
    for host in 0..=255_u8 {
        let allowed = host == 1 || host == 77 || (200..208).contains(&host);
        assert_eq!(world.is_banned(&format!("192.0.2.{host}")), !allowed, "{host}");
    }
}

#[test]
fn a_manual_ban_wins_over_allow_and_proxies() {
    let mut world = world();
    world.exempt(Exemption::Allow, &["192.0.2.7"]);
    world.exempt(Exemption::Proxy, &["192.0.2.8"]);
    world.ban("192.0.2.0/24", HOUR);
    world.exempt(Exemption::Allow, &["192.0.2.7", "192.0.2.9"]);
    assert_eq!(world.banned(), ["192.0.2.0/24"]);
}

#[test]
fn a_manual_ban_of_a_protected_address_is_refused_unless_forced() {
    for class in [Exemption::Gateway, Exemption::EslPeer, Exemption::NameServer] {
        let mut world = world();
        world.exempt(class, &["192.0.2.1"]);
        let actions = world.ban("192.0.2.0/24", HOUR);
        assert!(matches!(refusals(&actions)[..], [Refusal::Exempt { class: c, .. }] if c == class));
        let until = Expiry::Never;
        let reason = "I know".to_owned();
        world.handle(Input::Ban {
            net: net("192.0.2.0/24"),
            until,
            scope: None,
            reason,
            force: true,
        });
        world.exempt(class, &["192.0.2.1", "192.0.2.2"]);
        assert_eq!(world.banned(), ["192.0.2.0/24"], "the operator insisted");
    }
}

#[test]
fn nothing_overrides_own_addresses() {
    let mut world = world();
    world.exempt(Exemption::Own, &["192.0.2.1"]);
    for text in ["192.0.2.1", "192.0.2.0/24", "0.0.0.0/0", "127.0.0.1", "::/0"] {
        for force in [false, true] {
            let reason = String::new();
            let until = Expiry::Never;
            let actions =
                world.handle(Input::Ban { net: net(text), until, scope: None, reason, force });
            assert!(matches!(
                refusals(&actions)[..],
                [Refusal::Exempt { class: Exemption::Own, .. }]
            ));
        }
    }
}

#[test]
fn a_forced_ban_still_yields_to_an_own_address_that_comes_later() {
    let mut world = world();
    let until = Expiry::Never;
    let reason = String::new();
    world.handle(Input::Ban { net: net("192.0.2.0/30"), until, scope: None, reason, force: true });
    world.exempt(Exemption::Own, &["192.0.2.1"]);
    assert_eq!(world.banned(), ["192.0.2.0/32", "192.0.2.2/31"]);
}

#[test]
fn neighbours_on_the_link_are_not_cut_off_by_hand_unless_forced() {
    let mut world = world();
    assert_eq!(refusals(&world.ban("fe80::/64", HOUR)), [Refusal::LinkLocal]);
    assert!(refusals(&world.ban("fe80::1", HOUR)).is_empty());
}

#[test]
fn host_bits_are_cleared_and_mapped_networks_are_ipv4() {
    let mut world = world();
    world.ban("192.0.2.77/24", HOUR);
    world.ban("::ffff:198.51.100.7/128", HOUR);
    assert_eq!(world.banned(), ["192.0.2.0/24", "198.51.100.7/32"]);
}

#[test]
fn unbanning_an_address_splits_the_net_and_forgets_its_failures() {
    let mut world = world();
    world.fails("192.0.2.9", 4);
    world.ban("192.0.2.8/30", HOUR);
    let actions = world.unban("192.0.2.9");
    assert_eq!(unblocks(&actions), [("192.0.2.8/30".into(), split())]);
    assert_eq!(world.banned(), ["192.0.2.8/32", "192.0.2.10/31"]);
    assert!(blocks(&world.fails("192.0.2.9", 4)).is_empty(), "its window begins anew");
}

#[test]
fn unbanning_a_net_lifts_all_inside() {
    let mut world = world();
    for host in 1..=3 {
        world.fails(&format!("192.0.2.{host}"), 5);
    }
    let actions = world.unban("192.0.2.0/24");
    assert_eq!(unblocks(&actions).len(), 3);
    assert!(unblocks(&actions).iter().all(|(_, reason)| *reason == UnblockReason::Manual));
    assert!(world.unban("192.0.2.0/24").is_empty());
}

#[test]
fn a_wider_manual_ban_replaces_those_inside_that_end_no_later() {
    let mut world = world();
    world.fails("192.0.2.7", 5);
    world.ban("192.0.2.8", DAY);
    let actions = world.ban("192.0.2.0/24", 2 * HOUR);
    assert_eq!(unblocks(&actions), [("192.0.2.7/32".into(), UnblockReason::Superseded)]);
    world.pass(2 * HOUR);
    assert_eq!(world.banned(), ["192.0.2.8/32"], "the longer one outlasts it");
}

#[test]
fn a_ban_inside_a_longer_one_is_refused_with_its_name() {
    let mut world = world();
    world.ban("192.0.2.0/24", DAY);
    let net = net("192.0.2.0/24");
    assert_eq!(refusals(&world.ban("192.0.2.7", HOUR)), [Refusal::Covered { net }]);
}

#[test]
fn banning_again_sets_the_new_end() {
    let mut world = world();
    world.ban("192.0.2.7", DAY);
    assert_eq!(blocks(&world.ban("192.0.2.7", HOUR)), ["192.0.2.7/32"]);
    world.pass(HOUR);
    assert!(world.banned().is_empty());
}

#[test]
fn a_permanent_ban_stays() {
    let mut world = world();
    let reason = "pest".to_owned();
    world.handle(Input::Ban {
        net: net("192.0.2.7"),
        until: Expiry::Never,
        scope: None,
        reason,
        force: false,
    });
    world.pass(4_000 * DAY);
    assert_eq!(world.banned(), ["192.0.2.7/32"]);
}

#[test]
fn routes_found_at_start_are_adopted_for_one_ban_time() {
    let mut world = world();
    world.handle(Input::Adopt { net: net("192.0.2.7") });
    assert_eq!(world.banned(), ["192.0.2.7/32"]);
    assert!(world.handle(Input::Adopt { net: net("192.0.2.7") }).is_empty());
    world.pass(HOUR);
    assert!(world.banned().is_empty());
}

#[test]
fn a_found_route_of_somebody_exempt_is_removed() {
    let mut world = world();
    world.exempt(Exemption::Allow, &["192.0.2.7"]);
    let actions = world.handle(Input::Adopt { net: net("192.0.2.7") });
    assert_eq!(unblocks(&actions), [("192.0.2.7/32".into(), UnblockReason::Exempted)]);
    let actions = world.handle(Input::Adopt { net: net("192.0.2.6/31") });
    assert_eq!(blocks(&actions), ["192.0.2.6/32"]);
    assert_eq!(unblocks(&actions), [("192.0.2.6/31".into(), split())]);
}

#[test]
fn a_restored_ban_keeps_its_end_cause_and_count() {
    let mut first = world();
    let actions = first.fails("192.0.2.7", 5);
    let Some(Action::Block { net, since, until, scope, cause }) = actions.last().cloned() else {
        panic!()
    };
    let json = serde_json::to_string(&*cause).unwrap();
    let stored: Cause = serde_json::from_str(&json).unwrap();
    assert_eq!(stored, *cause);

    let mut second = world();
    second.now = first.now + MINUTE;
    second.handle(Input::Restore { net, since, until, scope, cause: stored.into() });
    assert_eq!(second.engine.bans().next().unwrap().until, until);
    second.pass(HOUR);
    assert!(second.banned().is_empty());
    second.fails("192.0.2.7", 5);
    let until = second.engine.bans().next().unwrap().until;
    assert_eq!(until, Expiry::At(second.now + 2 * HOUR), "the second ban is longer");
}

#[test]
fn an_offender_whose_ban_is_over_is_banned_for_longer() {
    let mut world = world();
    let source = "192.0.2.7".parse().unwrap();
    let ended = |hours_ago: u32, bans| {
        let ago = HOUR * hours_ago;
        let until = world.now.as_micros() - u64::try_from(ago.as_micros()).unwrap();
        Input::Offender(Offender { source, bans, until: Timestamp::from_micros(until) })
    };
    // Of several stored words about a source the worst holds.
    let told = [ended(2, 2), ended(5, 1), ended(31 * 24, 9)];
    for offender in told {
        assert!(world.handle(offender).is_empty());
    }
    assert!(world.banned().is_empty());
    assert_eq!(world.engine.source(source).ban_count, 2, "nine were forgotten after 30 days");
    world.fails("192.0.2.7", 5);
    let ban = world.engine.bans().next().unwrap();
    assert_eq!(ban.until, Expiry::At(world.now + 4 * HOUR), "the third");
    world.pass(4 * HOUR + 30 * DAY);
    assert_eq!(world.engine.source(source).ban_count, 0, "and forgotten in its time");
}

#[test]
fn a_restored_pause_is_no_offence() {
    let mut first = World::new(Policy { max_failures: 1_000, ..Policy::default() });
    let until = Expiry::At(first.now + HOUR);
    let actions = {
        let mut actions = Vec::new();
        for _ in 0..200 {
            actions.extend(first.fail("192.0.2.7"));
        }
        actions.extend(first.pass(SECOND));
        actions
    };
    let cause = actions.iter().find_map(|action| match action {
        Action::Block { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    let cause = cause.expect("banned by the flood rule");
    assert_eq!(cause.evidence().map(|evidence| evidence.rule), Some(RuleName::Flood));
    assert_eq!(Offender::of(&cause, until), None);
    let mut second = world();
    let (net, since) = (net("192.0.2.7/32"), second.now);
    second.handle(Input::Restore { net, since, until, scope: Scope::Host, cause });
    assert_eq!(second.banned(), ["192.0.2.7/32"]);
    assert_eq!(second.engine.source("192.0.2.7".parse().unwrap()).ban_count, 0);
}

#[test]
fn a_restored_ban_that_is_over_is_unblocked() {
    let mut world = world();
    let until = Expiry::At(world.now);
    let since = Timestamp::EPOCH;
    let cause = Cause::Adopted.into();
    let actions = world.handle(Input::Restore {
        net: net("192.0.2.7"),
        since,
        until,
        scope: Scope::Host,
        cause,
    });
    assert_eq!(unblocks(&actions), [("192.0.2.7/32".into(), UnblockReason::Expired)]);
}

#[test]
fn a_split_ban_restores_as_what_it_was() {
    let mut first = world();
    first.ban("192.0.2.0/30", DAY);
    first.unban("192.0.2.1");
    let mut second = world();
    second.now = first.now;
    second.exempt(Exemption::Allow, &["192.0.2.0/24"]);
    for ban in first.engine.bans() {
        let cause = ban.cause.get();
        let (net, since, until) = (ban.net, ban.since, ban.until);
        second.handle(Input::Restore { net, since, until, scope: Scope::Host, cause });
    }
    assert_eq!(second.banned(), first.banned(), "manual wins over allow, pieces too");
}
