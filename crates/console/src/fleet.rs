//! The fleet: the nodes that share their bans.

use axum::extract::State;
use maud::{Markup, html};

use super::frame::Frame;
use super::labels::{self, plain};
use super::language::t;
use sipward_daemon::control::Control;
use sipward_model::wire::{Fleet, FleetLink, FleetNode, NodeStanding};

pub(super) async fn show(State(control): State<Control>, frame: Frame) -> Markup {
    let fleet = control.fleet_now().await;
    let body = html! {
        div.head {
            h1 { (t("Fleet")) }
            p.soft { (t("Nodes that share their bans and known phones.")) }
        }
        @if fleet.enabled {
            div #link data-live="" { (state(&fleet)) }
            section.card { div #nodes data-live="" { (nodes(&frame, &fleet.nodes)) } }
        } @else {
            section.card {
                p.empty {
                    (t!(
                        "This node is alone. {section} in the configuration file connects it with others.",
                        section = html! { code { "[fleet]" } },
                    ))
                }
            }
        }
    };
    frame.page("/fleet", t("Fleet"), Some("/fleet"), &body)
}

/// The link, and what came and went.
fn state(fleet: &Fleet) -> Markup {
    let (link, counts) = (&fleet.link, &fleet.counts);
    let refused: u64 = counts.refused.values().sum();
    html! {
        section.card {
            p { (way(link)) " " span.mono { (fleet.node.as_deref().unwrap_or_default()) } }
            @if let Some(error) = link.error.as_ref().filter(|_| !link.connected) {
                p.soft { (labels::english(error)) }
            }
            dl.pairs {
                dt { (t("own bans for all nodes")) } dd { (labels::number(counts.published)) }
                dt { (t("bans of other nodes in force here")) } dd { (labels::number(counts.taken)) }
                dt { (t("refused since the start")) } dd { (labels::number(refused)) }
                @if link.behind > 0 {
                    dt { (t("messages to read")) } dd { (labels::number(link.behind)) }
                }
                @if link.unacknowledged > 0 {
                    dt { (t("messages not acknowledged")) } dd { (labels::number(link.unacknowledged)) }
                }
            }
            @if refused > 0 {
                p.soft {
                    @for (nth, (why, count)) in counts.refused.iter().filter(|(_, count)| **count > 0).enumerate() {
                        @if nth > 0 { ", " }
                        (labels::english(&why.replace('_', " "))) " " (labels::number(*count))
                    }
                }
            }
        }
    }
}

fn way(link: &FleetLink) -> Markup {
    html! {
        @match (link.connected, link.stream) {
            (false, _) => span.pill.bad { (t("not connected")) },
            (true, false) => span.pill.warn { (t("connected, does not follow the stream")) },
            (true, true) if link.behind > 0 => span.pill.warn { (t("connected, behind")) },
            (true, true) => span.pill.good { (t("connected")) },
        }
    }
}

fn nodes(frame: &Frame, nodes: &[FleetNode]) -> Markup {
    if nodes.is_empty() {
        return html! { p.empty { (t("No other node seen yet.")) } };
    }
    html! {
        table.rows.wide {
            caption.hidden { (t("Nodes")) }
            thead { tr {
                th scope="col" { (t("Node")) } th scope="col" { (t("Trust")) } th scope="col" { (t("Seen")) }
                th scope="col" { (t("Mode")) } th.num scope="col" { (t("Bans")) } th.num scope="col" { (t("Taken")) }
                th.num scope="col" { (t("Refused")) } th.num scope="col" { (t("Behind")) } th.num scope="col" { (t("Clock")) }
                th scope="col" { (t("Version")) }
            } }
            tbody { @for node in nodes { (row(frame, node)) } }
        }
    }
}

fn row(frame: &Frame, node: &FleetNode) -> Markup {
    html! {
        tr data-key=(node.node) {
            th scope="row" { span.mono { (node.node) } }
            td data-label=(t("Trust")) {
                @match node.standing {
                    NodeStanding::Accept if node.own => span.pill { (t("this node")) },
                    NodeStanding::Accept => span.pill.good { (t("accepted")) },
                    NodeStanding::Shadow => span.pill.warn { (t("shadowed")) },
                    NodeStanding::Ignore => span.pill.bad { (t("ignored")) },
                }
                @if let Some(because) = &node.because { " " span.soft { (labels::english(because)) } }
            }
            td data-label=(t("Seen")) {
                @if let Some(seen) = node.seen { (labels::ago(seen, frame.now)) } @else { "–" }
            }
            td data-label=(t("Mode")) {
                (plain(node.mode.as_deref().unwrap_or("–")))
                @if node.connected == Some(false) { " " span.pill.bad { (t("no FreeSWITCH")) } }
            }
            td.num data-label=(t("Bans")) { (labels::number(node.bans)) }
            td.num data-label=(t("Taken")) { (labels::number(node.taken)) }
            td.num data-label=(t("Refused")) { (labels::number(node.refused)) }
            td.num data-label=(t("Behind")) { @if let Some(behind) = node.behind { (labels::number(behind)) } @else { "–" } }
            td.num data-label=(t("Clock")) {
                @if let Some(ahead) = node.clock_ahead_seconds { (format!("{ahead:+.1} s")) } @else { "–" }
            }
            td data-label=(t("Version")) { (plain(node.version.as_deref().unwrap_or("–"))) }
        }
    }
}
