//! What a tracked source costs, by the size of the process. Alone in its process, so that nothing
//! else grows.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "this is a test")]

use std::net::IpAddr;
use std::time::Duration;

use sipward_engine::{
    AuthAttempt, AuthFailure, AuthResult, Challenge, CoreId, Engine, Input, Method, Policy,
    Timestamp,
};

const SOURCES: u32 = 131_072;

/// Sources before them, which fill what is of a fixed size (rings, open questions).
const BEFORE: u32 = 66_000;

/// One below the threshold of a stranger that answers challenges.
const ANSWERED: u64 = 4;

/// One below that of one with borrowed nonces: the most that a source holds of one window.
const BORROWED: u64 = 19;

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(debug_assertions, ignore = "slow without optimisation; structures are the same size")]
fn a_tracked_source_costs_at_most_200_bytes_with_all_rules_on_and_8_to_10_a_further_failure() {
    // The first engine stays: the second must not get its memory.
    let (borrowed, _first) = bytes_of_a_source(BORROWED, false);
    let (answered, _second) = bytes_of_a_source(ANSWERED, true);
    println!("{answered:.0} bytes with {ANSWERED} failures, {borrowed:.0} with {BORROWED}");
    assert!(answered <= 200.0, "{answered}");
    assert!(borrowed <= 320.0, "{borrowed}");
}

/// What each more source takes, and the engine.
fn bytes_of_a_source(failures: u64, challenged: bool) -> (f64, Engine) {
    let mut engine = Engine::new(Policy::default(), 42).unwrap();
    let mut now = Timestamp::from_micros(1_700_000_000_000_000);
    let mut actions = Vec::new();
    engine.tick(now, &mut actions);
    // A challenge may have gone unseen until then.
    now = now + Duration::from_secs(180);
    let mut sequence = 0;
    let mut fail = |sources: std::ops::Range<u32>| {
        for _ in 0..failures {
            for n in sources.clone() {
                // A /24 each, or the rule `network` would ban them together.
                let source = IpAddr::from((0x0A00_0001 + (n << 8)).to_be_bytes());
                now = now + Duration::from_micros(50);
                sequence += 2;
                guess(&mut engine, (source, challenged), sequence, now, &mut actions);
                actions.clear();
            }
        }
        engine.stats().tracked
    };
    assert_eq!(fail(0..BEFORE), BEFORE as usize);
    let before = resident_bytes();
    assert_eq!(fail(BEFORE..BEFORE + SOURCES), (BEFORE + SOURCES) as usize);
    let each = (resident_bytes() - before) as f64 / f64::from(SOURCES);
    (each, engine)
}

fn guess(
    engine: &mut Engine,
    (source, challenged): (IpAddr, bool),
    sequence: u64,
    now: Timestamp,
    actions: &mut Vec<sipward_engine::Action>,
) {
    let (port, profile, user, core) = (5060, "internal", "1000", CoreId(1));
    let call_id = "1125b20f21f84149";
    let challenge = Challenge { source, port, profile, user, call_id, core };
    let attempt = AuthAttempt {
        source,
        port,
        profile,
        user,
        domain: "pbx.example",
        realm: Some("pbx.example"),
        username: Some(user),
        call_id,
        websocket: false,
        result: AuthResult::Forbidden,
        user_agent: "pjsip",
        sequence,
        core,
    };
    let failure = AuthFailure {
        source,
        port,
        profile,
        user,
        domain: "pbx.example",
        user_agent: "pjsip",
        method: Method::Register,
        sequence: sequence + 1,
        core,
    };
    if challenged {
        engine.handle(Input::Challenge(challenge), now, actions);
    }
    engine.handle(Input::AuthAttempt(attempt), now, actions);
    engine.handle(Input::AuthFailure(failure), now, actions);
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}
