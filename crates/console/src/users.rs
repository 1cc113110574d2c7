//! Accounts under attack and the attacking addresses; phones that need attention.

use axum::extract::State;
use maud::{Markup, html};

use super::error_page::ErrorPage;
use super::fields::Asked;
use super::frame::Frame;
use super::labels::{self, Shown, plain};
use super::language::{en, t};
use super::paging::{ROWS, here, pages};
use sipward_daemon::control::Control;
use sipward_model::text::Plain;
use sipward_model::wire::{AttackedUser, AttackingSource, Phone, UserPage, UserQuery};

/// What a phone that needs attention needs.
pub(super) const ADVICE: &str = en(
    "These phones logged in before and now fail, most likely because their password was \
    changed: correct it on the phone. Their failures do not count as attacks, and sipward does not ban them.",
);

pub(super) async fn list(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let query = UserQuery {
        search: fields.text("search").map(str::to_owned),
        limit: Some(ROWS),
        cursor: fields.text("cursor").map(str::to_owned),
    };
    let page = control.users(query).await?;
    let body = html! {
        div.head {
            h1 { (t("Users")) }
            p.soft #memory data-live="" {
                (t!(
                    "Counted from {failures} since {time}.",
                    failures = labels::count(page.memory.failures, "failure"),
                    time = labels::at(page.memory.since),
                ))
            }
        }
        section.card aria-labelledby="phones-title" {
            h2 #phones-title { (t("Phones that need attention")) }
            div #phones data-live="" { (phones(&frame, &page)) }
        }
        section.card aria-labelledby="attacked-title" {
            h2 #attacked-title { (t("Accounts under attack")) }
            form.filter method="get" action="/users" role="search" aria-label=(t("Search the users")) {
                div.field.wide {
                    label for="search" { (t("User")) }
                    input type="search" id="search" name="search"
                        value=(fields.text("search").unwrap_or_default()) maxlength="128"
                        autocomplete="off" spellcheck="false";
                }
                button type="submit" { (t("Search")) }
            }
            div #attacked data-live="" { (attacked(&frame, &page)) }
            (pages("/users", &fields, page.next.as_deref()))
        }
    };
    Ok(frame.page("/users", t("Users"), Some(&here("/users", &fields)), &body))
}

fn phones(frame: &Frame, page: &UserPage) -> Markup {
    let left_out = page.attention_total.saturating_sub(page.attention.len() as u64);
    if page.attention.is_empty() {
        return html! { p.empty { (t("None in the last day.")) } };
    }
    html! {
        p.soft { (t(ADVICE)) }
        table.rows.wide {
            caption.hidden { (t("Previously working phones that now fail")) }
            thead { tr {
                th scope="col" { (t("User")) } th scope="col" { (t("Source")) } th scope="col" { (t("Phone")) }
                th scope="col" { (t("Last log-in")) } th.num scope="col" { (t("Failures")) }
            } }
            tbody { @for phone in &page.attention { (phone_row(frame, phone)) } }
        }
        @if left_out > 0 { p.soft { (t!("and {count} more", count = left_out)) } }
    }
}

fn phone_row(frame: &Frame, phone: &Phone) -> Markup {
    html! {
        tr data-key={ (Shown(Plain(&phone.user))) " " (Shown(phone.address)) } {
            th scope="row" { (plain(&phone.user)) }
            td data-label=(t("Source")) {
                a.net href={ "/sources/" (Shown(phone.address)) } { (Shown(phone.address)) }
                @if phone.banned { " " span.pill.bad { (t("banned")) } }
            }
            td data-label=(t("Phone")) { (plain(&phone.user_agent)) }
            td data-label=(t("Last log-in")) {
                @if let Some(at) = phone.last_success { (labels::ago(at, frame.now)) } @else { (t("never")) }
            }
            td.num data-label=(t("Failures")) { (labels::number(phone.failures)) }
        }
    }
}

fn attacked(frame: &Frame, page: &UserPage) -> Markup {
    if page.items.is_empty() {
        return html! { p.empty { (t("No users.")) } };
    }
    html! {
        table.rows.wide {
            caption.hidden { (t("Users under attack")) }
            thead { tr {
                th scope="col" { (t("User")) } th.num scope="col" { (t("Failures")) }
                th.num scope="col" { (t("Sources")) }
                th scope="col" { (t("Most from")) } th scope="col" { (t("Profiles")) }
                th scope="col" { (t("Last")) }
            } }
            tbody { @for user in &page.items { (user_row(frame, user)) } }
        }
    }
}

fn user_row(frame: &Frame, user: &AttackedUser) -> Markup {
    /// Sources that a row shows.
    const MOST: usize = 4;
    html! {
        tr data-key=(Shown(Plain(&user.user))) {
            th scope="row" { (plain(&user.user)) }
            td.num data-label=(t("Failures")) {
                (labels::number(user.failures))
                @if user.proved < user.failures {
                    span.soft { " (" (t!("{count} proved", count = labels::number(user.proved))) ")" }
                }
            }
            td.num data-label=(t("Sources")) { (labels::number(user.sources)) }
            td data-label=(t("Most from")) {
                @for (place, AttackingSource { address, failures, banned }) in user.top_sources.iter().take(MOST).enumerate() {
                    @if place > 0 { ", " }
                    a.net href={ "/sources/" (Shown(address)) } { (Shown(address)) }
                    span.soft { " × " (labels::number(*failures)) @if *banned { " " (t("banned")) } }
                }
            }
            td data-label=(t("Profiles")) {
                @for (place, profile) in user.profiles.iter().enumerate() {
                    @if place > 0 { ", " }
                    (plain(profile))
                }
            }
            td data-label=(t("Last")) { (labels::ago(user.last, frame.now)) }
        }
    }
}
