//! The history of decisions.

use axum::extract::State;
use maud::{Markup, html};

use super::error_page::ErrorPage;
use super::fields::{Asked, Fields};
use super::forms;
use super::frame::Frame;
use super::labels;
use super::language::t;
use super::paging::{ROWS, here, pages};
use sipward_daemon::control::Control;
use sipward_model::text::Time;
use sipward_model::wire::{BanScope, HistoryEntry, HistoryKind, HistoryPage, HistoryQuery, Net};
use sipward_server::http::error::ApiError;

pub(super) async fn list(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let page = control.history(query(&fields)?).await?;
    let body = html! {
        div.head { h1 { (t("History")) } p.soft { (t("All decisions, newest first.")) } }
        (filter(&fields))
        div #history data-live="" { (rows(&frame, &page)) }
        (pages("/history", &fields, page.next.as_deref()))
    };
    Ok(frame.page("/history", t("History"), Some(&here("/history", &fields)), &body))
}

fn query(fields: &Fields) -> Result<HistoryQuery, ApiError> {
    Ok(HistoryQuery {
        net: fields.read::<Net>("net")?,
        event: fields.word("event")?,
        from: time(fields, "from")?,
        to: time(fields, "to")?,
        limit: Some(fields.read("limit")?.unwrap_or(ROWS)),
        cursor: fields.text("cursor").map(str::to_owned),
    })
}

/// A time in RFC 3339, or as a date field of a browser sends it: `2026-11-23T22:00`, in UTC.
fn time(fields: &Fields, name: &str) -> Result<Option<Time>, ApiError> {
    let Some(text) = fields.text(name) else { return Ok(None) };
    let read = text.parse().or_else(|error| format!("{text}Z").parse().map_err(|_: String| error));
    let read = read.or_else(|error| format!("{text}:00Z").parse().map_err(|_: String| error));
    read.map(Some).map_err(|error: String| ApiError::field(name, error))
}

const KINDS: [HistoryKind; 5] = [
    HistoryKind::Ban,
    HistoryKind::Unban,
    HistoryKind::Refused,
    HistoryKind::FlowDenied,
    HistoryKind::FlowAllowed,
];

fn filter(fields: &Fields) -> Markup {
    let kinds = forms::options(&KINDS, |kind| title(kind).to_owned());
    html! {
        form.filter method="get" action="/history" role="search" aria-label=(t("Search the history")) {
            div.field.wide {
                label for="net" { (t("Address or network")) }
                input type="search" id="net" name="net"
                    value=(fields.text("net").unwrap_or_default()) maxlength="64" autocomplete="off"
                    spellcheck="false";
            }
            (forms::choice("event", t("Decision"), fields.text("event"), &kinds))
            @for (name, text) in [("from", t("From (UTC)")), ("to", t("To (UTC)"))] {
                div.field.date {
                    label for=(name) { (text) }
                    input type="datetime-local" id=(name) name=(name)
                        value=(local(fields.text(name).unwrap_or_default()));
                }
            }
            button type="submit" { (t("Search")) }
        }
    }
}

/// A time as a date field of a browser takes it.
fn local(text: &str) -> &str {
    text.trim_end_matches('Z')
}

pub(super) fn title(kind: HistoryKind) -> &'static str {
    match kind {
        HistoryKind::Ban => t("banned"),
        HistoryKind::Unban => t("unbanned"),
        HistoryKind::Refused => t("not banned"),
        HistoryKind::FlowDenied => t("flow denied"),
        HistoryKind::FlowAllowed => t("flow allowed"),
    }
}

fn rows(frame: &Frame, page: &HistoryPage) -> Markup {
    if page.items.is_empty() {
        return html! { p.empty { (t("No decisions.")) } };
    }
    html! {
        table.rows.wide {
            caption.hidden { (t("Decisions")) }
            thead {
                tr {
                    th scope="col" { (t("Time")) } th scope="col" { (t("Decision")) } th scope="col" { (t("Network")) }
                    th scope="col" { (t("Reason")) }
                }
            }
            tbody {
                @for entry in &page.items {
                    tr {
                        td data-label=(t("Time")) {
                            (labels::at(entry.time)) " "
                            span.soft.roomy { "(" (labels::ago(entry.time, frame.now)) ")" }
                        }
                        td data-label=(t("Decision")) { (what(entry)) }
                        th scope="row" { (labels::net(entry.net)) }
                        td data-label=(t("Reason")) { (why(entry)) }
                    }
                }
            }
        }
    }
}

/// The decision, as a mark.
pub(super) fn what(entry: &HistoryEntry) -> Markup {
    let class = match entry.event {
        HistoryKind::Ban | HistoryKind::FlowDenied => "bad",
        HistoryKind::Unban | HistoryKind::FlowAllowed => "good",
        HistoryKind::Refused => "warn",
    };
    html! {
        span class={ "pill " (class) } { (title(entry.event)) }
        @if entry.observed { " " span.soft { (t("observe mode")) } }
    }
}

/// The reason, and the end.
pub(super) fn why(entry: &HistoryEntry) -> Markup {
    html! {
        @match entry.event {
            HistoryKind::Ban | HistoryKind::FlowDenied => {
                @if let Some(flow) = &entry.flow { (flow.to_string()) ": " }
                @if entry.scope == Some(BanScope::Sip) { (t("SIP ports only")) ": " }
                @if let Some(cause) = &entry.cause { (labels::cause(cause)) }
                @match entry.until {
                    Some(until) => span.soft { ", " (t!("until {time}", time = labels::at(until))) },
                    None => span.soft { ", " (t("permanent")) },
                }
            }
            HistoryKind::Unban | HistoryKind::FlowAllowed => {
                @if let Some(flow) = &entry.flow { (flow.to_string()) ": " }
                (reason(entry.reason.as_deref().unwrap_or_default()))
            }
            HistoryKind::Refused => {
                @if let Some(refusal) = &entry.refusal { (labels::refusal(refusal)) }
                @if let Some(cause) = &entry.cause {
                    span.soft { "; " } (labels::requested(cause))
                }
            }
        }
    }
}

fn reason(word: &str) -> Markup {
    let words = match word {
        "expired" => t("expired"),
        "manual" => t("by hand"),
        "exempted" => t("the source became exempt"),
        "registered" => t("a phone registered from there"),
        "split" => t("split into parts"),
        "superseded" => t("replaced by another ban"),
        "not_adopted" => t("route of unknown origin"),
        other => return labels::english(other),
    };
    html! { (words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_and_as_programs_write_them() {
        for text in ["2026-11-23T22:00:00Z", "2026-11-23T22:00", "2026-11-23T22:00:00"] {
            let query =
                form_urlencoded::Serializer::new(String::new()).append_pair("from", text).finish();
            let read = time(&Fields::parse(query.as_bytes()).unwrap(), "from").unwrap().unwrap();
            assert_eq!(read.to_string(), "2026-11-23T22:00:00.000Z");
        }
        assert!(time(&Fields::parse(b"from=yesterday").unwrap(), "from").is_err());
    }
}
