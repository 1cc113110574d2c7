//! Every threshold that is accepted is reached.

use sipward_engine::*;

use crate::world::*;

const HOST: &str = "192.0.2.7";

fn set(policy: &mut Policy, rule: RuleName, mode: Mode) {
    match policy.rules.get_mut(rule) {
        Some(RuleSettings::Base(guard)) => guard.mode = mode,
        Some(RuleSettings::UserAgents(agents)) => agents.guard.mode = mode,
        Some(RuleSettings::Counting(counting)) => counting.guard.mode = mode,
        None => {}
    }
}

/// A policy with one rule, its threshold as high as may be.
fn highest(rule: RuleName) -> Policy {
    let mut policy = Policy::default();
    for other in RuleName::ALL {
        set(&mut policy, other, if other == rule { Mode::Ban } else { Mode::Off });
    }
    let most = *rule.thresholds().end();
    if let Some(RuleSettings::Counting(counting)) = policy.rules.get_mut(rule) {
        counting.threshold = most;
        counting.guard.min_grade = Grade::Unjoined;
        counting.window = (*rule.windows().end()).min(DAY);
    }
    policy.deafness.mode = Mode::Off;
    policy.healthy.attention_max_failures = 1_000;
    policy.healthy.known_max_failures = 1_000;
    match rule {
        RuleName::Failures => policy.max_failures = most,
        RuleName::Deafness => {
            (policy.deafness.mode, policy.deafness.max_failures) = (Mode::Ban, most);
        }
        _ => {}
    }
    policy
}

/// What counts once for a rule.
fn once(world: &mut World, rule: RuleName, n: u32) -> Vec<Action> {
    let source = HOST.parse().unwrap();
    match rule {
        RuleName::Users | RuleName::Insider => {
            let user = format!("u{n}");
            world.fail_as(HOST, &user, Some(&user))
        }
        RuleName::Report => world.handle(Input::Report { source, reason: "call", proved: true }),
        RuleName::Flood | RuleName::Challenges => world.challenge(HOST),
        RuleName::Calls => world.handle(Input::AbandonedCall { source }),
        RuleName::Network => world.fail(&format!("192.0.2.{}", 1 + n % 60)),
        RuleName::Account => world.fail(&format!("198.51.{n}.1")),
        RuleName::Log => world.handle(Input::Complaint(Complaint {
            source,
            user: None,
            kind: ComplaintKind::AclRejected,
        })),
        RuleName::Login => world.handle(Input::LoginFailure { source }),
        RuleName::Scan => world.handle(Input::Scanner { source, packets: n.into() }),
        _ => world.fail(HOST),
    }
}

/// Rules by which something was banned or denied.
fn acted(actions: &[Action]) -> Vec<RuleName> {
    let causes = actions.iter().filter_map(|action| match action {
        Action::Block { cause, .. } | Action::DenyFlow { cause, .. } => cause.evidence(),
        _ => None,
    });
    causes.map(|evidence| evidence.rule).collect()
}

#[test]
fn every_rule_acts_at_the_highest_threshold_that_is_accepted() {
    for rule in RuleName::ALL {
        let most = *rule.thresholds().end();
        let mut world = World::new(highest(rule));
        world.pass(3 * MINUTE);
        match rule {
            RuleName::UserAgents => world.agent = "friendly-scanner",
            RuleName::RawAddress => world.domain = "192.0.2.1",
            RuleName::Insider => drop(world.login(HOST, "own")),
            RuleName::Attention => drop(world.login(HOST, "1000")),
            RuleName::Deafness => {
                for n in 0..400_u32 {
                    world.fail(&format!("198.{}.{}.1", 18 + n / 250, n % 250));
                }
            }
            _ => {}
        }
        // Failures of an insider weigh as much as those of the known.
        let (from, count) = match rule {
            RuleName::Scan => (most - 1, most),
            RuleName::Insider => (1, 1_000),
            _ => (1, most),
        };
        let mut actions = Vec::new();
        for n in from..=count {
            assert!(acted(&actions).is_empty(), "{rule:?} after {n} of {count}");
            actions = once(&mut world, rule, n);
        }
        match rule {
            RuleName::Deafness => {
                world.pass(4 * SECOND);
                let deaf_for = Some(3 * SECOND);
                actions.extend(world.handle(Input::Probed { deaf_for }));
            }
            RuleName::Account => {
                let attacked = |alarm: &Action| {
                    matches!(alarm, Action::Alarm(Alarm::AccountAttacked { sources: 64, .. }))
                };
                assert!(actions.iter().any(attacked), "{actions:?}");
                actions.extend(world.fail("198.51.1.1"));
            }
            // Accusations are held for a moment.
            _ => actions.extend(world.pass(2 * SECOND)),
        }
        let mut acted = acted(&actions);
        // A flow is denied over UDP and TCP.
        acted.dedup();
        assert_eq!(acted, [rule], "at {count}");
    }
}

#[test]
fn neither_rare_failures_nor_users_are_hidden_by_weak_ones_between_them() {
    for rule in [RuleName::Slow, RuleName::Users] {
        let mut policy = Policy::default();
        policy.rules.slow.guard.mode = Mode::Off;
        set(&mut policy, rule, Mode::Ban);
        policy.max_failures = 10;
        if let Some(RuleSettings::Counting(counting)) = policy.rules.get_mut(rule) {
            (counting.threshold, counting.window) = (40, DAY);
        }
        let mut world = World::new(policy);
        let mut actions = Vec::new();
        for n in 0..40 {
            assert!(world.banned().is_empty(), "{rule:?} after {n}");
            // Challenges of this host are long over: a nonce from elsewhere.
            world.pass(11 * MINUTE);
            for _ in 0..19 {
                world.borrow_nonce(HOST);
            }
            let user = format!("u{n}");
            actions = world.fail_as(HOST, &user, Some(&user));
        }
        assert!(acted(&actions).contains(&rule), "{rule:?}: {:?}", acted(&actions));
    }
}

#[test]
fn a_threshold_that_is_lowered_acts_at_the_next_event() {
    for rule in [RuleName::Challenges, RuleName::Log, RuleName::Login, RuleName::Users] {
        let mut world = World::new(highest(rule));
        for n in 0..50 {
            assert!(acted(&once(&mut world, rule, n)).is_empty());
        }
        let mut policy = highest(rule);
        if let Some(RuleSettings::Counting(counting)) = policy.rules.get_mut(rule) {
            counting.threshold = 5;
        }
        world.handle(Input::Policy(Box::new(policy)));
        assert_eq!(acted(&once(&mut world, rule, 60)), [rule]);
    }
}
