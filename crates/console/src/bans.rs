//! The list of bans; ban and unban.

mod confirm;
mod table;

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use maud::{Markup, html};
use sipward_engine::RuleName;

use super::context::ViewContext;
use super::error_page::{self, ErrorPage};
use super::fields::{Asked, Fields, Filled};
use super::forms::{self, Draft, Label};
use super::frame::Frame;
use super::labels;
use super::language::{en, t, tn};
use super::paging::{self, ROWS, here, pages};
use super::undo;
use sipward_daemon::control::{Control, ControlError};
use sipward_model::text::api_name;
use sipward_model::wire::{
    BanOrder, BanOrigin, BanPage, BanQuery, BanScope, BanState, Direction, MAX_LIMIT, Net, NewBan,
    Refusal, Status,
};
use sipward_server::http::error::ApiError;
pub(super) use table::{Columns, PLACES, place_fields, rows};

/// The filtered list as files.
const FILES: [(&str, &str); 2] =
    [("/api/v1/bans.csv", en("Export CSV")), ("/api/v1/bans.json", en("Export JSON"))];

/// What the list can be sorted by; the last two where files say where addresses are.
const SORTED: [(&str, &str); 5] = [
    ("since", en("start")),
    ("until", en("end")),
    ("net", en("address")),
    ("country", en("country")),
    ("as", en("network (AS)")),
];

/// The scopes of a manual ban; the first is the default.
const SCOPES_TO_CHOOSE: [(&str, &str); 3] = [
    ("", en("default (from the policy)")),
    ("host", en("everything")),
    ("sip", en("SIP ports only")),
];

/// The list.
pub(super) async fn list(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Response, ErrorPage> {
    let listed = async { Ok::<_, ApiError>(control.bans(query(&fields)?).await?) };
    match listed.await {
        Ok(page) => {
            let said = undo::done(&control, &frame, &fields, &here("/bans", &fields));
            Ok(show(&frame, &fields, &page, &said, Draft::default()).into_response())
        }
        Err(fault) => with_problem(&control, &frame, &fields, &fault).await,
    }
}

/// The list with an error above it.
async fn with_problem(
    control: &Control,
    frame: &Frame,
    fields: &Fields,
    fault: &ApiError,
) -> Result<Response, ErrorPage> {
    let problem = fault.problem();
    let page = match query(fields) {
        Ok(query) => control.bans(query).await,
        Err(_) => control.bans(query(&Fields::default())?).await,
    };
    let page = match page {
        Err(ControlError::Invalid(_)) => control.bans(query(&Fields::default())?).await?,
        page => page?,
    };
    let said = error_page::banner(problem);
    let shown = show(frame, fields, &page, &said, Draft::default());
    Ok((error_page::status(problem), shown).into_response())
}

/// Adds a ban. A ban of hosts that are no strangers is confirmed first; a refused one comes back with the form and
/// the reason.
pub(super) async fn ban(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let made = async {
        let order = order(&fields, &frame.viewer)?;
        let net = order.net;
        if fields.text("sure") != Some(&api_name(&net)) {
            let healthy = control.healthy(net.0).await?;
            // A ban of this host itself is refused, which a confirmation would not change.
            if !healthy.hosts.is_empty() && !healthy.covers_this_host() {
                return Ok(confirm::page(&frame, &fields, &healthy).into_response());
            }
        }
        let (_, undo) = control.ban_with_undo(order).await?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &api_name(&net));
        let list = format!("/bans?{}", query.finish());
        let mut said = form_urlencoded::Serializer::new(String::new());
        said.append_pair("done", "banned");
        if let Some(undo) = undo {
            said.append_pair("undo", &undo.to_string());
        }
        Ok::<_, ApiError>(forms::go_to(&forms::with(forms::back(&fields, &list), &said.finish())))
    };
    match made.await {
        Ok(answer) => Ok(answer),
        Err(fault) => {
            let nothing = Fields::default();
            let page = control.bans(query(&nothing)?).await?;
            let problem = renamed(fault.problem());
            let draft = Draft { fields: Some(&fields), problem: Some(&problem) };
            let said = error_page::banner(&problem);
            let shown = show(&frame, &nothing, &page, &said, draft);
            Ok((error_page::status(&problem), shown).into_response())
        }
    }
}

