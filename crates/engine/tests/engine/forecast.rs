//! What another policy or exemption would do, and that it does.

use std::net::IpAddr;

use ipnet::IpNet;
use sipward_engine::*;

use super::world::World;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// Whether a source is due under another policy, by a preview.
fn due(world: &World, source: &str, policy: &Policy) -> Option<RuleName> {
    let mut copy = world.engine.preview(&[ip(source)]).unwrap();
    copy.handle(Input::Policy(Box::new(policy.clone())), world.now, &mut Vec::new());
    copy.already_due(ip(source))
}

fn is_banned(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Block { .. }))
}

#[test]
fn who_is_due_under_another_policy_is_banned_at_its_next_failure_and_nobody_else() {
    let mut world = World::new(Policy::default());
    world.fails("192.0.2.3", 3);
    world.fails("192.0.2.1", 1);
    let lower = Policy { max_failures: 3, ..Policy::default() };
    for source in ["192.0.2.3", "192.0.2.1"] {
        assert_eq!(world.engine.already_due(ip(source)), None, "not under the policy in force");
    }
    assert_eq!(due(&world, "192.0.2.3", &lower), Some(RuleName::Failures));
    assert_eq!(due(&world, "192.0.2.1", &lower), None);

    world.handle(Input::Policy(Box::new(lower)));

    assert!(is_banned(&world.fail("192.0.2.3")));
    assert!(!is_banned(&world.fail("192.0.2.1")));
}

#[test]
fn who_is_due_by_another_rule_is_told_with_that_rule() {
    let mut world = World::new(Policy { max_failures: 100, ..Policy::default() });
    for user in ["1001", "1002", "1003"] {
        world.fail_as("192.0.2.3", user, Some(user));
    }
    let mut policy = world.engine.policy().clone();
    policy.rules.users.threshold = 3;
    assert_eq!(due(&world, "192.0.2.3", &policy), Some(RuleName::Users));
    policy.rules.users.guard.mode = Mode::Shadow;
    assert_eq!(due(&world, "192.0.2.3", &policy), None, "in shadow nobody falls");
}

#[test]
fn who_is_exempt_or_banned_is_not_due() {
    let mut world = World::new(Policy::default());
    let lower = Policy { max_failures: 3, ..Policy::default() };
    world.fails("192.0.2.3", 3);
    world.handle(Input::Exempt { class: Exemption::Allow, nets: vec![net("192.0.2.3/32")] });
    assert_eq!(due(&world, "192.0.2.3", &lower), None);
    world.fails("192.0.2.5", 5);
    assert_eq!(due(&world, "192.0.2.5", &lower), None);
}

#[test]
fn trying_an_exemption_does_what_the_exemption_does() {
    let mut world = World::new(Policy::default());
    world.fails("192.0.2.7", 5);
    world.fails("198.51.100.9", 5);
    for (wide, force) in [("192.0.2.0/24", true), ("203.0.113.0/24", false)] {
        let until = Expiry::At(world.now + std::time::Duration::from_secs(9_999));
        let reason = String::new();
        world.handle(Input::Ban { net: net(wide), until, scope: None, reason, force });
    }
    let cause = std::sync::Arc::new(Cause::Adopted);
    let (since, until) = (world.now, Expiry::At(world.now + std::time::Duration::from_secs(99)));
    world.handle(Input::Restore {
        net: net("198.18.0.0/30"),
        since,
        until,
        scope: Scope::Host,
        cause,
    });
    let earlier = net("198.18.0.1/32");
    world.handle(Input::Exempt { class: Exemption::Trunk, nets: vec![earlier] });

    let nets = ["192.0.2.7/32", "198.51.100.0/24", "198.18.0.2/32", "203.0.113.7/32"].map(net);
    let banned: Vec<IpNet> = world.engine.bans().map(|ban| ban.net).collect();
    let tried = world.engine.try_exemption(&banned, Exemption::Allow, &nets).unwrap();
    let done = world.handle(Input::Exempt { class: Exemption::Allow, nets: nets.to_vec() });

    assert_eq!(tried, done);
    assert!(!done.is_empty());
    let left = world.engine.bans().map(|ban| ban.net.to_string()).collect::<Vec<_>>();
    assert_eq!(left, ["192.0.2.0/24", "198.18.0.0/32", "198.18.0.3/32", "203.0.113.0/24"]);
}
