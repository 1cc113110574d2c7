//! Bans as rows of a table.

use maud::{Markup, html};

use super::super::fields::Fields;
use super::super::frame::Frame;
use super::super::labels::{self, Shown};
use super::super::language::{en, t};
use super::super::paging::SAID;
use sipward_model::text::Plain;
use sipward_model::wire::{Ban, BanScope, CountryCode, Location};

/// What a table of bans shows besides the bans.
#[derive(Clone, Copy, Default)]
pub(crate) struct Columns<'a> {
    /// Checkboxes and buttons.
    acts: bool,
    /// The query of this page; the column heads change its order.
    sorts: Option<&'a Fields>,
    caption: &'a str,
}

impl<'a> Columns<'a> {
    /// Everything.
    pub(super) fn all(fields: &'a Fields) -> Self {
        Self { acts: true, sorts: Some(fields), caption: t("Active bans") }
    }

    /// Read only.
    pub(crate) fn plain(caption: &'a str) -> Self {
        Self { caption, ..Self::default() }
    }
}

/// Bans as rows, or a note that there are none.
pub(crate) fn rows(frame: &Frame, bans: &[Ban], columns: &Columns<'_>) -> Markup {
    let acts = columns.acts && frame.viewer.may_write;
    let located = bans.iter().any(|ban| ban.location.is_some());
    let shared = bans.iter().any(|ban| ban.cause.remote.is_some());
    if bans.is_empty() {
        let there = columns.sorts.is_some_and(|fields| fields.has("q"));
        return html! { p.empty { @if there { (t("No matching bans.")) } @else { (t("No bans.")) } } };
    }
    html! {
        table.rows.wide.two {
            caption.hidden { (columns.caption) }
            thead {
                tr {
                    @if acts {
                        th.tick scope="col" {
                            input #all type="checkbox" aria-label=(t("Select all on this page"))
                                autocomplete="off";
                        }
                    }
                    (head(columns, t("Address"), "net", "asc"))
                    @if located {
                        (head(columns, t("Country"), "country", "asc"))
                        (head(columns, t("Network (AS)"), "as", "asc"))
                    }
                    @if shared { th scope="col" { (t("From")) } }
                    th scope="col" { (t("Reason")) }
                    (head(columns, t("Since"), "since", "desc"))
                    (head(columns, t("Remaining"), "until", "asc"))
                    th scope="col" { (t("State")) }
                    @if acts { th scope="col" { span.hidden { (t("Action")) } } }
                }
            }
            tbody { @for ban in bans { (row(frame, ban, acts, (located, shared))) } }
        }
    }
}

/// `located` and `shared`: with columns for the place and for the node that decided.
fn row(frame: &Frame, ban: &Ban, acts: bool, (located, shared): (bool, bool)) -> Markup {
    let net = labels::bare_net(ban.net);
    html! {
        tr data-key=(Shown(ban.net)) {
            @if acts {
                td.tick {
                    input type="checkbox" name="net" value=(Shown(ban.net))
                        aria-label=(t!("Select {net}", net = net));
                }
            }
            th scope="row" { (labels::net(ban.net)) }
            @if located { (place(ban.location.as_ref())) }
            @if shared {
                td data-label=(t("From")) {
                    @if let Some(said) = &ban.cause.remote { span.mono { (Shown(said.peer)) } }
                }
            }
            td.second data-label=(t("Reason")) { (labels::cause(&ban.cause)) }
            td data-label=(t("Since")) { (labels::ago(ban.since, frame.now)) }
            td.num.end data-label=(t("Remaining")) {
                @match ban.remaining_seconds {
                    Some(left) => (labels::span_of(left)),
                    None => (t("permanent")),
                }
            }
            td.shown[ban.error.is_some() || ban.scope == BanScope::Sip] data-label=(t("State")) {
                (labels::state(ban.state, frame.status.mode))
                @if ban.scope == BanScope::Sip { " " span.pill { (t("SIP ports only")) } }
                @if let Some(error) = &ban.error { " " span.soft { (labels::english(error)) } }
            }
            @if acts {
                td.act {
                    button.quiet name="only" value=(Shown(ban.net))
                        aria-label=(t!("Unban {net}", net = net)) {
                        (t("Unban"))
                    }
                }
            }
        }
    }
}

/// Country and network of a ban, each a link to the bans there.
fn place(location: Option<&Location>) -> Markup {
    let country = location.and_then(|location| {
        let code = location.country.as_ref()?.parse::<CountryCode>().ok()?;
        Some((code, location.country_name.as_deref()))
    });
    let network = location.and_then(|location| Some((location.as_number?, &location.as_name)));
    html! {
        td data-label=(t("Country")) {
            @if let Some((code, name)) = country {
                a href={ "/bans?country=" (code.as_str()) } title=[name.map(|name| Shown(Plain(name)))] {
                    (code.as_str())
                }
            }
        }
        td data-label=(t("Network")) {
            @if let Some((number, name)) = network {
                a href={ "/bans?as=" (number) } { "AS" (number) }
                @if let Some(name) = name { " " span.soft { (labels::plain(name)) } }
            }
        }
    }
}

/// Filters by place: the field, its title, an example, and the longest value.
pub(crate) const PLACES: [(&str, &str, &str, u8); 2] =
    [("country", en("Country"), "DE", 2), ("as", en("Network (AS)"), "64500", 10)];

/// The fields that search by country and network.
pub(crate) fn place_fields(fields: &Fields) -> Markup {
    html! {
        @for (name, text, example, most) in PLACES {
            div.field {
                label for=(name) { (t(text)) }
                input type="text" id=(name) name=(name) placeholder=(example) maxlength=(most)
                    value=(fields.text(name).unwrap_or_default()) autocomplete="off"
                    spellcheck="false";
            }
        }
    }
}

/// A column head, which sorts the table where possible.
fn head(columns: &Columns<'_>, text: &str, name: &str, first: &str) -> Markup {
    let Some(fields) = columns.sorts else {
        return html! { th scope="col" { (text) } };
    };
    let sorted = fields.text("sort").unwrap_or("since") == name;
    let order = fields.text("order").unwrap_or(if sorted { "desc" } else { "asc" });
    let (aria, other) = match (sorted, order) {
        (false, _) => (None, first),
        (true, "desc") => (Some("descending"), "asc"),
        (true, _) => (Some("ascending"), "desc"),
    };
    let changes = [("sort", name), ("order", other), ("cursor", "")];
    let changes: Vec<_> = SAID.into_iter().chain(changes).collect();
    let query = fields.query_with(&changes);
    html! {
        th scope="col" aria-sort=[aria] { a href={ "/bans?" (query) } { (text) } }
    }
}
