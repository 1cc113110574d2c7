//! The rule of the log's lines: what counts, what counts once, whom it spares.

use std::time::Duration;

use sipward_engine::*;

use crate::world::*;

const HOST: &str = "192.0.2.7";

use ComplaintKind::{AclRejected, AuthFailure as FailureLine, Reported, UnknownUser};

fn banning() -> World {
    let mut policy = Policy::default();
    policy.rules.log.guard.mode = Mode::Ban;
    World::new(policy)
}

impl World {
    fn line(&mut self, kind: ComplaintKind, source: &str, user: &str) -> Vec<Action> {
        self.handle(Input::Complaint(Complaint {
            source: source.parse().unwrap(),
            user: Some(user),
            kind,
        }))
    }

    /// Counted and joined lines.
    fn lines(&self) -> (u64, u64) {
        let stats = self.engine.stats();
        (stats.complaints, stats.complaints_joined)
    }
}

fn told(actions: &[Action]) -> Vec<RuleName> {
    let rules = actions.iter().filter_map(|action| match action {
        Action::Block { cause, .. } | Action::Shadowed { cause, .. } => {
            cause.evidence().map(|evidence| evidence.rule)
        }
        _ => None,
    });
    rules.collect()
}

#[test]
fn five_lines_without_events_ban_once_each_has_waited_for_its_event() {
    let mut world = banning();
    for n in 0..5 {
        world.line(FailureLine, HOST, &n.to_string());
    }
    assert!(world.pass(Duration::from_millis(1_999)).is_empty());
    let actions = world.pass(Duration::from_millis(1));
    assert_eq!(told(&actions), [RuleName::Log]);
    assert!(world.is_banned(HOST));
    world.pass(HOUR);
    assert!(!world.is_banned(HOST));
    let ban_count = world.engine.source(HOST.parse().unwrap()).ban_count;
    assert_eq!(ban_count, 0, "a line proves no address: no offence");
}

#[test]
fn the_default_only_tells_and_tells_once() {
    let mut world = World::new(Policy::default());
    let mut actions = Vec::new();
    for n in 0..50 {
        actions.extend(world.line(FailureLine, HOST, &n.to_string()));
    }
    actions.extend(world.pass(3 * SECOND));
    assert_eq!(told(&actions), [RuleName::Log]);
    assert!(world.banned().is_empty());
}

#[test]
fn lines_that_are_too_old_do_not_count() {
    let mut world = banning();
    for n in 0..20 {
        world.line(FailureLine, HOST, &n.to_string());
        world.pass(3 * MINUTE);
    }
    assert!(world.banned().is_empty());
}

#[test]
fn a_rule_that_is_off_hears_nothing() {
    let mut policy = Policy::default();
    policy.rules.log.guard.mode = Mode::Off;
    let mut world = World::new(policy);
    for _ in 0..50 {
        world.line(Reported, HOST, "");
    }
    assert_eq!(world.lines(), (0, 0));
    assert!(world.banned().is_empty());
}

#[test]
fn a_failure_seen_as_event_and_as_line_counts_once_in_either_order() {
    let mut world = banning();
    for _ in 0..4 {
        world.fail(HOST);
        world.pass(SECOND);
        world.line(FailureLine, HOST, "1000");
        world.pass(MINUTE);
    }
    assert_eq!(world.lines(), (4, 4), "event first");
    let mut world = banning();
    for _ in 0..4 {
        world.line(FailureLine, HOST, "1000");
        world.pass(SECOND);
        world.fail(HOST);
        world.pass(MINUTE);
    }
    assert_eq!(world.lines(), (4, 4), "line first");
    assert!(world.banned().is_empty(), "four failures are four failures");
}

#[test]
fn a_line_two_seconds_away_from_the_event_is_another_failure() {
    let mut world = banning();
    world.fail(HOST);
    world.pass(Duration::from_millis(2_001));
    world.line(FailureLine, HOST, "1000");
    world.pass(Duration::from_millis(2_001));
    world.fail(HOST);
    assert_eq!(world.lines(), (1, 0));
}

#[test]
fn an_event_of_another_source_or_user_explains_no_line() {
    let mut world = banning();
    world.line(FailureLine, HOST, "1000");
    world.fail("192.0.2.8");
    world.fail_as(HOST, "1001", Some("1001"));
    assert_eq!(world.lines(), (1, 0));
}

