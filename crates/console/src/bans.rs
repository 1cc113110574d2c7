//! The list of bans; ban and unban.

mod table;

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use sipward_engine::RuleName;

use super::context::ViewContext;
use super::error_page::{self, ErrorPage};
use super::fields::{Asked, Fields, Filled};
use super::forms::{self, Draft, Label};
use super::frame::Frame;
use super::labels;
use super::paging::{ROWS, here, pages};
use sipward_daemon::control::Control;
use sipward_model::wire::{
    BanOrder, BanOrigin, BanPage, BanQuery, BanScope, BanState, Direction, MAX_LIMIT, Net, NewBan,
    ProblemKind, Refusal, Status,
};
use sipward_server::http::error::ApiError;
pub(super) use table::{Columns, rows};

/// The filtered list as files.
const FILES: [(&str, &str); 2] =
    [("/api/v1/bans.csv", "Export CSV"), ("/api/v1/bans.json", "Export JSON")];

/// What the list can be sorted by; the last two where files say where addresses are.
const SORTED: [(&str, &str); 5] = [
    ("since", "start"),
    ("until", "end"),
    ("net", "address"),
    ("country", "country"),
    ("as", "network (AS)"),
];

/// The scopes of a manual ban; the first is the default.
const SCOPES_TO_CHOOSE: [(&str, &str); 3] =
    [("", "default (from the policy)"), ("host", "everything"), ("sip", "SIP ports only")];

/// The list.
pub(super) async fn list(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let page = control.bans(query(&fields)?).await?;
    Ok(show(&frame, &fields, &page, Draft::default()))
}

/// Adds a ban; a refused one comes back with the form and the reason.
pub(super) async fn ban(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let made = async {
        let order = order(&fields, &frame.viewer)?;
        let net = order.net;
        if !fields.has("sure") {
            let healthy = control.healthy(net.0).await?;
            let there = healthy.words();
            // A ban of this host itself is refused later, with its reason.
            if !there.is_empty() && !healthy.is_this_host() {
                let detail = format!("{}. Tick \"Ban anyway\" to ban it", there.join("; "));
                return Err(ApiError::new(ProblemKind::Refused, detail));
            }
        }
        control.ban(order).await?;
        Ok(net)
    };
    match made.await {
        Ok(net) => {
            let net = super::labels::key(&net);
            let mut query = form_urlencoded::Serializer::new(String::new());
            let query = query.append_pair("q", &net).append_pair("done", "banned").finish();
            Ok(forms::go_to(&format!("/bans?{query}")))
        }
        Err(fault) => {
            let nothing = Fields::default();
            let page = control.bans(query(&nothing)?).await?;
            let problem = renamed(fault.problem());
            let draft = Draft { fields: Some(&fields), problem: Some(&problem) };
            Ok((error_page::status(&problem), show(&frame, &nothing, &page, draft)).into_response())
        }
    }
}

/// Lifts the ban whose button was pressed, or the selected ones.
pub(super) async fn unban(
    State(control): State<Control>,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let named: Vec<&str> = match fields.text("only") {
        Some(net) => vec![net],
        None => fields.all("net").take(usize::from(MAX_LIMIT)).collect(),
    };
    let nets = named.into_iter().map(str::parse::<Net>).map(|net| net.map(|net| net.0));
    let nets =
        nets.collect::<Result<Vec<_>, _>>().map_err(|detail| ApiError::field("net", detail))?;
    if nets.is_empty() {
        return Err(ApiError::field("net", "select at least one ban").into());
    }
    let done = control.unban(&nets).await?;
    let back = forms::back(&fields, "/bans");
    let separator = if back.contains('?') { '&' } else { '?' };
    Ok(forms::go_to(&format!("{back}{separator}done=unbanned&count={}", done.count)))
}

