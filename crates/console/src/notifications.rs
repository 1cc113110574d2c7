//! Mail and webhooks: what was delivered, and a test.

use axum::extract::State;
use maud::{Markup, html};

use super::error_page::ErrorPage;
use super::frame::Frame;
use super::labels::{self, plain};
use super::language::t;
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
            h1 { (t("Notifications")) }
            p.soft { (t("Mail and webhooks, since the start of the daemon.")) }
        }
        @for result in results.into_iter().flatten() {
            @match result {
                Ok(words) => div.notice.good role="status" { (labels::english(words)) },
                Err(words) => div.notice.bad role="alert" { (labels::english(words)) },
            }
        }
        @if ways.is_empty() {
            section.card {
                p.empty {
                    (t!(
                        "Neither mail nor a webhook is configured. Set {mail} or {webhook} in the configuration file \
                         and restart the daemon.",
                        mail = html! { code { "mail.to" } },
                        webhook = html! { code { "webhook.urls" } },
                    ))
                }
            }
        } @else {
            div #ways data-live="" { (rows(frame, ways)) }
            @if frame.viewer.may_write {
                form.actions method="post" action="/notifications/test" {
                    button type="submit" { (t("Send a test")) }
                    span.soft { (t("To each recipient and each webhook. Takes up to 30 s.")) }
                }
            }
        }
    };
    let fresh = results.is_none().then_some("/notifications");
    frame.page("/notifications", t("Notifications"), fresh, &body)
}

fn rows(frame: &Frame, ways: &[Delivery]) -> Markup {
    html! {
        table.rows.wide {
            caption.hidden { (t("Deliveries")) }
            thead { tr {
                th scope="col" { (t("To")) } th scope="col" { (t("State")) } th scope="col" { (t("Last delivery")) }
                th.num scope="col" { (t("Delivered")) } th.num scope="col" { (t("Waiting")) } th.num scope="col" { (t("Lost")) }
            } }
            tbody {
                @for way in ways {
                    tr data-key=(way.by) {
                        th scope="row" { (plain(&way.by)) }
                        td data-label=(t("State")) {
                            @match (&way.error, way.last) {
                                (Some(error), _) => { span.pill.bad { (t("failing")) } " " (labels::english(error)) }
                                (None, Some(_)) => span.pill.good { (t("delivering")) },
                                (None, None) => span.pill { (t("nothing sent yet")) },
                            }
                        }
                        td data-label=(t("Last delivery")) {
                            @match way.last {
                                Some(last) => (labels::ago(Time(last), frame.now)),
                                None => "–",
                            }
                        }
                        td.num data-label=(t("Delivered")) { (labels::number(way.delivered)) }
                        td.num data-label=(t("Waiting")) { (labels::number(way.waiting)) }
                        td.num data-label=(t("Lost")) { (labels::number(way.lost + way.missed)) }
                    }
                }
            }
        }
    }
}
