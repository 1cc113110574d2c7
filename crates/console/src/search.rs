//! The search field of every page: an address leads to its page, a network to its bans, any other text is looked for
//! among the bans and the users.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use maud::{Markup, html};

use super::bans::{Columns, rows};
use super::error_page::ErrorPage;
use super::fields::{Asked, Fields};
use super::forms;
use super::frame::Frame;
use super::labels::{self, Shown, plain};
use super::language::{t, tn};
use sipward_daemon::control::Control;
use sipward_model::text::Plain;
use sipward_model::wire::{BanOrder, BanPage, BanQuery, Direction, Net, UserPage, UserQuery};

/// Rows of each list.
const LINES: u16 = 20;

pub(super) async fn show(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Response, ErrorPage> {
    let Some(text) = fields.text("q") else {
        return Ok(forms::go_to("/bans"));
    };
    if let Some(place) = place(text) {
        return Ok(forms::go_to(&place));
    }
    let bans = BanQuery {
        search: Some(text.to_owned()),
        sort: Some(BanOrder::Since),
        order: Some(Direction::Desc),
        limit: Some(LINES),
        ..BanQuery::default()
    };
    let users =
        UserQuery { search: Some(text.to_owned()), limit: Some(LINES), ..UserQuery::default() };
    let (bans, users) = tokio::try_join!(control.bans(bans), control.users(users))?;
    Ok(page(&frame, &fields, text, &bans, &users).into_response())
}

/// The page of an address or a network.
fn place(text: &str) -> Option<String> {
    let Net(net) = text.parse().ok()?;
    Some(if net == IpNet::from(net.addr()) {
        format!("/sources/{}", net.addr())
    } else {
        format!("/bans?{}", query("q", &net.to_string()))
    })
}

fn query(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

fn page(frame: &Frame, fields: &Fields, text: &str, bans: &BanPage, users: &UserPage) -> Markup {
    let here = super::paging::here("/search", fields);
    let body = html! {
        h1 { (t!("Search: {text}", text = plain(text))) }
        section.card aria-labelledby="found-bans" {
            h2 #found-bans {
                a href={ "/bans?" (query("q", text)) } { (labels::count(bans.total, "ban")) }
            }
            div #bans data-live="" { (rows(frame, &bans.items, &Columns::plain(t("Bans found")))) }
        }
        section.card aria-labelledby="found-users" {
            h2 #found-users {
                a href={ "/users?" (query("search", text)) } {
                    (tn!(users.total, "{n} user under attack", "{n} users under attack"))
                }
            }
            div #users data-live="" {
                @if users.items.is_empty() { p.empty { (t("No user of this name failed in the last day.")) } }
                @else {
                    ul.names {
                        @for user in &users.items {
                            li {
                                a href={ "/users?" (query("search", &user.user)) } {
                                    bdi { (Shown(Plain(&user.user))) }
                                }
                                span.soft {
                                    " "
                                    (t!(
                                        "{failures} from {sources}, last {ago}",
                                        failures = labels::count(user.failures, "failure"),
                                        sources = labels::count(user.sources, "source"),
                                        ago = labels::ago(user.last, frame.now),
                                    ))
                                }
                            }
                        }
                    }
                }
            }
        }
        p.soft {
            (t!(
                "Earlier decisions are in the {history}, by address or network.",
                history = html! { a href="/history" { (t("history")) } },
            ))
        }
    };
    frame.page("/search", t("Search"), Some(&here), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_its_page_a_network_to_its_bans_and_text_to_neither() {
        for (text, expected) in [
            ("203.0.113.7", Some("/sources/203.0.113.7")),
            ("::ffff:203.0.113.7", Some("/sources/203.0.113.7")),
            ("2001:db8::7", Some("/sources/2001:db8::7")),
            ("203.0.113.0/24", Some("/bans?q=203.0.113.0%2F24")),
            ("203.0.113.9/24", Some("/bans?q=203.0.113.0%2F24")),
            ("1003", None),
            ("//evil.example", None),
            ("friendly-scanner", None),
        ] {
            assert_eq!(place(text).as_deref(), expected, "{text}");
        }
    }
}
