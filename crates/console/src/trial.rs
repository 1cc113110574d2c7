//! The rule test: what would happen if FreeSWITCH sent a given text.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::error_page::{self, ErrorPage};
use super::fields::{Asked, Fields, Filled};
use super::frame::Frame;
use super::labels::{self, plain};
use super::language::{self, t};
use sipward_daemon::control::Control;
use sipward_model::wire::{Line, Problem, WhatIf, WhatIfRequest};
use sipward_server::http::error::ApiError;

/// Longest text, in characters: the limit of the API.
const MOST: u16 = 32_768;

/// A failed REGISTER as FreeSWITCH reports it: the attempt, then the failure.
const EVENTS: &str = include_str!("trial/events.txt");

/// A line that FreeSWITCH writes with `log-auth-failures`.
const LOG_LINE: &str = include_str!("trial/log-line.txt");

/// The empty form, or an example.
pub(super) async fn show(frame: Frame, Asked(fields): Asked) -> Markup {
    let (kind, text) = match fields.text("example") {
        Some("log_line") => ("log_line", LOG_LINE),
        Some(_) => ("event", EVENTS),
        None => ("event", ""),
    };
    page(&frame, kind, text, None, None)
}

pub(super) async fn ask(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let text = fields.raw("text").unwrap_or_default();
    let kind = if fields.text("kind") == Some("log_line") { "log_line" } else { "event" };
    let asked = match control.what_if(request(&fields, kind)).await {
        Ok(answer) => page(&frame, kind, text, Some(&answer), None).into_response(),
        Err(error) => {
            let error = ApiError::from(error);
            let problem = error.problem();
            let page = page(&frame, kind, text, None, Some(problem));
            (error_page::status(problem), page).into_response()
        }
    };
    Ok(asked)
}

fn request(fields: &Fields, kind: &str) -> WhatIfRequest {
    let text = fields.raw("text").unwrap_or_default().to_owned();
    match kind {
        "log_line" => WhatIfRequest { event: None, log_line: Some(text) },
        _ => WhatIfRequest { event: Some(text), log_line: None },
    }
}

fn page(
    frame: &Frame,
    kind: &str,
    text: &str,
    answer: Option<&WhatIf>,
    problem: Option<&Problem>,
) -> Markup {
    let body = html! {
        @if let Some(problem) = problem { (error_page::banner(problem)) }
        div.head {
            h1 { (t("Rule test")) }
            p.soft { (t("Shows what would happen if FreeSWITCH sent this now. Nothing is changed.")) }
        }
        form.card method="post" action="/test" {
            fieldset {
                legend { (t("Input")) }
                label.tick {
                    input type="radio" name="kind" value="event" checked[kind == "event"];
                    (t("Event Socket events in plain format, separated by blank lines"))
                }
                label.tick {
                    input type="radio" name="kind" value="log_line" checked[kind == "log_line"];
                    (t("a log message of FreeSWITCH"))
                }
            }
            div.field {
                label for="text" { (t("Text")) }
                textarea id="text" name="text" maxlength=(MOST) spellcheck="false" required
                    aria-invalid=[problem.map(|_| "true")] { (text) }
            }
            p.actions {
                button type="submit" { (t("Test")) }
                a.button.quiet href="/test?example=event" { (t("Example: events")) }
                a.button.quiet href="/test?example=log_line" { (t("Example: log line")) }
            }
        }
        @if let Some(answer) = answer { (verdict(answer)) }
    };
    frame.page("/test", t("Rule test"), None, &body)
}

fn verdict(answer: &WhatIf) -> Markup {
    html! {
        section.card #verdict aria-labelledby="read-title" {
            h2 #read-title { (t("Input as understood")) }
            ol {
                @for reading in &answer.read {
                    li {
                        strong { (labels::english(&reading.kind.replace('_', " "))) }
                        @if let Some(source) = reading.address {
                            " " (t!("from {address}", address = labels::net(source.into())))
                        }
                        @if let Some(detail) = &reading.detail { ": " (labels::english(detail)) }
                    }
                }
            }
            h2 { (t("Result")) }
            p { strong { (outcome(answer)) } }
            @for effect in &answer.effects { (consequence(effect)) }
            p.soft { (t!("Based on {basis}", basis = labels::english(&answer.basis))) }
        }
    }
}

/// The result, in a sentence.
fn outcome(answer: &WhatIf) -> Markup {
    let banned = answer.effects.iter().filter(|effect| effect.event == "ban");
    let banned: Vec<_> = banned.filter_map(|effect| effect.fields.get("net")).collect();
    html! {
        @if answer.effects.is_empty() { (t("Nothing would count, and nothing would be banned.")) }
        @else if banned.is_empty() { (t("Nothing would be banned.")) }
        @else {
            @let nets = html! {
                @for (place, net) in banned.iter().enumerate() {
                    @if place > 0 { ", " }
                    (labels::json(net))
                }
            };
            (t!("{nets} would be banned.", nets = nets))
        }
    }
}

fn consequence(effect: &Line) -> Markup {
    let class = match effect.event.as_str() {
        "ban" | "alarm" => "bad",
        "refused" | "shadowed" | "needs_attention" => "warn",
        _ => "",
    };
    html! {
        div.effect {
            p { span class={ "pill " (class) } { (labels::english(&effect.event.replace('_', " "))) } }
            dl.pairs lang=[language::english()] {
                @for (name, value) in &effect.fields {
                    @if !value.is_null() {
                        dt { (plain(&name.replace('_', " "))) }
                        dd { (labels::json(value)) }
                    }
                }
            }
        }
    }
}
