//! Denied flows: one port of one address each.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use sipward_engine::FlowError;

use super::error_page::ErrorPage;
use super::fields::{Asked, Filled};
use super::forms;
use super::frame::Frame;
use super::labels::{self, Shown};
use super::language::t;
use super::paging;
use sipward_daemon::control::Control;
use sipward_model::wire::{DeniedFlow, FlowQuery, Net};
use sipward_server::http::error::ApiError;

/// The list.
pub(super) async fn list(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let inside = fields.text("q").map(str::parse::<Net>).transpose();
    let query = FlowQuery {
        inside: inside.map_err(|detail| ApiError::field("q", detail))?,
        limit: Some(paging::ROWS),
        cursor: fields.text("cursor").map(str::to_owned),
    };
    let page = control.flows(query).await?;
    let here = paging::here("/flows", &fields);
    let body = html! {
        h1 { (t("Denied flows")) }
        p.soft {
            (t("When other phones share an address, sipward denies only the port that guesses passwords. The kernel \
                drops its packets to the SIP ports for ten minutes. The other phones are not affected."))
        }
        form.filter method="get" action="/flows" role="search" aria-label=(t("Search the flows")) {
            div.field.wide {
                label for="q" { (t("Address or network")) }
                input type="search" id="q" name="q" value=(fields.text("q").unwrap_or_default())
                    maxlength="64" autocomplete="off" spellcheck="false";
            }
            button type="submit" { (t("Search")) }
        }
        section.card {
            div #flows data-live="" { (rows(&frame, &page.items, &here)) }
            (paging::pages("/flows", &fields, page.next.as_deref()))
        }
    };
    Ok(frame.page("/bans", t("Denied flows"), Some(&here), &body))
}

/// Allows one again.
pub(super) async fn allow(
    State(control): State<Control>,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let flow = fields.text("flow").unwrap_or_default().parse();
    let flow = flow.map_err(|error: FlowError| ApiError::field("flow", error.to_string()))?;
    control.allow_flow(flow).await?;
    Ok(forms::go_to(forms::back(&fields, "/flows")))
}

/// Flows as rows, or a note that there are none.
pub(super) fn rows(frame: &Frame, flows: &[DeniedFlow], here: &str) -> Markup {
    if flows.is_empty() {
        return html! { p.empty { (t("No denied flows.")) } };
    }
    let acts = frame.viewer.may_write;
    html! {
        table.rows.wide {
            caption.hidden { (t("Denied flows")) }
            thead { tr {
                th scope="col" { (t("Flow")) } th scope="col" { (t("Why")) } th scope="col" { (t("Left")) }
                th scope="col" { (t("State")) }
                @if acts { th scope="col" { span.hidden { (t("Action")) } } }
            } }
            tbody {
                @for denied in flows {
                    tr data-key=(denied.flow) {
                        th scope="row" {
                            (labels::net(denied.address.into())) " "
                            span.mono { (denied.flow.transport.as_str()) " " (denied.flow.port) }
                        }
                        td data-label=(t("Why")) { (labels::cause(&denied.cause)) }
                        td.num data-label=(t("Left")) { (labels::span_of(denied.remaining_seconds)) }
                        td data-label=(t("State")) {
                            (labels::state(denied.state, frame.status.mode))
                            @if let Some(error) = &denied.error { " " span.soft { (labels::english(error)) } }
                        }
                        @if acts {
                            td.act {
                                form method="post" action="/flows/allow" {
                                    input type="hidden" name="back" value=(here);
                                    input type="hidden" name="flow" value=(denied.flow);
                                    button.quiet type="submit" aria-label=(t!("Allow {flow}", flow = Shown(denied.flow))) {
                                        (t("Allow"))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
