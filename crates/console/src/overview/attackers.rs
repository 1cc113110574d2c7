//! Who attacks, whom forged packets name, and which phones are in trouble.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels::{self, Shown, plain};
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
            caption.hidden { "Addresses with the most failures that count" }
            thead { tr {
                th scope="col" { "Source" }
                th.num scope="col" { "Failures" }
                th.num scope="col" { "Users" }
                th scope="col" { "Last" }
            } }
            tbody {
                @for entry in &top.items {
                    tr data-key=(entry.name) {
                        th scope="row" { (address(entry)) }
                        td.num data-label="Failures" { (labels::number(entry.counted)) }
                        td.num data-label="Users" {
                            (labels::number(entry.users.unwrap_or_default()))
                        }
                        td data-label="Last" { (labels::ago(entry.last, frame.now)) }
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
            caption.hidden { "Users with the most failures that count" }
            thead { tr {
                th scope="col" { "User" }
                th.num scope="col" { "Failures" }
                th.num scope="col" { "Sources" }
                th scope="col" { "Last" }
            } }
            tbody {
                @for entry in &top.items {
                    tr data-key=(Shown(Plain(&entry.name))) {
                        th scope="row" { (plain(&entry.name)) }
                        td.num data-label="Failures" { (labels::number(entry.counted)) }
                        td.num data-label="Sources" {
                            (labels::number(entry.sources.unwrap_or_default()))
                        }
                        td data-label="Last" { (labels::ago(entry.last, frame.now)) }
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
        @if top.items.is_empty() { p.empty { "No address." } }
        @else {
            p.soft {
                "Anybody can send such packets in the name of these addresses. They do not count, and most of the hosts have sent none."
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
            @if left_out > 0 { p.soft { "and " (labels::number(left_out)) " more" } }
        }
    }
}

/// Phones that logged in before and fail now, and what to do.
pub(super) fn phones(frame: &Frame, page: &UserPage) -> Markup {
    let shown = page.attention.iter().take(LINES.into());
    let left_out = page.attention_total.saturating_sub(shown.len() as u64);
    html! {
        @if page.attention.is_empty() { p.empty { "None in the last day." } }
        @else {
            p.soft { (ADVICE) }
            ul.names { @for phone in shown { li { (phone_line(frame, phone)) } } }
            @if left_out > 0 {
                p.soft { a href="/users" { "and " (labels::number(left_out)) " more" } }
            }
        }
    }
}

fn phone_line(frame: &Frame, phone: &Phone) -> Markup {
    html! {
        "user " (plain(&phone.user)) " at "
        a.net href={ "/sources/" (Shown(phone.address)) } { (Shown(phone.address)) }
        @if phone.banned { " " span.pill.bad { "banned" } }
        " "
        span.soft {
            @if !phone.user_agent.is_empty() { (plain(&phone.user_agent)) ", " }
            "failed " (labels::count(phone.failures, "time"))
            @if let Some(last) = phone.last { ", last " (labels::ago(last, frame.now)) }
        }
    }
}

fn address(entry: &TopEntry) -> Markup {
    html! {
        a.net href={ "/sources/" (entry.name) } { (entry.name) }
        @if entry.banned == Some(true) { " " span.pill.bad { "banned" } }
    }
}

fn none(top: &Top) -> Markup {
    html! { p.empty { "No failures that count since " (labels::at(top.memory.since)) "." } }
}
