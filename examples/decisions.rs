//! Runs a recording of the Event Socket through the engine with the recorded times, so the same recording
//! leads to the same bans on every machine.
//!
//! ```console
//! $ cargo run -p sipward-examples --example decisions -- tests/fixtures/freeswitch/scenarios/ns-udp4-wrongpw.plain.raw 1
//! 10.66.3.77 user 1000: Answered, 1 in the window
//! block 10.66.3.77/32
//! ```

use std::error::Error;

use bytes::BytesMut;
use sipward_engine::{
    Action, AuthAttempt, AuthFailure, AuthResult, Challenge, CoreId, Engine, Input, Method, Policy,
    Timestamp,
};
use sipward_esl::sofia::{self, SofiaEvent};
use sipward_esl::{FrameDecoder, Limits, Text};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: decisions RECORDING [MAX_FAILURES]")?;
    let mut policy = Policy::default();
    if let Some(max_failures) = arguments.next() {
        policy.max_failures = max_failures.parse()?;
    }
    let mut engine = Engine::new(policy, 1)?;
    let mut actions = Vec::new();
    let mut last = Timestamp::EPOCH;

    let mut bytes = BytesMut::from(std::fs::read(file)?.as_slice());
    let mut decoder = FrameDecoder::new(Limits::default());
    while let Some(frame) = decoder.decode(&mut bytes)? {
        let Ok(event) = frame.into_event() else { continue };
        let Some(record) = sofia::parse(&event)? else { continue };
        last = Timestamp::from_micros(record.meta().time.as_micros());
        feed(&mut engine, &record, last, &mut actions);
    }
    // A failure without an attempt waits for it; this ends the wait.
    engine.tick(last + std::time::Duration::from_secs(1), &mut actions);

    for action in actions {
        match action {
            Action::Judged(j) => {
                let (source, user, grade) = (j.address, j.user.as_str(), j.grade);
                println!(
                    "{source} user {}: {grade:?}, {} in the window",
                    user.escape_debug(),
                    j.failures
                );
            }
            Action::Block { net, .. } => println!("block {net}"),
            Action::Unblock { net, .. } => println!("unblock {net}"),
            _ => {}
        }
    }
    Ok(())
}

/// Converts the record into the engine's input.
fn feed(engine: &mut Engine, record: &SofiaEvent<'_>, now: Timestamp, actions: &mut Vec<Action>) {
    let text = |value: &Option<Text<'_>>| {
        value.as_ref().map(|value| value.lossy().into_owned()).unwrap_or_default()
    };
    let (core, sequence) = (CoreId(record.meta().core.0), record.meta().sequence);
    match record {
        SofiaEvent::PreRegister(challenge) => {
            let (source, port) = (challenge.source.ip, challenge.source.port);
            let (profile, user) = (challenge.profile.lossy(), text(&challenge.user));
            let call_id = text(&challenge.contact.call_id);
            let (profile, user, call_id) = (&*profile, user.as_str(), call_id.as_str());
            let input = Input::Challenge(Challenge { source, port, profile, user, call_id, core });
            engine.handle(input, now, actions);
        }
        SofiaEvent::RegisterAttempt(attempt) => {
            let username = attempt.username.as_ref().map(Text::lossy);
            let realm = attempt.realm.as_ref().map(Text::lossy);
            let (profile, user) = (attempt.profile.lossy(), text(&attempt.user));
            let user_agent = text(&attempt.user_agent);
            let input = Input::AuthAttempt(AuthAttempt {
                source: attempt.source.ip,
                port: attempt.source.port,
                profile: &profile,
                user: &user,
                domain: &text(&attempt.domain),
                realm: realm.as_deref(),
                username: username.as_deref(),
                call_id: &text(&attempt.contact.call_id),
                websocket: attempt.contact.is_websocket(),
                result: match attempt.result {
                    sofia::AuthResult::Success | sofia::AuthResult::Renewed => AuthResult::Success,
                    sofia::AuthResult::Forbidden => AuthResult::Forbidden,
                    sofia::AuthResult::Stale => AuthResult::Stale,
                    sofia::AuthResult::Other => AuthResult::Other,
                },
                user_agent: &user_agent,
                sequence,
                core,
            });
            engine.handle(input, now, actions);
        }
        SofiaEvent::RegisterFailure(failure) => {
            let (profile, user) = (failure.profile.lossy(), text(&failure.user));
            let (domain, user_agent) = (text(&failure.domain), text(&failure.user_agent));
            let input = Input::AuthFailure(AuthFailure {
                source: failure.source.ip,
                port: failure.source.port,
                profile: &profile,
                user: &user,
                domain: &domain,
                user_agent: &user_agent,
                method: Method::Register,
                sequence,
                core,
            });
            engine.handle(input, now, actions);
        }
        _ => {}
    }
}