/// Lifts the ban whose button was pressed, or the selected ones.
pub(super) async fn unban(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let back = forms::back(&fields, "/bans");
    let lifted = async {
        let nets = selected(&fields)?;
        Ok::<_, ApiError>(control.unban_with_undo(&nets).await?)
    };
    match lifted.await {
        Ok((unbanned, undo)) => {
            let undo = undo.map(|undo| format!("&undo={undo}")).unwrap_or_default();
            let said = format!("done=unbanned&count={}{undo}", unbanned.count);
            Ok(forms::go_to(&forms::with(back, &said)))
        }
        Err(fault) => {
            let query = back.strip_prefix("/bans").and_then(|rest| rest.strip_prefix('?'));
            let fields = Fields::parse(query.unwrap_or_default().as_bytes())?;
            with_problem(&control, &frame, &fields, &fault).await
        }
    }
}

/// The networks that the form names.
fn selected(fields: &Fields) -> Result<Vec<IpNet>, ApiError> {
    let named: Vec<&str> = match fields.text("only") {
        Some(net) => vec![net],
        None => fields.all("net").take(usize::from(MAX_LIMIT)).collect(),
    };
    if named.is_empty() {
        return Err(ApiError::field("net", en("select at least one ban")));
    }
    let nets = named.into_iter().map(str::parse::<Net>).map(|net| net.map(|net| net.0));
    nets.collect::<Result<_, _>>().map_err(|detail| ApiError::field("net", detail))
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
        return Err(ApiError::field("net", en("enter an address or a network")));
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

fn show(frame: &Frame, fields: &Fields, page: &BanPage, said: &Markup, draft: Draft<'_>) -> Markup {
    let here = here("/bans", fields);
    let export = export_query(fields);
    let body = html! {
        (said)
        div.head {
            h1 { (t("Bans")) }
            p.soft #total data-live="" {
                @if ["q", "rule", "state", "scope", "origin", "country", "as"].iter().any(|name| fields.has(name)) {
                    (tn!(page.total, "{n} ban matches", "{n} bans match"))
                } @else { (labels::count(page.total, "ban")) }
                (flows(&frame.status))
            }
        }
        @if frame.viewer.may_write { (ban_form(draft)) }
        (filter(fields, page.located))
        (chips(fields))
        form method="post" action="/bans/unban" {
            input type="hidden" name="back" value=(here);
            div.tools {
                // The first button of the form: Enter presses it.
                @if frame.viewer.may_write {
                    button #bulk type="submit" { (t("Unban selected")) }
                }
                @for (path, text) in FILES {
                    a.button.quiet download href={ (path) (export) } { (t(text)) }
                }
            }
            div #bans data-live="" { (rows(frame, &page.items, &Columns::all(fields))) }
        }
        (pages("/bans", fields, page.next.as_deref()))
    };
    frame.page("/bans", t("Bans"), Some(&here), &body)
}

/// The number of denied flows, with a link to them.
pub(super) fn flows(status: &Status) -> Markup {
    html! {
        @if status.bans.flows > 0 {
            " · " a href="/flows" { (tn!(status.bans.flows, "{n} flow denied", "{n} flows denied")) }
        }
    }
}

fn ban_form(draft: Draft<'_>) -> Markup {
    let refusal = draft.problem.and_then(|problem| problem.refusal.as_ref());
    html! {
        details.card #ban open[draft.problem.is_some()] {
            summary { (t("Ban an address or a network")) }
            form.fill method="post" action="/bans" {
                (draft.line(&Label {
                    name: "net",
                    text: t("Address or network"),
                    example: t("203.0.113.7 or 203.0.113.0/24"),
                    required: true,
                    most: 64,
                    ..Label::default()
                }))
                (draft.line(&Label {
                    name: "for",
                    text: t("Duration"),
                    example: "2h",
                    hint: t("For example 10m, 2h or 7d. Empty: the ban time of the policy."),
                    most: 64,
                    ..Label::default()
                }))
                div.field {
                    label for="ban-scope" { (t("Scope")) }
                    select id="ban-scope" name="scope" aria-describedby="ban-scope-hint" {
                        @for (value, text) in &SCOPES_TO_CHOOSE {
                            option value=(value) selected[draft.choice("scope") == *value] { (t(text)) }
                        }
                    }
                    p.hint #ban-scope-hint {
                        (t("SIP ports only: web, mail and SSH of this server remain reachable from there."))
                    }
                }
                (draft.line(&Label {
                    name: "reason",
                    text: t("Reason"),
                    hint: t("Shown in the list and in the history."),
                    most: 500,
                    ..Label::default()
                }))
                (draft.tick("permanent", t("Permanent")))
                @if refusal.is_some_and(|refusal: &Refusal| refusal.force_overrides) {
                    (draft.tick("force", t("Override and ban")))
                }
                // What was confirmed for one network holds for no other.
                @if let Some(sure) = draft.fields.and_then(|fields| fields.text("sure")) {
                    input type="hidden" name="sure" value=(sure);
                }
                button type="submit" { (t("Ban")) }
            }
        }
    }
}

