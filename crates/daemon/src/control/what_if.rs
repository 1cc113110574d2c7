//! What would happen if FreeSWITCH sent some events.

use std::net::IpAddr;
use std::time::Duration;

use sipward_engine::{Action, Engine, Input, Timestamp};
use sipward_esl::Event;

use super::Control;
use super::bounds::at_most;
use super::error::ControlError;
use crate::EngineTask;
use sipward_ingest::bridge::{self, Aside};
use sipward_ingest::log_parser::{self, Message};
use sipward_model::clock::Clock;
use sipward_model::record::{Ban, FlowDenied, Record, line};
use sipward_model::text::Time;
use sipward_model::wire::{Line, Reading, WhatIf, WhatIfRequest};

/// Longest text, in bytes: half of the longest event that FreeSWITCH was seen to send.
const MAX_TEXT: usize = 32 * 1024;

/// Events in one question.
const MAX_EVENTS: usize = 16;

/// After this time a failure whose attempt did not come has been judged, and a log line without an event has been
/// counted.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// Deadlines of a preview within that time at most; what is tried makes two for each event.
const MAX_TICKS: usize = 256;

/// What the answer is worth.
const BASIS: &str = "the policy in force and what is known of the addresses named: failures that count, \
    logins, challenges, exemptions, bans. Other sources are not looked at, so the rules `account` and \
    `network` and deafness see only this. FreeSWITCH's access control lists are not asked.";

impl Control {
    /// What would happen if FreeSWITCH sent this? Nothing is changed.
    pub async fn what_if(&self, request: WhatIfRequest) -> Result<WhatIf, ControlError> {
        at_most("event", request.event.as_deref(), MAX_TEXT)?;
        at_most("log_line", request.log_line.as_deref(), MAX_TEXT)?;
        let tried = match (request.event, request.log_line) {
            (Some(text), None) => Tried::Events(events(&text)?),
            (None, Some(text)) => Tried::LogLine(text),
            (None, None) => {
                return Err(ControlError::field("event", "`event` or `log_line` is required"));
            }
            (Some(_), Some(_)) => {
                return Err(ControlError::field(
                    "log_line",
                    "`event` and `log_line` exclude each other",
                ));
            }
        };
        Ok(self.engine.call(move |task| play(task, &tried)).await?)
    }
}

enum Tried {
    Events(Vec<Event>),
    LogLine(String),
}

/// The events of a text, separated by blank lines.
fn events(text: &str) -> Result<Vec<Event>, ControlError> {
    let text = text.replace("\r\n", "\n");
    let parts: Vec<&str> =
        text.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).collect();
    match parts.len() {
        0 => Err(ControlError::field("event", "the text is empty")),
        1..=MAX_EVENTS => {
            Ok(parts.iter().map(|part| Event::from_plain(format!("{part}\n\n"))).collect())
        }
        count => Err(ControlError::field(
            "event",
            format!("{count} events exceed the limit of {MAX_EVENTS}"),
        )),
    }
}

fn play(task: &mut EngineTask, tried: &Tried) -> WhatIf {
    let (clock, now) = (task.clock(), task.clock().steady());
    let mut named = Vec::new();
    let mut read = Vec::new();
    tried.read(|input, aside| {
        let reading = reading(input, aside);
        named.extend(reading.address);
        read.push(reading);
    });
    let mut stage = match task.engine().preview(&named) {
        Ok(engine) => Stage { engine, actions: Vec::new() },
        // Cannot be: the policy is in force.
        Err(error) => {
            let basis = format!("nothing: {error}");
            return WhatIf { read, effects: Vec::new(), basis };
        }
    };
    // Effects of the past, such as a ban that ended a moment ago, are none of this.
    stage.engine.tick(now, &mut Vec::new());
    tried.read(|input, _| {
        if let Some(input) = input {
            stage.engine.handle(input, now, &mut stage.actions);
        }
    });
    stage.wait(now);
    let effects = stage.actions.into_iter().filter_map(|action| effect(action, clock)).collect();
    WhatIf { read, effects, basis: BASIS.to_owned() }
}

