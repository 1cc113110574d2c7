//! What would happen, tried without consequences.

use std::net::IpAddr;

use sipward_engine::*;

use super::world::{World, a_challenge, a_failure, an_attempt};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What one more failure with a valid nonce does, in the engine or in a preview of it.
fn one_more(engine: &mut Engine, world: &World, source: &str) -> Vec<Action> {
    let (source, mut actions) = (ip(source), Vec::new());
    let attempt = AuthAttempt { username: Some("1000"), ..an_attempt(source, 1_000_001) };
    let inputs = [
        Input::Challenge(a_challenge(source)),
        Input::AuthAttempt(attempt),
        Input::AuthFailure(a_failure(source, 1_000_002)),
    ];
    for input in inputs {
        engine.handle(input, world.now, &mut actions);
    }
    actions
}

fn words(actions: &[Action]) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Judged(judged) => {
            Some(format!("{:?} {} {:?}", judged.grade, judged.failures, judged.exempt))
        }
        Action::Block { net, until, cause, .. } => {
            let evidence = cause.evidence().unwrap();
            Some(format!("ban {net} {until:?} {} {}", evidence.failures, evidence.ban_count))
        }
        Action::Refused { net, reason, .. } => Some(format!("refused {net} {reason:?}")),
        Action::NeedsAttention { .. } => Some("attention".to_owned()),
        _ => None,
    };
    actions.iter().filter_map(word).collect()
}

/// A preview says what the engine then does, and the engine is as if nothing had been asked.
fn agrees(mut world: World, source: &str) -> Vec<String> {
    let before = format!("{:?}", (world.engine.stats(), world.engine.source(ip(source))));
    let mut preview = world.engine.preview(&[ip(source)]).unwrap();
    let said = words(&one_more(&mut preview, &world, source));
    let after = format!("{:?}", (world.engine.stats(), world.engine.source(ip(source))));
    assert_eq!(after, before, "it was only a question");
    let mut engine =
        std::mem::replace(&mut world.engine, Engine::new(Policy::default(), 1).unwrap());
    let did = words(&one_more(&mut engine, &world, source));
    assert_eq!(said, did);
    said
}

#[test]
fn a_preview_counts_on_from_what_the_source_has() {
    for failures in 0..5 {
        let mut world = World::new(Policy::default());
        for _ in 0..failures {
            world.fail("192.0.2.7");
            world.fail("192.0.2.8");
        }
        let said = agrees(world, "192.0.2.7");
        assert_eq!(said.iter().any(|word| word.starts_with("ban")), failures == 4, "{said:?}");
    }
}

#[test]
fn a_preview_knows_exemptions_bans_logins_and_offences() {
    let mut world = World::new(Policy { max_failures: 1, ..Policy::default() });
    let nets = vec!["192.0.2.0/24".parse().unwrap()];
    world.handle(Input::Exempt { class: Exemption::Allow, nets });
    assert_eq!(agrees(world, "192.0.2.7")[0], "Answered 0 Some(Allow)");

    let mut world = World::new(Policy { max_failures: 1, ..Policy::default() });
    world.fail("198.51.100.7");
    let said = agrees(world, "198.51.100.7");
    assert_eq!(said, ["Answered 0 None"], "banned already: not counted");

    let mut world = World::new(Policy { max_failures: 1, ..Policy::default() });
    world.fail("198.51.100.7");
    world.handle(Input::Unban { net: "198.51.100.7/32".parse().unwrap() });
    let said = agrees(world, "198.51.100.7");
    assert!(said[1].ends_with(" 1 2"), "its second ban: {said:?}");

    let mut world = World::new(Policy { max_failures: 1, ..Policy::default() });
    world.login("198.51.100.7", "1000");
    agrees(world, "198.51.100.7");
}