/// The query of the list.
fn query(fields: &Fields) -> Result<BanQuery, ApiError> {
    // An address or network is searched as such, anything else as text.
    let net = fields.text("q").and_then(|text| text.parse::<Net>().ok());
    Ok(BanQuery {
        inside: net.filter(|net| !is_host(*net)),
        covering: net.filter(|net| is_host(*net)),
        origin: fields.word("origin")?,
        state: fields.word("state")?,
        scope: fields.word("scope")?,
        rule: fields.word("rule")?,
        search: fields.text("q").filter(|_| net.is_none()).map(str::to_owned),
        country: fields.read("country")?,
        as_number: fields.read("as")?,
        sort: Some(fields.word("sort")?.unwrap_or(BanOrder::Since)),
        order: Some(fields.word("order")?.unwrap_or(Direction::Desc)),
        limit: Some(fields.read("limit")?.unwrap_or(ROWS)),
        cursor: fields.text("cursor").map(str::to_owned),
    })
}

/// The query of an export of the filtered list.
fn export_query(fields: &Fields) -> String {
    let mut export = form_urlencoded::Serializer::new(String::new());
    if let Some(text) = fields.text("q") {
        let name = match text.parse::<Net>() {
            Ok(net) if is_host(net) => "covering",
            Ok(_) => "inside",
            Err(_) => "search",
        };
        export.append_pair(name, text);
    }
    for name in ["origin", "state", "scope", "rule", "country", "as"] {
        if let Some(word) = fields.text(name) {
            export.append_pair(name, word);
        }
    }
    let query = export.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

fn is_host(net: Net) -> bool {
    net.0.prefix_len() == net.0.max_prefix_len()
}

/// The ban that the form describes.
fn order(fields: &Fields, viewer: &ViewContext) -> Result<NewBan, ApiError> {
    let Some(net) = fields.read("net")? else {
        return Err(ApiError::field("net", "enter an address or a network"));
    };
    Ok(NewBan {
        net,
        ban_time_seconds: fields.read::<Length>("for")?.map(|length| length.0.as_secs()),
        scope: fields.word("scope")?,
        permanent: fields.has("permanent"),
        reason: fields.text("reason").map(str::to_owned),
        force: fields.has("force"),
        spare: viewer.address.into_iter().collect(),
    })
}

/// `90s`, `10m`, `2h`, `7d`.
struct Length(Duration);

impl std::str::FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        sipward_model::text::read_span(text).map(Self)
    }
}

/// The form's name for a field, where the API has another.
fn renamed(problem: &sipward_model::wire::Problem) -> sipward_model::wire::Problem {
    let mut problem = problem.clone();
    for error in &mut problem.errors {
        if error.field == "ban_time_seconds" {
            "for".clone_into(&mut error.field);
        }
    }
    problem
}

fn show(frame: &Frame, fields: &Fields, page: &BanPage, draft: Draft<'_>) -> Markup {
    let here = here("/bans", fields);
    let export = export_query(fields);
    let body = html! {
        (forms::done(fields))
        @if let Some(problem) = draft.problem { (error_page::banner(problem)) }
        div.head {
            h1 { "Bans" }
            p.soft #total data-live="" {
                (labels::count(page.total, "ban"))
                @if ["q", "rule", "state", "scope", "origin", "country", "as"].iter().any(|name| fields.has(name)) {
                    " match"
                }
                (flows(&frame.status))
            }
        }
        @if frame.viewer.may_write { (ban_form(draft)) }
        (filter(fields, page.located))
        form method="post" action="/bans/unban" {
            input type="hidden" name="back" value=(here);
            div.tools {
                // The first button of the form: Enter presses it.
                @if frame.viewer.may_write {
                    button type="submit" { "Unban selected" }
                }
                @for (path, text) in FILES {
                    a.button.quiet download href={ (path) (export) } { (text) }
                }
            }
            div #bans data-live="" { (rows(frame, &page.items, &Columns::all(fields))) }
        }
        (pages("/bans", fields, page.next.as_deref()))
    };
    frame.page("/bans", "Bans", Some(&here), &body)
}

/// The number of denied flows, with a link to them.
pub(super) fn flows(status: &Status) -> Markup {
    html! {
        @if status.bans.flows > 0 {
            " · " a href="/flows" { (labels::count(status.bans.flows, "flow")) " denied" }
        }
    }
}