impl Tried {
    /// Hands over what each event or line means to the engine, and what else it means.
    fn read(&self, mut each: impl FnMut(Option<Input<'_>>, Option<&Record>)) {
        match self {
            Self::Events(events) => {
                for event in events {
                    let mut meant = false;
                    let aside = bridge::translate(event, |input| {
                        meant = true;
                        each(Some(input), None);
                    });
                    match aside {
                        Aside::Report(record) => each(None, Some(&record)),
                        _ if !meant => each(None, None),
                        _ => {}
                    }
                }
            }
            Self::LogLine(text) => {
                let text = text.trim_end_matches(['\r', '\n']).as_bytes();
                match log_parser::read(Message { text, origin: None }) {
                    Some(log_parser::Reading::Complaint(complaint)) => {
                        each(Some(Input::Complaint(complaint.as_input())), None);
                    }
                    // The refusal of a right password is not an attack.
                    Some(log_parser::Reading::Refused { .. }) | None => each(None, None),
                }
            }
        }
    }
}

/// What one event or line was read as.
fn reading(input: Option<Input<'_>>, aside: Option<&Record>) -> Reading {
    let (kind, source, detail) = match (input, aside) {
        (Some(input), _) => meaning(&input),
        (None, Some(Record::EventForged { error, address, .. })) => {
            ("unusable", *address, Some(error.clone()))
        }
        (None, Some(record)) => ("unusable", None, Some(record.to_string())),
        (None, None) => ("nothing", None, Some("sipward does not use it".to_owned())),
    };
    Reading { kind: kind.to_owned(), address: source, detail }
}

fn meaning(input: &Input<'_>) -> (&'static str, Option<IpAddr>, Option<String>) {
    match input {
        Input::AuthFailure(failure) => ("auth_failure", Some(failure.source), None),
        Input::AuthAttempt(attempt) => {
            let unchecked = attempt.username.is_none();
            let detail = unchecked.then(|| "the nonce was not checked".to_owned());
            ("auth_attempt", Some(attempt.source), detail)
        }
        Input::Challenge(challenge) => ("challenge", Some(challenge.source), None),
        Input::Registered(phone) => ("registered", Some(phone.source), None),
        Input::RegistrationEnded(phone) => ("registration_ended", phone.source, None),
        Input::AbandonedCall { source } => ("abandoned_call", Some(*source), None),
        Input::Report { source, .. } => ("report", Some(*source), None),
        Input::CallAccepted { source } => ("call_accepted", Some(*source), None),
        Input::Complaint(complaint) => {
            ("complaint", Some(complaint.source), Some(complaint.kind.as_str().to_owned()))
        }
        _ => ("nothing", None, None),
    }
}

/// The small engine on which it is played.
struct Stage {
    engine: Engine,
    actions: Vec<Action>,
}

impl Stage {
    /// Lets pass what the engine itself waits for.
    fn wait(&mut self, now: Timestamp) {
        for _ in 0..MAX_TICKS {
            match self.engine.next_deadline() {
                Some(due) if due <= now + AFTERWARDS => self.engine.tick(due, &mut self.actions),
                Some(_) | None => return,
            }
        }
    }
}

/// An action as the log would report it.
fn effect(action: Action, clock: &Clock) -> Option<Line> {
    let record = match action {
        Action::Block { net, since: _, until, scope, cause } => {
            Record::Ban(Ban::decided(net, scope, clock.wall_end(until), cause))
        }
        Action::Unblock { net, reason } => Record::Unban { net, reason, still_stopped_by: None },
        Action::Refused { net, reason, cause } => Record::Refused { net, refusal: reason, cause },
        Action::Shadowed { net, cause } => Record::Shadowed { net, cause },
        Action::NeedsAttention { source, user, user_agent, last_success } => {
            let last_success = last_success.map(|at| Time(clock.wall(at)));
            Record::NeedsAttention { address: source, user, user_agent, last_success }
        }
        // The end of a limit is no event of its own.
        Action::Slow { until, .. } if until <= clock.steady() => return None,
        Action::Slow { source, until, cause } => {
            Record::Slowed { address: source, until: Time(clock.wall(until)), cause }
        }
        Action::Judged(judgement) => Record::AuthFailure(judgement),
        Action::Alarm(alarm) => Record::Alarm(alarm),
        Action::DenyFlow { flow, since: _, until, cause } => {
            Record::FlowDenied(FlowDenied::decided(flow, clock.wall(until), cause))
        }
        Action::AllowFlow { flow, reason } => {
            Record::FlowAllowed { address: flow.source, flow, reason }
        }
        Action::Distrust { source, until } => {
            Record::Distrusted { address: source, until: Time(clock.wall(until)) }
        }
        // Between the engine and its helpers.
        Action::AskAcl { .. } | Action::Remember(_) => return None,
    };
    Some(line(&record, clock.now()))
}
