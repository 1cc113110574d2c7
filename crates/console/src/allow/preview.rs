//! What an entry of the allow list would mean.

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
            p.soft { "Nothing is changed yet." }
        }
        section.card {
            h2 { "What it would mean" }
            @if *already { p { "It is on the list already." } }
            @if let Some(error) = name_error {
                p.notice.warn {
                    "Its name cannot be looked up: " (plain(error))
                    " It is allowed as soon as that succeeds."
                }
            }
            dl.pairs {
                @if !nets.is_empty() { dt { "Stands for" } dd { (list(nets, nets.len() as u64)) } }
                dt { "Bans that end" }
                dd {
                    strong { (labels::number(meant.ended_total)) }
                    (listed(&meant.ended, meant.ended_total))
                }
                @if meant.left_total > 0 {
                    dt { "Left of them" }
                    dd {
                        (labels::count(meant.left_total, "ban")) " for what is around it"
                        (listed(&meant.left, meant.left_total))
                    }
                }
                @if meant.staying_total > 0 {
                    dt { "Stay" }
                    dd {
                        (labels::count(meant.staying_total, "ban")) " by hand, which outrank the list"
                        (listed(&meant.staying, meant.staying_total))
                    }
                }
            }
            p { "From then on no rule bans it." }
        }
        @if frame.viewer.may_write {
            form.card method="post" action="/allow" {
                input type="hidden" name="host" value=(Shown(host));
                input type="hidden" name="comment" value=(comment);
                @if !comment.is_empty() { p { "Why: " (plain(comment)) } }
                p.actions {
                    button type="submit" { "Allow it" }
                    a.button.quiet href="/allow" { "Leave it as it is" }
                }
            }
        }
    };
    frame.page("/allow", "What it would mean", None, &body)
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