fn ban_form(draft: Draft<'_>) -> Markup {
    let refusal = draft.problem.and_then(|problem| problem.refusal.as_ref());
    html! {
        details.card #ban open[draft.problem.is_some()] {
            summary { "Ban an address or a network" }
            form.fill method="post" action="/bans" {
                (draft.line(&Label {
                    name: "net",
                    text: "Address or network",
                    example: "203.0.113.7 or 203.0.113.0/24",
                    required: true,
                    most: 64,
                    ..Label::default()
                }))
                (draft.line(&Label {
                    name: "for",
                    text: "Duration",
                    example: "2h",
                    hint: "For example 10m, 2h or 7d. Empty: the ban time of the policy.",
                    most: 64,
                    ..Label::default()
                }))
                div.field {
                    label for="ban-scope" { "Scope" }
                    select id="ban-scope" name="scope" aria-describedby="ban-scope-hint" {
                        @for (value, text) in &SCOPES_TO_CHOOSE {
                            option value=(value) selected[draft.choice("scope") == *value] { (text) }
                        }
                    }
                    p.hint #ban-scope-hint {
                        "SIP ports only: web, mail and SSH of this server remain reachable from there."
                    }
                }
                (draft.line(&Label {
                    name: "reason",
                    text: "Reason",
                    hint: "Shown in the list and in the history.",
                    most: 500,
                    ..Label::default()
                }))
                (draft.tick("permanent", "Permanent"))
                @if refusal.is_some_and(|refusal: &Refusal| refusal.force_overrides) {
                    (draft.tick("force", "Override and ban"))
                }
                @if draft.problem.is_some_and(|problem| problem.kind == ProblemKind::Refused) {
                    (draft.tick("sure", "Ban anyway"))
                }
                button type="submit" { "Ban" }
            }
        }
    }
}

/// The sort order, for small screens, whose tables have no head.
fn sorting(fields: &Fields, located: bool) -> Markup {
    let chosen = (fields.text("sort").unwrap_or("since"), fields.text("order").unwrap_or("desc"));
    html! {
        div.field {
            label for="sort" { "Sort by" }
            select id="sort" name="sort" {
                @for (value, words) in SORTED.into_iter().take(if located { SORTED.len() } else { 3 }) {
                    option value=(value) selected[chosen.0 == value] { (words) }
                }
            }
        }
        div.field {
            label for="order" { "Order" }
            select id="order" name="order" {
                @for (value, words) in [("desc", "latest first"), ("asc", "earliest first")] {
                    option value=(value) selected[chosen.1 == value] { (words) }
                }
            }
        }
    }
}

fn filter(fields: &Fields, located: bool) -> Markup {
    let origins =
        forms::options(&[BanOrigin::Automatic, BanOrigin::Manual, BanOrigin::Forced], |origin| {
            labels::origin(origin).to_owned()
        });
    let states = forms::options(
        &[BanState::Pending, BanState::Enforced, BanState::Ineffective, BanState::Failed],
        |state| labels::word(&state),
    );
    let scopes =
        forms::options(&[BanScope::Host, BanScope::Sip], |scope| labels::scope(scope).to_owned());
    let rules = forms::options(&RuleName::ALL, |rule| labels::rule(rule).to_owned());
    html! {
        form.filter method="get" action="/bans" role="search" aria-label="Search the bans" {
            div.field.wide {
                label for="q" { "Search" }
                input type="search" id="q" name="q" value=(fields.text("q").unwrap_or_default())
                    maxlength="100" placeholder="address, network, user, user agent, reason"
                    autocomplete="off" spellcheck="false";
            }
            (forms::choice("rule", "Rule", fields.text("rule"), &rules))
            (forms::choice("origin", "Origin", fields.text("origin"), &origins))
            (forms::choice("state", "State", fields.text("state"), &states))
            (forms::choice("scope", "Scope", fields.text("scope"), &scopes))
            @if located { (table::place_fields(fields)) }
            (sorting(fields, located))
            button type="submit" { "Search" }
        }
    }
}
