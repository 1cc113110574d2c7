use std::sync::Arc;

use crate::{
    Action, AuthAttempt, AuthFailure, AuthResult, Cause, Challenge, CoreId, Engine, Input, Method,
    Timestamp,
};

use super::*;

const CORE: CoreId = CoreId(1);

/// What an attacker's failures come to under a policy: the first ban's evidence, and after how many.
fn attacked(policy: &Policy, users: &[&str], agent: &str) -> Option<Evidence> {
    let mut engine = Engine::new(policy.clone(), 42).unwrap();
    let (source, domain) = ("192.0.2.7".parse().unwrap(), "pbx.example");
    let (mut actions, mut sequence) = (Vec::new(), 0);
    for (second, user) in users.iter().copied().enumerate() {
        let now = Timestamp::from_micros(1_800_000_000_000_000 + second as u64 * 1_000_000);
        let mut next = || {
            sequence += 1;
            sequence
        };
        let (profile, call_id) = ("internal", "1125b20f21f84149");
        let challenge = Challenge { source, port: 5060, profile, user, call_id, core: CORE };
        let attempt = AuthAttempt {
            source,
            port: 5060,
            profile,
            user,
            domain,
            realm: Some(domain),
            username: Some(user),
            call_id,
            websocket: false,
            user_agent: agent,
            result: AuthResult::Forbidden,
            sequence: next(),
            core: CORE,
        };
        let failure = AuthFailure {
            source,
            port: 5060,
            profile,
            user,
            domain,
            user_agent: agent,
            method: Method::Register,
            sequence: next(),
            core: CORE,
        };
        for input in
            [Input::Challenge(challenge), Input::AuthAttempt(attempt), Input::AuthFailure(failure)]
        {
            engine.handle(input, now, &mut actions);
        }
    }
    actions.into_iter().find_map(|action| match action {
        Action::Block { cause, .. } => match Arc::unwrap_or_clone(cause) {
            Cause::Rule(evidence) => Some(evidence),
            _ => None,
        },
        _ => None,
    })
}

fn policies() -> Vec<Policy> {
    let with = |change: fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        policy
    };
    vec![
        with(|_| ()),
        with(|policy| policy.max_failures = 6),
        with(|policy| policy.max_failures = 3),
        with(|policy| policy.rules.failures.mode = Mode::Shadow),
        with(|policy| policy.rules.failures.min_grade = Grade::Answered),
        with(|policy| policy.rules.user_agents.guard.mode = Mode::Off),
        with(|policy| policy.rules.user_agents.patterns = vec!["zoiper".to_owned()]),
        with(|policy| policy.rules.users.guard.mode = Mode::Shadow),
        with(|policy| policy.rules.users.threshold = 3),
        with(|policy| policy.ban_time = Duration::from_secs(60)),
    ]
}

#[test]
fn what_is_said_of_a_ban_is_what_the_same_attack_comes_to_under_the_other_policy() {
    let attacks: [(&[&str], &str); 3] = [
        (&["1000"; 5], "phone"),
        (&["1000"], "friendly-scanner"),
        (&["1", "2", "3", "4"], "phone"),
    ];
    let mut told = [0, 0];
    for (users, agent) in attacks {
        for before in policies() {
            let Some(seen) = attacked(&before, users, agent) else { continue };
            // Up to the failure that banned: what came behind it is not in the evidence.
            let users = users.get(..seen.failures as usize).unwrap_or_default();
            for then in policies() {
                let again = attacked(&then, users, agent).filter(|again| again.rule == seen.rule);
                match forecast(&seen, &then) {
                    Forecast::Made => {
                        // Another rule may have been faster.
                        let banned = attacked(&then, users, agent).is_some();
                        assert!(banned, "{seen:?} under {then:?}");
                        told[0] += 1;
                    }
                    Forecast::NotMade(why) => {
                        assert_eq!(again, None, "{why:?} {then:?}");
                        told[1] += 1;
                    }
                    Forecast::Unsure => {}
                }
            }
        }
    }
    assert!(told.iter().all(|count| *count > 10), "{told:?}");
}

#[test]
fn a_shorter_window_is_not_guessed_about() {
    let seen = attacked(&Policy::default(), &["1000"; 5], "phone").unwrap();
    let shorter = Policy { window: Duration::from_secs(60), ..Policy::default() };
    assert_eq!(forecast(&seen, &shorter), Forecast::Unsure);
    let longer = Policy { window: Duration::from_secs(6_000), ..Policy::default() };
    assert_eq!(forecast(&seen, &longer), Forecast::Made);
}

#[test]
fn a_user_agent_that_has_aged_out_is_not_guessed_about() {
    let seen = attacked(&Policy::default(), &["1000"], "friendly-scanner").unwrap();
    assert_eq!(forecast(&seen, &Policy::default()), Forecast::Made);
    let aged = Evidence { details: None, ..seen };
    assert_eq!(forecast(&aged, &Policy::default()), Forecast::Unsure);
}
