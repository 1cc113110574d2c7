//! The confirmation of a ban that covers known, registered or exempt hosts.

use maud::{Markup, html};

use super::super::fields::Fields;
use super::super::forms;
use super::super::frame::Frame;
use super::super::labels;
use super::super::language::{t, text};
use sipward_model::text::api_name;
use sipward_model::wire::Healthy;

/// Fields of the form that the confirmation passes on.
const CARRIED: [&str; 7] = ["net", "for", "scope", "reason", "permanent", "force", "back"];

/// Who is there, and whether to ban anyway.
pub(super) fn page(frame: &Frame, fields: &Fields, healthy: &Healthy) -> Markup {
    let title = text!("Ban {net}?", net = labels::bare_net(healthy.net.0).into_string());
    let body = html! {
        section.card.narrow aria-labelledby="confirm-title" {
            h1 #confirm-title { (title) }
            div.notice.warn role="alert" {
                p { (t("This ban covers hosts that are not strangers:")) }
                ul { @for line in labels::healthy(healthy) { li { (line) } } }
            }
            @if !healthy.unknown.is_empty() {
                p {
                    @let unknown = healthy.unknown.join(", ");
                    (t!(
                        "Not known of FreeSWITCH at the moment: {what}. More hosts may be there.",
                        what = labels::english(&unknown),
                    ))
                }
            }
            p { (t("Their calls and registrations stop until the ban ends or is lifted.")) }
            form method="post" action="/bans" {
                @for name in CARRIED {
                    @if let Some(value) = fields.text(name) {
                        input type="hidden" name=(name) value=(value);
                    }
                }
                input type="hidden" name="sure" value=(api_name(&healthy.net));
                div.actions {
                    button.danger type="submit" { (t("Ban anyway")) }
                    a.button.quiet href=(forms::back(fields, "/bans")) { (t("Cancel")) }
                }
            }
        }
    };
    frame.page("/bans", &title, None, &body)
}