#[test]
fn an_unknown_user_and_its_failure_are_one_also_under_two_names() {
    let mut world = banning();
    for n in 0..4 {
        world.line(UnknownUser, HOST, &format!("digest{n}"));
        world.line(FailureLine, HOST, "to");
        world.pass(MINUTE);
    }
    assert_eq!(world.lines(), (8, 4));
    assert!(world.banned().is_empty());
    world.line(UnknownUser, HOST, "digest");
    world.line(FailureLine, HOST, "to");
    world.pass(3 * SECOND);
    assert!(world.is_banned(HOST), "the fifth failure");
}

#[test]
fn both_names_of_an_event_explain_lines() {
    // To user 1000, digest user `evil`, as in the recordings that forge log rows.
    let mut world = banning();
    world.line(UnknownUser, HOST, "evil");
    world.fail_as(HOST, "1000", Some("evil"));
    world.line(FailureLine, HOST, "1000");
    assert_eq!(world.lines(), (2, 2));

    let mut world = banning();
    world.fail_as(HOST, "1000", Some("evil"));
    world.line(UnknownUser, HOST, "evil");
    world.line(FailureLine, HOST, "1000");
    assert_eq!(world.lines(), (2, 2));
}

#[test]
fn failures_of_one_user_in_quick_succession_are_all_counted() {
    let mut world = banning();
    for _ in 0..5 {
        world.line(FailureLine, HOST, "1000");
    }
    world.pass(3 * SECOND);
    assert!(world.is_banned(HOST));
}

#[test]
fn what_no_event_tells_of_counts_at_once() {
    let mut world = banning();
    for _ in 0..4 {
        assert!(world.line(AclRejected, HOST, "").is_empty());
    }
    let actions = world.line(Reported, HOST, "");
    let [Action::AskAcl { .. }, Action::Block { cause, .. }] = &actions[..] else { panic!() };
    let evidence = cause.evidence().unwrap();
    assert_eq!(
        (evidence.rule, evidence.failures, evidence.grade),
        (RuleName::Log, 5, Grade::Unjoined)
    );
    let reason = evidence.details.as_ref().unwrap().reason.unwrap();
    assert_eq!(reason, "FAIL2BAN_HOST in the log");
}

#[test]
fn known_and_exempt_hosts_are_spared() {
    let mut world = banning();
    world.login(HOST, "1000");
    world.exempt(Exemption::Trunk, &["192.0.2.8"]);
    for (host, known) in [(HOST, true), ("192.0.2.8", false)] {
        let actions: Vec<_> = (0..5).flat_map(|_| world.line(Reported, host, "")).collect();
        let [reason] = refusals(&actions)[..] else { panic!() };
        assert_eq!(matches!(reason, Refusal::Known { .. }), known);
    }
    assert!(world.banned().is_empty());
}

#[test]
fn a_stricter_grade_turns_the_rule_into_a_shadow() {
    let mut policy = Policy::default();
    policy.rules.log.guard = Guard { mode: Mode::Ban, min_grade: Grade::Answered, scope: None };
    let mut world = World::new(policy);
    let actions: Vec<_> = (0..5).flat_map(|_| world.line(Reported, HOST, "")).collect();
    assert_eq!(told(&actions), [RuleName::Log]);
    assert!(world.banned().is_empty());
}

#[test]
fn a_ban_that_has_ended_takes_as_many_lines_again() {
    let mut policy = Policy::default();
    policy.rules.log.guard.mode = Mode::Ban;
    policy.rules.log.ban_time = MINUTE;
    let mut world = World::new(policy);
    for _ in 0..5 {
        world.line(Reported, HOST, "");
    }
    world.pass(2 * MINUTE);
    for _ in 0..4 {
        world.line(Reported, HOST, "");
    }
    assert!(!world.is_banned(HOST));
    world.line(Reported, HOST, "");
    assert!(world.is_banned(HOST));
}

#[test]
fn a_flood_of_lines_is_bounded_and_none_goes_unseen() {
    let mut world = banning();
    let user = |n: u32| format!("user{n}");
    // 40,000 lines within the two seconds that 16,384 may wait.
    for n in 0..40_000 {
        world.line(FailureLine, HOST, &user(n));
    }
    assert!(world.is_banned(HOST), "those that could not wait were counted at once");
}

#[test]
fn nothing_is_left_of_it_in_the_end() {
    let mut world = banning();
    world.line(FailureLine, HOST, "1000");
    world.line(Reported, HOST, "");
    world.pass(DAY);
    world.pass(DAY);
    assert_eq!(world.engine.next_deadline(), None);
}
