//! The preview of an entry of the allow list.

use ipnet::IpNet;
use maud::{Markup, html};

use super::super::frame::Frame;
use super::super::labels::{self, Shown, plain};
use super::super::language::{t, tn};
use sipward_model::wire::AllowPreview;

pub(super) fn page(frame: &Frame, meant: &AllowPreview, comment: &str) -> Markup {
    let AllowPreview { host, already, nets, name_error, .. } = meant;
    let body = html! {
        div.head {
            h1 { (t!("Allow {host}?", host = html! { span.mono { (Shown(host)) } })) }
            p.soft { (t("Nothing is applied yet.")) }
        }
        section.card {
            h2 { (t("Preview")) }
            @if *already { p { (t("It is already on the list.")) } }
            @if let Some(error) = name_error {
                p.notice.warn {
                    (t!(
                        "The name cannot be resolved: {error} The entry applies as soon as it resolves.",
                        error = labels::english(error),
                    ))
                }
            }
            dl.pairs {
                @if !nets.is_empty() { dt { (t("Addresses")) } dd { (list(nets, nets.len() as u64)) } }
                dt { (t("Bans to lift")) }
                dd {
                    strong { (labels::number(meant.ended_total)) }
                    (listed(&meant.ended, meant.ended_total))
                }
                @if meant.left_total > 0 {
                    dt { (t("Remaining parts")) }
                    dd {
                        (tn!(
                            meant.left_total,
                            "{n} ban for the networks around it",
                            "{n} bans for the networks around it",
                        ))
                        (listed(&meant.left, meant.left_total))
                    }
                }
                @if meant.staying_total > 0 {
                    dt { (t("Remain")) }
                    dd {
                        (tn!(
                            meant.staying_total,
                            "{n} ban made manually, which takes precedence over the list",
                            "{n} bans made manually, which take precedence over the list",
                        ))
                        (listed(&meant.staying, meant.staying_total))
                    }
                }
            }
            p { (t("No rule bans it afterwards.")) }
        }
        @if frame.viewer.may_write {
            form.card method="post" action="/allow" {
                input type="hidden" name="host" value=(Shown(host));
                input type="hidden" name="comment" value=(comment);
                @if !comment.is_empty() { p { (t!("Reason: {reason}", reason = plain(comment))) } }
                p.actions {
                    button type="submit" { (t("Apply")) }
                    a.button.quiet href="/allow" { (t("Cancel")) }
                }
            }
        }
    };
    frame.page("/allow", t("Preview"), None, &body)
}

fn listed(nets: &[IpNet], total: u64) -> Markup {
    html! { @if !nets.is_empty() { ": " (list(nets, total)) } }
}

fn list(nets: &[IpNet], total: u64) -> Markup {
    html! {
        @for (place, net) in nets.iter().enumerate() { @if place > 0 { ", " } (labels::net(*net)) }
        @if total > nets.len() as u64 { " " (t("and more")) }
    }
}
