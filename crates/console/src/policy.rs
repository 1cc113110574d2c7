//! The policy: every value, its origin, and what can be changed. A change is previewed before it is applied.

mod preview;
mod values;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::error_page::{self, ErrorPage};
use super::fields::{Asked, Fields, Filled};
use super::forms::{self, Draft};
use super::frame::Frame;
use super::language::{en, t};
use sipward_daemon::control::Control;
use sipward_model::wire::{PolicyChange, PolicyKey, PolicyValue, Problem};
use sipward_server::http::error::ApiError;

pub(super) async fn show(
    State(control): State<Control>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, ErrorPage> {
    let values = values_of(&control).await?;
    Ok(page(&frame, &fields, &values, Draft::default()))
}

/// The effect of the form.
pub(super) async fn preview(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let values = values_of(&control).await?;
    let previewed = async {
        let change = change_of(&values, &fields)?;
        if change.values.is_empty() {
            return Err(ApiError::field("the form", en("no value was changed")));
        }
        let meant = control.preview_policy(change.clone()).await?;
        Ok((change, meant))
    };
    Ok(match previewed.await {
        Ok((change, meant)) => preview::page(&frame, &change, &meant).into_response(),
        Err(fault) => again(&frame, &fields, &values, fault.problem()),
    })
}

pub(super) async fn change(
    State(control): State<Control>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let values = values_of(&control).await?;
    let changed = async {
        let change = change_of(&values, &fields)?;
        Ok::<_, ApiError>(control.change_policy(change).await?)
    };
    Ok(match changed.await {
        Ok(_) => forms::go_to("/policy?done=changed"),
        Err(fault) => again(&frame, &fields, &values, fault.problem()),
    })
}

pub(super) async fn reset(
    State(control): State<Control>,
    Filled(fields): Filled,
) -> Result<Response, ErrorPage> {
    let key = fields.text("reset").unwrap_or_default().parse::<PolicyKey>();
    let key = key.map_err(|error| ApiError::field("key", error))?;
    control.reset_policy(key).await?;
    Ok(forms::go_to("/policy?done=reset"))
}

pub(super) async fn reload(State(control): State<Control>) -> Result<Response, ErrorPage> {
    control.reload().await?;
    Ok(forms::go_to("/policy?done=reloaded"))
}

async fn values_of(control: &Control) -> Result<Vec<PolicyValue>, ApiError> {
    Ok(control.policy().await?.values)
}

/// The form again, with its errors.
fn again(frame: &Frame, fields: &Fields, values: &[PolicyValue], problem: &Problem) -> Response {
    let mut problem = problem.clone();
    for error in &mut problem.errors {
        if let Some(key) = error.field.strip_prefix("values.") {
            error.field = key.to_owned();
        }
    }
    let draft = Draft { fields: Some(fields), problem: Some(&problem) };
    let page = page(frame, &Fields::default(), values, draft);
    (error_page::status(&problem), page).into_response()
}

/// The values of the form that differ from the current ones. Missing fields change nothing.
fn change_of(values: &[PolicyValue], fields: &Fields) -> Result<PolicyChange, ApiError> {
    let mut change =
        PolicyChange { stored: !fields.has("until_restart"), ..PolicyChange::default() };
    for key in PolicyKey::all() {
        let name = key.to_string();
        let Some(text) = fields.given(&name) else { continue };
        let read = values::read(key, text).map_err(|detail| ApiError::field(&name, detail))?;
        if values.iter().all(|value| value.key != name || value.value != read) {
            change.values.insert(name, read);
        }
    }
    Ok(change)
}

fn page(frame: &Frame, fields: &Fields, values: &[PolicyValue], draft: Draft<'_>) -> Markup {
    let acts = frame.viewer.may_write;
    let tables = html! {
        (values::base(values, draft, acts))
        (values::rules(values, draft, acts))
        (values::patterns(values, draft, acts))
    };
    let body = html! {
        (forms::done(fields))
        @if let Some(problem) = draft.problem { (error_page::banner(problem)) }
        div.head {
            h1 { (t("Policy")) }
            p.soft { (t("What is banned, and for how long.")) }
            @if acts {
                form.actions method="post" action="/policy/reload" {
                    button.quiet type="submit" { (t("Reload configuration file")) }
                }
            }
        }
        @if acts { form method="post" action="/policy/preview" { (tables) (submit(draft)) } }
        @else { (tables) }
        (values::others(values))
    };
    frame.page("/policy", t("Policy"), None, &body)
}

fn submit(draft: Draft<'_>) -> Markup {
    html! {
        section.card {
            (draft.tick("until_restart", t("Only until the next restart")))
            p.actions {
                button type="submit" { (t("Preview changes")) }
                span.soft { (t("Nothing is applied yet.")) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
