//! Accounts under attack and the attacking addresses; phones that need attention.

use axum::extract::State;
use maud::{Markup, html};

use super::error_page::ErrorPage;
use super::fields::Asked;
use super::frame::Frame;
use super::labels::{self, Shown, plain};
use super::paging::{ROWS, here, pages};
use sipward_daemon::control::Control;
use sipward_model::text::Plain;
use sipward_model::wire::{AttackedUser, AttackingSource, Phone, UserPage, UserQuery};

/// What a phone that needs attention needs.
pub(super) const ADVICE: &str = "These phones logged in before and now fail, most likely because their password was \
    changed: correct it on the phone. Their failures do not count as attacks, and sipward does not ban them.";

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
            h1 { "Users" }
            p.soft #memory data-live="" {
                "Counted from " (labels::count(page.memory.failures, "failure")) " since " (labels::at(page.memory.since)) "."
            }
        }
        section.card aria-labelledby="phones-title" {
            h2 #phones-title { "Phones that need attention" }
            div #phones data-live="" { (phones(&frame, &page)) }
        }
        section.card aria-labelledby="attacked-title" {
            h2 #attacked-title { "Accounts under attack" }
            form.filter method="get" action="/users" role="search" aria-label="Search the users" {
                div.field.wide {
                    label for="search" { "User" }
                    input type="search" id="search" name="search"
                        value=(fields.text("search").unwrap_or_default()) maxlength="128"
                        autocomplete="off" spellcheck="false";
                }
                button type="submit" { "Search" }
            }
            div #attacked data-live="" { (attacked(&frame, &page)) }
            (pages("/users", &fields, page.next.as_deref()))
        }
    };
    Ok(frame.page("/users", "Users", Some(&here("/users", &fields)), &body))
}

fn phones(frame: &Frame, page: &UserPage) -> Markup {
    let left_out = page.attention_total.saturating_sub(page.attention.len() as u64);
    if page.attention.is_empty() {
        return html! { p.empty { "None in the last day." } };
    }
    html! {
        p.soft { (ADVICE) }
        table.rows.wide {
            caption.hidden { "Previously working phones that now fail" }
            thead { tr {
                th scope="col" { "User" } th scope="col" { "Source" } th scope="col" { "Phone" }
                th scope="col" { "Last log-in" } th.num scope="col" { "Failures" }
            } }
            tbody { @for phone in &page.attention { (phone_row(frame, phone)) } }
        }
        @if left_out > 0 { p.soft { "and " (left_out) " more" } }
    }
}

fn phone_row(frame: &Frame, phone: &Phone) -> Markup {
    html! {
        tr data-key={ (Shown(Plain(&phone.user))) " " (Shown(phone.address)) } {
            th scope="row" { (plain(&phone.user)) }
            td data-label="Source" {
                a.net href={ "/sources/" (Shown(phone.address)) } { (Shown(phone.address)) }
                @if phone.banned { " " span.pill.bad { "banned" } }
            }
            td data-label="Phone" { (plain(&phone.user_agent)) }
            td data-label="Last log-in" {
                @if let Some(at) = phone.last_success { (labels::ago(at, frame.now)) } @else { "never" }
            }
            td.num data-label="Failures" { (labels::number(phone.failures)) }
        }
    }
}

fn attacked(frame: &Frame, page: &UserPage) -> Markup {
    if page.items.is_empty() {
        return html! { p.empty { "No users." } };
    }
    html! {
        table.rows.wide {
            caption.hidden { "Users under attack" }
            thead { tr {
                th scope="col" { "User" } th.num scope="col" { "Failures" }
                th.num scope="col" { "Sources" }
                th scope="col" { "Most from" } th scope="col" { "Profiles" }
                th scope="col" { "Last" }
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
            td.num data-label="Failures" {
                (labels::number(user.failures))
                @if user.proved < user.failures {
                    span.soft { " (" (labels::number(user.proved)) " proved)" }
                }
            }
            td.num data-label="Sources" { (labels::number(user.sources)) }
            td data-label="Most from" {
                @for (place, AttackingSource { address, failures, banned }) in user.top_sources.iter().take(MOST).enumerate() {
                    @if place > 0 { ", " }
                    a.net href={ "/sources/" (Shown(address)) } { (Shown(address)) }
                    span.soft { " × " (labels::number(*failures)) @if *banned { " banned" } }
                }
            }
            td data-label="Profiles" {
                @for (place, profile) in user.profiles.iter().enumerate() {
                    @if place > 0 { ", " }
                    (plain(profile))
                }
            }
            td data-label="Last" { (labels::ago(user.last, frame.now)) }
        }
    }
}
