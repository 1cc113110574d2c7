//! The preview of an entry of the allow list.

use ipnet::IpNet;
use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels::{self, Shown, plain};
use sipward_model::wire::AllowPreview;

pub(super) fn page(frame: &Frame, meant: &AllowPreview, comment: &str) -> Markup {
    let AllowPreview { host, already, nets, name_error, .. } = meant;
    let body = html! {
        div.head {
            h1 { "Allow " span.mono { (Shown(host)) } "?" }
            p.soft { "Nothing is applied yet." }
        }
        section.card {
            h2 { "Preview" }
            @if *already { p { "It is already on the list." } }
            @if let Some(error) = name_error {
                p.notice.warn {
                    "The name cannot be resolved: " (plain(error))
                    " The entry applies as soon as it resolves."
                }
            }
            dl.pairs {
                @if !nets.is_empty() { dt { "Addresses" } dd { (list(nets, nets.len() as u64)) } }
                dt { "Bans to lift" }
                dd {
                    strong { (labels::number(meant.ended_total)) }
                    (listed(&meant.ended, meant.ended_total))
                }
                @if meant.left_total > 0 {
                    dt { "Remaining parts" }
                    dd {
                        (labels::count(meant.left_total, "ban")) " for the networks around it"
                        (listed(&meant.left, meant.left_total))
                    }
                }
                @if meant.staying_total > 0 {
                    dt { "Remain" }
                    dd {
                        (labels::count(meant.staying_total, "ban")) " made manually, which take precedence over the list"
                        (listed(&meant.staying, meant.staying_total))
                    }
                }
            }
            p { "No rule bans it afterwards." }
        }
        @if frame.viewer.may_write {
            form.card method="post" action="/allow" {
                input type="hidden" name="host" value=(Shown(host));
                input type="hidden" name="comment" value=(comment);
                @if !comment.is_empty() { p { "Reason: " (plain(comment)) } }
                p.actions {
                    button type="submit" { "Apply" }
                    a.button.quiet href="/allow" { "Cancel" }
                }
            }
        }
    };
    frame.page("/allow", "Preview", None, &body)
}

fn listed(nets: &[IpNet], total: u64) -> Markup {
    html! { @if !nets.is_empty() { ": " (list(nets, total)) } }
}

fn list(nets: &[IpNet], total: u64) -> Markup {
    html! {
        @for (place, net) in nets.iter().enumerate() { @if place > 0 { ", " } (labels::net(*net)) }
        @if total > nets.len() as u64 { " and more" }
    }
}
