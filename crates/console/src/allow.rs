//! The allow list. An entry is previewed before it is added.

mod preview;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::error_page::{self, ErrorPage};
use super::fields::{Asked, Fields, Filled};
use super::forms::{self, Draft, Label};
use super::frame::Frame;
use super::labels::{self, Shown, plain};
use super::language::{en, t};
use super::paging::{ROWS, here, pages};
use sipward_config::HostEntry;
use sipward_daemon::control::Control;
use sipward_model::wire::{AllowEntry, AllowOrigin, AllowPage, AllowQuery, NewAllow, Problem};
use sipward_server::http::error::ApiError;

pub(super) async fn list(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let page = control.allow_list(query(&fields)?).await?;
    Ok(show(&frame, &fields, &page, Draft::default()))
}

pub(super) async fn add(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let added = async {
        let new = entry(&fields)?;
        Ok::<_, ApiError>(control.allow(new).await?)
    };
    match added.await {
        Ok((_, changed)) => {
            let (count, staying) = (changed.count, changed.staying_total);
            Ok(forms::go_to(&format!("/allow?done=allowed&count={count}&staying={staying}")))
        }
        Err(fault) => again(&control, &frame, &fields, fault.problem()).await,
    }
}

/// The effect of an entry.
pub(super) async fn preview(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let meant = async {
        let new = entry(&fields)?;
        Ok::<_, ApiError>(control.preview_allow(new).await?)
    };
    match meant.await {
        Ok(meant) => {
            let comment = fields.text("comment").unwrap_or_default();
            Ok(preview::page(&frame, &meant, comment).into_response())
        }
        Err(fault) => again(&control, &frame, &fields, fault.problem()).await,
    }
}

pub(super) async fn remove(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let removed = async {
        let host = fields.text("remove").unwrap_or_default().parse::<HostEntry>();
        let host = host.map_err(|error| ApiError::field("host", error))?;
        Ok::<_, ApiError>(control.disallow(&host).await?)
    };
    match removed.await {
        Ok(_) => Ok(forms::go_to("/allow?done=disallowed")),
        Err(fault) => again(&control, &frame, &Fields::default(), fault.problem()).await,
    }
}

/// The list again, with the error.
async fn again(
    control: &Control,
    frame: &Frame,
    fields: &Fields,
    problem: &Problem,
) -> Result<Response, ErrorPage> {
    let nothing = Fields::default();
    let page = control.allow_list(query(&nothing)?).await?;
    let draft = Draft { fields: Some(fields), problem: Some(problem) };
    Ok((error_page::status(problem), show(frame, &nothing, &page, draft)).into_response())
}

fn query(fields: &Fields) -> Result<AllowQuery, ApiError> {
    let cursor = fields.text("cursor").map(str::to_owned);
    Ok(AllowQuery { origin: fields.word("origin")?, limit: Some(ROWS), cursor })
}

fn entry(fields: &Fields) -> Result<NewAllow, ApiError> {
    let Some(host) = fields.read("host")? else {
        return Err(ApiError::field("host", en("enter an address, a network or a DNS name")));
    };
    Ok(NewAllow { host, comment: fields.text("comment").map(str::to_owned), until: None })
}

fn show(frame: &Frame, fields: &Fields, page: &AllowPage, draft: Draft<'_>) -> Markup {
    let body = html! {
        (forms::done(fields))
        @if let Some(problem) = draft.problem { (error_page::banner(problem)) }
        div.head {
            h1 { (t("Allow list")) }
            p.soft { (t("No rule bans these hosts. An operator still can.")) }
        }
        @if frame.viewer.may_write { (form(draft)) }
        div #allow data-live="" { (rows(frame, page)) }
        (pages("/allow", fields, page.next.as_deref()))
    };
    frame.page("/allow", t("Allow list"), Some(&here("/allow", fields)), &body)
}

fn form(draft: Draft<'_>) -> Markup {
    html! {
        details.card open[draft.problem.is_some()] {
            summary { (t("Add an entry")) }
            form.fill method="post" action="/allow/preview" {
                (draft.line(&Label {
                    name: "host",
                    text: t("Address, network or DNS name"),
                    example: "198.51.100.0/28",
                    required: true,
                    most: 253,
                    ..Label::default()
                }))
                (draft.line(&Label {
                    name: "comment",
                    text: t("Reason"),
                    hint: t("Shown in the list."),
                    most: 500,
                    ..Label::default()
                }))
                button type="submit" { (t("Preview changes")) }
            }
        }
    }
}

fn rows(frame: &Frame, page: &AllowPage) -> Markup {
    let acts = frame.viewer.may_write;
    if page.items.is_empty() {
        return html! { p.empty { (t("The list is empty.")) } };
    }
    html! {
        form method="post" action="/allow/remove" {
            table.rows.wide {
                caption.hidden { (t("Entries of the allow list")) }
                thead { tr {
                    th scope="col" { (t("Host")) } th scope="col" { (t("Addresses")) }
                    th scope="col" { (t("Reason")) } th scope="col" { (t("Origin")) }
                    @if acts { th scope="col" { span.hidden { (t("Action")) } } }
                } }
                tbody { @for entry in &page.items { (row(frame, entry, acts)) } }
            }
        }
    }
}

fn row(frame: &Frame, entry: &AllowEntry, acts: bool) -> Markup {
    /// Networks of a name that a row shows.
    const MOST: usize = 8;
    html! {
        tr data-key=(Shown(&entry.host)) {
            th.mono scope="row" { (Shown(&entry.host)) }
            td data-label=(t("Addresses")) {
                @if entry.nets.is_empty() { span.pill.warn { (t("not resolved yet")) } }
                @else {
                    @for (place, net) in entry.nets.iter().take(MOST).enumerate() {
                        @if place > 0 { ", " }
                        (labels::net(*net))
                    }
                }
            }
            td data-label=(t("Reason")) {
                @if let Some(comment) = &entry.comment { (plain(comment)) " " }
                @if let Some(until) = entry.until { span.soft { (t!("until {time}", time = labels::at(until))) } }
            }
            td data-label=(t("Origin")) {
                @match entry.origin {
                    AllowOrigin::File => (t("configuration file")),
                    AllowOrigin::Runtime => {
                        @if let Some(since) = entry.since {
                            (t!("added {ago}", ago = labels::ago(since, frame.now)))
                        } @else { (t("added")) }
                    }
                }
            }
            @if acts {
                td.act {
                    @if entry.origin == AllowOrigin::Runtime {
                        button.quiet name="remove" value=(Shown(&entry.host))

                            aria-label=(t!("Remove {host}", host = Shown(&entry.host))) { (t("Remove")) }
                    }
                }
            }
        }
    }
}
