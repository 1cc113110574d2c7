//! The busiest strangers.

use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels;
use super::super::language::{self, t};
use sipward_model::wire::BusyStranger;

/// The busiest strangers, if any.
pub(super) fn strangers(frame: &Frame) -> Markup {
    let strangers = &frame.status.flood.strangers;
    html! {
        @if strangers.is_empty() { p.empty { (t("No stranger has sent 300 packets in ten minutes.")) } }
        @else {
            table.rows.tight {
                caption.hidden { (t("Strangers that send the most packets to the SIP ports")) }
                thead { tr {
                    th scope="col" { (t("Source")) }
                    th.num scope="col" { (t("Packets/s")) }
                    th.num scope="col" { (t("In 10 min")) }
                    th scope="col" { (t("Limited")) }
                } }
                tbody { @for stranger in strangers { (row(frame, stranger)) } }
            }
        }
    }
}

fn row(frame: &Frame, stranger: &BusyStranger) -> Markup {
    let rate = stranger.packets_per_second.map(|rate| language::decimal(rate, 1));
    html! {
        tr data-key=(labels::Shown(stranger.net)) {
            th scope="row" { (labels::net(stranger.net)) }
            td.num data-label=(t("Packets/s")) { (rate.as_deref().unwrap_or("–")) }
            td.num data-label=(t("In 10 min")) { (labels::number(stranger.packets)) }
            td data-label=(t("Limited")) {
                @if stranger.slowed {
                    span.pill.warn {
                        (t("slowed to 1/s"))
                        @if let Some(until) = stranger.slowed_until {
                            " "
                            (t!("for {span} more", span = labels::span(until.0.since(frame.now).as_secs())))
                        }
                    }
                }
                @else if let Some(since) = stranger.limited_since {
                    span.pill.warn {
                        (t!("for {span}", span = labels::span(frame.now.since(since.0).as_secs())))
                    }
                }
                @else { span.soft { (t("no")) } }
            }
        }
    }
}
