//! Who attacks, whom forged packets name, and which phones are in trouble.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels::{self, Shown, plain};
use super::super::language::{t, tn};
use super::super::users::ADVICE;
use super::LINES;
use sipward_model::text::Plain;
use sipward_model::wire::{Phone, Top, TopEntry, UserPage};

/// The addresses with the most failures that count.
pub(super) fn sources(frame: &Frame, top: &Top) -> Markup {
    if top.items.is_empty() {
        return none(top);
    }
    html! {
        table.rows.tight {
            caption.hidden { (t("Addresses with the most failures that count")) }
            thead { tr {
                th scope="col" { (t("Source")) }
                th.num scope="col" { (t("Failures")) }
                th.num scope="col" { (t("Users")) }
                th scope="col" { (t("Last")) }
            } }
            tbody {
                @for entry in &top.items {
                    tr data-key=(entry.name) {
                        th scope="row" { (address(entry)) }
                        td.num data-label=(t("Failures")) { (labels::number(entry.counted)) }
                        td.num data-label=(t("Users")) {
                            (labels::number(entry.users.unwrap_or_default()))
                        }
                        td data-label=(t("Last")) { (labels::ago(entry.last, frame.now)) }
                    }
                }
            }
        }
    }
}

/// The users with the most failures that count.
pub(super) fn users(frame: &Frame, top: &Top) -> Markup {
    if top.items.is_empty() {
        return none(top);
    }
    html! {
        table.rows.tight {
            caption.hidden { (t("Users with the most failures that count")) }
            thead { tr {
                th scope="col" { (t("User")) }
                th.num scope="col" { (t("Failures")) }
                th.num scope="col" { (t("Sources")) }
                th scope="col" { (t("Last")) }
            } }
            tbody {
                @for entry in &top.items {
                    tr data-key=(Shown(Plain(&entry.name))) {
                        th scope="row" { (plain(&entry.name)) }
                        td.num data-label=(t("Failures")) { (labels::number(entry.counted)) }
                        td.num data-label=(t("Sources")) {
                            (labels::number(entry.sources.unwrap_or_default()))
                        }
                        td data-label=(t("Last")) { (labels::ago(entry.last, frame.now)) }
                    }
                }
            }
        }
    }
}

/// Addresses all of whose failures are forgeable. Most of them are victims, so nothing here leads to a ban at once.
pub(super) fn forged(frame: &Frame, top: &Top) -> Markup {
    let left_out = top.total.saturating_sub(top.items.len() as u64);
    html! {
        @if top.items.is_empty() { p.empty { (t("No address.")) } }
        @else {
            p.soft {
                (t("Anybody can send such packets in the name of these addresses. They do not count, and most of the hosts have sent none."))
            }
            ul.names {
                @for entry in &top.items {
                    li {
                        (address(entry)) " "
                        span.soft {
                            (labels::count(entry.failures, "packet")) ", "
                            (labels::ago(entry.last, frame.now))
                        }
                    }
                }
            }
            @if left_out > 0 { p.soft { (t!("and {count} more", count = labels::number(left_out))) } }
        }
    }
}

/// Phones that logged in before and fail now, and what to do.
pub(super) fn phones(frame: &Frame, page: &UserPage) -> Markup {
    let shown = page.attention.iter().take(LINES.into());
    let left_out = page.attention_total.saturating_sub(shown.len() as u64);
    html! {
        @if page.attention.is_empty() { p.empty { (t("None in the last day.")) } }
        @else {
            p.soft { (t(ADVICE)) }
            ul.names { @for phone in shown { li { (phone_line(frame, phone)) } } }
            @if left_out > 0 {
                p.soft { a href="/users" { (t!("and {count} more", count = labels::number(left_out))) } }
            }
        }
    }
}

fn phone_line(frame: &Frame, phone: &Phone) -> Markup {
    html! {
        @let address = html! {
            a.net href={ "/sources/" (Shown(phone.address)) } { (Shown(phone.address)) }
        };
        (t!("user {user} at {address}", user = plain(&phone.user), address = address))
        @if phone.banned { " " span.pill.bad { (t("banned")) } }
        " "
        span.soft {
            @if !phone.user_agent.is_empty() { (plain(&phone.user_agent)) ", " }
            (tn!(phone.failures, "failed {n} time", "failed {n} times"))
            @if let Some(last) = phone.last { ", " (t!("last {ago}", ago = labels::ago(last, frame.now))) }
        }
    }
}

fn address(entry: &TopEntry) -> Markup {
    html! {
        a.net href={ "/sources/" (entry.name) } { (entry.name) }
        @if entry.banned == Some(true) { " " span.pill.bad { (t("banned")) } }
    }
}

fn none(top: &Top) -> Markup {
    html! { p.empty { (t!("No failures that count since {time}.", time = labels::at(top.memory.since))) } }
}
