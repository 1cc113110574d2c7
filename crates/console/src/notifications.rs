//! Mail and webhooks: what was delivered, and a test.

use axum::extract::State;
use maud::{Markup, html};

use super::error_page::ErrorPage;
use super::frame::Frame;
use super::labels::{self, plain};
use sipward_daemon::control::{Control, Delivery, Tested};
use sipward_model::text::Time;

pub(super) async fn show(State(control): State<Control>, frame: Frame) -> Markup {
    page(&frame, &control.notifications(), None)
}

/// Sends a test through each way and shows the results. A reload of the page sends another, which browsers ask about.
pub(super) async fn test(
    State(control): State<Control>,
    frame: Frame,
) -> Result<Markup, ErrorPage> {
    let results = control.test_notifications().await?;
    Ok(page(&frame, &control.notifications(), Some(&results)))
}

fn page(frame: &Frame, ways: &[Delivery], results: Option<&[Tested]>) -> Markup {
    let body = html! {
        div.head {
            h1 { "Notifications" }
            p.soft { "Mail and webhooks, since the start of the daemon." }
        }
        @for result in results.into_iter().flatten() {
            @match result {
                Ok(words) => div.notice.good role="status" { (plain(words)) },
                Err(words) => div.notice.bad role="alert" { (plain(words)) },
            }
        }
        @if ways.is_empty() {
            section.card {
                p.empty {
                    "Neither mail nor a webhook is configured. Set " code { "mail.to" } " or " code { "webhook.urls" }
                    " in the configuration file and restart the daemon."
                }
            }
        } @else {
            div #ways data-live="" { (rows(frame, ways)) }
            @if frame.viewer.may_write {
                form.actions method="post" action="/notifications/test" {
                    button type="submit" { "Send a test" }
                    span.soft { "To each recipient and each webhook. Takes up to 30 s." }
                }
            }
        }
    };
    let fresh = results.is_none().then_some("/notifications");
    frame.page("/notifications", "Notifications", fresh, &body)
}

fn rows(frame: &Frame, ways: &[Delivery]) -> Markup {
    html! {
        table.rows.wide {
            caption.hidden { "Deliveries" }
            thead { tr {
                th scope="col" { "To" } th scope="col" { "State" } th scope="col" { "Last delivery" }
                th.num scope="col" { "Delivered" } th.num scope="col" { "Waiting" } th.num scope="col" { "Lost" }
            } }
            tbody {
                @for way in ways {
                    tr data-key=(way.by) {
                        th scope="row" { (plain(&way.by)) }
                        td data-label="State" {
                            @match (&way.error, way.last) {
                                (Some(error), _) => { span.pill.bad { "failing" } " " (plain(error)) }
                                (None, Some(_)) => span.pill.good { "delivering" },
                                (None, None) => span.pill { "nothing sent yet" },
                            }
                        }
                        td data-label="Last delivery" {
                            @match way.last {
                                Some(last) => (labels::ago(Time(last), frame.now)),
                                None => "–",
                            }
                        }
                        td.num data-label="Delivered" { (labels::number(way.delivered)) }
                        td.num data-label="Waiting" { (labels::number(way.waiting)) }
                        td.num data-label="Lost" { (labels::number(way.lost + way.missed)) }
                    }
                }
            }
        }
    }
}