/// The sort order, for small screens, whose tables have no head.
fn sorting(fields: &Fields, located: bool) -> Markup {
    let chosen = (fields.text("sort").unwrap_or("since"), fields.text("order").unwrap_or("desc"));
    html! {
        div.field {
            label for="sort" { (t("Sort by")) }
            select id="sort" name="sort" {
                @for (value, words) in SORTED.into_iter().take(if located { SORTED.len() } else { 3 }) {
                    option value=(value) selected[chosen.0 == value] { (t(words)) }
                }
            }
        }
        div.field {
            label for="order" { (t("Order")) }
            select id="order" name="order" {
                @for (value, words) in [("desc", t("latest first")), ("asc", t("earliest first"))] {
                    option value=(value) selected[chosen.1 == value] { (words) }
                }
            }
        }
    }
}

/// A filter: its field, its title, and its values with their words.
type Choice = (&'static str, &'static str, Vec<(String, String)>);

/// The filters other than the search.
fn filters() -> [Choice; 4] {
    let origins = [BanOrigin::Automatic, BanOrigin::Manual, BanOrigin::Forced, BanOrigin::Remote];
    let states = [BanState::Pending, BanState::Enforced, BanState::Ineffective, BanState::Failed];
    let scopes = [BanScope::Host, BanScope::Sip];
    [
        ("rule", t("Rule"), forms::options(&RuleName::ALL, |rule| labels::rule(rule).to_owned())),
        ("origin", t("Origin"), forms::options(&origins, |it| labels::origin(it).to_owned())),
        (
            "state",
            t("State"),
            forms::options(&states, |state| labels::state_word(state).to_owned()),
        ),
        ("scope", t("Scope"), forms::options(&scopes, |it| labels::scope(it).to_owned())),
    ]
}

fn filter(fields: &Fields, located: bool) -> Markup {
    html! {
        form.filter method="get" action="/bans" role="search" aria-label=(t("Search the bans")) {
            div.field.wide {
                label for="q" { (t("Search")) }
                input type="search" id="q" name="q" value=(fields.text("q").unwrap_or_default())
                    maxlength="100" placeholder=(t("address, network, user, user agent, reason"))
                    autocomplete="off" spellcheck="false";
            }
            button type="submit" { (t("Search")) }
            details.fold {
                summary { (t("Filter and sort")) }
                div {
                    @for (name, text, options) in &filters() {
                        (forms::choice(name, text, fields.text(name), options))
                    }
                    @if located { (place_fields(fields)) }
                    (sorting(fields, located))
                    (paging::length(fields))
                }
            }
        }
    }
}

/// The filters that are in use, each with a link to the list without it.
fn chips(fields: &Fields) -> Markup {
    let search = fields.text("q").map(|text| ("q", t("Search"), text.to_owned()));
    let chosen = filters().into_iter().filter_map(|(name, title, options)| {
        let value = fields.text(name)?;
        let (_, words) = options.into_iter().find(|(option, _)| option == value)?;
        Some((name, title, words))
    });
    let places = PLACES.into_iter().filter_map(|(name, title, ..)| {
        fields.text(name).map(|text| (name, t(title), text.to_owned()))
    });
    let active: Vec<_> = search.into_iter().chain(chosen).chain(places).collect();
    paging::chips("/bans", fields, &active)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_in_use_can_be_removed_alone() {
        let fields = b"q=%3Cb%3E&rule=flood&scope=sip&cursor=9&done=banned&state=bogus";
        let shown = chips(&Fields::parse(fields).unwrap()).into_string();
        assert!(shown.contains("&lt;b&gt;") && shown.contains("SIP ports only"), "{shown}");
        assert!(
            shown.contains("href=\"/bans?q=%3Cb%3E&amp;scope=sip&amp;state=bogus\""),
            "{shown}"
        );
        assert_eq!(shown.matches("Remove filter").count(), 3);
        assert_eq!(chips(&Fields::default()).into_string(), "");
    }

    #[test]
    fn an_unban_needs_a_selection_and_takes_the_pressed_button_before_it() {
        let of = |text: &[u8]| selected(&Fields::parse(text).unwrap());
        assert_eq!(
            of(b"back=/bans").unwrap_err().problem().errors[0].detail,
            "select at least one ban"
        );
        assert_eq!(of(b"net=192.0.2.1&net=192.0.2.2").unwrap().len(), 2);
        assert_eq!(of(b"net=192.0.2.1&only=192.0.2.2").unwrap(), ["192.0.2.2/32".parse().unwrap()]);
        assert!(of(b"net=nowhere").is_err());
    }
}
