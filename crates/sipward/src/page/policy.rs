//! The policy: every value, where it comes from, and what can be changed.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::fields::{Asked, Fields, Filled};
use super::forms::{self, Draft, Label};
use super::frame::Frame;
use super::say::{self, plain};
use super::trouble::{self, Trouble};
use crate::api::extract::{Place, Sent};
use crate::api::fault::Fault;
use crate::api::model::{PolicyChange, PolicyKey, PolicyOrigin, PolicyValue, Problem};
use crate::api::{self, Api};

pub(super) async fn show(
    State(api): State<Api>,
    frame: Frame,
    Asked(fields): Asked,
) -> Result<Markup, Trouble> {
    page(api, &frame, &fields, Draft::default()).await
}

pub(super) async fn change(
    State(api): State<Api>,
    frame: Frame,
    Filled(fields): Filled,
) -> Result<Response, Trouble> {
    let changed = async {
        let change = change_of(&fields)?;
        api::policy::change(State(api.clone()), Sent(change)).await
    };
    match changed.await {
        Ok(_) => Ok(forms::go_to("/policy?done=changed")),
        Err(fault) => again(api, &frame, &fields, fault.problem()).await,
    }
}

pub(super) async fn reset(
    State(api): State<Api>,
    Filled(fields): Filled,
) -> Result<Response, Trouble> {
    let key = fields.text("key").unwrap_or_default().to_owned();
    let _view = api::policy::reset(State(api), Place(key)).await?;
    Ok(forms::go_to("/policy?done=reset"))
}

pub(super) async fn reload(State(api): State<Api>) -> Result<Response, Trouble> {
    let _reloaded = api::policy::reload(State(api)).await?;
    Ok(forms::go_to("/policy?done=reloaded"))
}

async fn again(
    api: Api,
    frame: &Frame,
    fields: &Fields,
    problem: &Problem,
) -> Result<Response, Trouble> {
    let draft = Draft { fields: Some(fields), problem: Some(problem) };
    let page = page(api, frame, &Fields::default(), draft).await?;
    Ok((trouble::status(problem), page).into_response())
}

/// What the form asks for.
fn change_of(fields: &Fields) -> Result<PolicyChange, Fault> {
    Ok(PolicyChange {
        max_failures: fields.read("max_failures")?,
        window_seconds: span(fields, "window_seconds")?,
        ban_time_seconds: span(fields, "ban_time_seconds")?,
        stored: !fields.has("until_restart"),
        ..PolicyChange::default()
    })
}

fn span(fields: &Fields, name: &str) -> Result<Option<u64>, Fault> {
    let span = fields.text(name).map(crate::text::read_span).transpose();
    Ok(span.map_err(|detail| Fault::field(name, detail))?.map(|span| span.as_secs()))
}

async fn page(
    api: Api,
    frame: &Frame,
    fields: &Fields,
    draft: Draft<'_>,
) -> Result<Markup, Trouble> {
    let view = api::policy::show(State(api)).await?.0;
    let acts = frame.viewer.may_write;
    let body = html! {
        (forms::done(fields))
        @if let Some(problem) = draft.problem { (trouble::banner(problem)) }
        div.head {
            h1 { "Policy" }
            p.soft { "Who is banned, and for how long." }
            @if acts { form.actions method="post" action="/policy/reload" { button.quiet type="submit" { "Read the file again" } } }
        }
        @if acts { (form(&view.values, draft)) }
        (groups(&view.values, acts))
    };
    Ok(frame.page("/policy", "Policy", None, &body))
}

fn form(values: &[PolicyValue], draft: Draft<'_>) -> Markup {
    let now = |key: PolicyKey| {
        let value = values.iter().find(|value| value.key == key.to_string());
        value.map(|value| written(&value.key, &value.value)).unwrap_or_default()
    };
    let [failures, window, time] =
        [PolicyKey::MaxFailures, PolicyKey::WindowSeconds, PolicyKey::BanTimeSeconds].map(now);
    html! {
        form.card.fill method="post" action="/policy" {
            (draft.line(&Label { name: "max_failures", text: "Failures that ban", value: &failures, hint: "Within the window; 1 to 1000.", most: 10, ..Label::default() }))
            (draft.line(&Label { name: "window_seconds", text: "Window", value: &window, hint: "Such as 10m; at most 7d.", most: 40, ..Label::default() }))
            (draft.line(&Label { name: "ban_time_seconds", text: "First ban", value: &time, hint: "Such as 1h. Each further one is longer.", most: 40, ..Label::default() }))
            (draft.tick("until_restart", "Only until the daemon ends"))
            button type="submit" { "Change" }
        }
    }
}

/// A value as the form takes it.
fn written(key: &str, value: &serde_json::Value) -> String {
    match value.as_f64().filter(|_| key.ends_with("_seconds")) {
        Some(seconds) => crate::text::Span(seconds).to_string(),
        None => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}

/// The values by what they belong to: those of each rule beside each other.
fn groups(values: &[PolicyValue], acts: bool) -> Markup {
    let mut groups: Vec<(&str, Vec<&PolicyValue>)> = Vec::new();
    for value in values {
        let group = value.key.rsplit_once('.').map_or("", |(group, _)| group);
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, members)) => members.push(value),
            None => groups.push((group, vec![value])),
        }
    }
    html! {
        div.grid #values {
            @for (group, members) in &groups {
                section.card {
                    h2 { (title(group)) }
                    table.rows.compact {
                        caption.hidden { "Values of " (title(group)) }
                        thead { tr { th scope="col" { "Value" } th scope="col" { "Now" } th scope="col" { "From" } } }
                        tbody { @for value in members { (row(value, acts)) } }
                    }
                }
            }
        }
    }
}

fn title(group: &str) -> String {
    if group.is_empty() {
        return "In general".to_owned();
    }
    if let Some(rule) = group.strip_prefix("rules.") {
        return format!("Rule: {}", rule.replace('_', " "));
    }
    let mut words = group.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

fn row(value: &PolicyValue, acts: bool) -> Markup {
    let PolicyValue { key, value: now, origin, overridden } = value;
    let name = key.rsplit_once('.').map_or(key.as_str(), |(_, name)| name);
    let name = name.strip_suffix("_seconds").unwrap_or(name).replace('_', " ");
    html! {
        tr {
            th scope="row" { (name) }
            td data-label="Now" { (say_value(key, now)) }
            td data-label="From" {
                @match origin {
                    PolicyOrigin::Default => span.soft { "default" },
                    PolicyOrigin::File => "file",
                    PolicyOrigin::Stored => span.pill.warn { "changed" },
                    PolicyOrigin::Runtime => span.pill.warn { "until restart" },
                }
                @if let Some(below) = overridden {
                    " " span.soft { "instead of " (say_value(key, below)) }
                    @if acts {
                        form method="post" action="/policy/reset" {
                            input type="hidden" name="key" value=(key);
                            button.quiet type="submit" aria-label={ "Reset " (name) } { "Reset" }
                        }
                    }
                }
            }
        }
    }
}

fn say_value(key: &str, value: &serde_json::Value) -> Markup {
    match value.as_f64().filter(|_| key.ends_with("_seconds")) {
        Some(seconds) => html! { (say::span_of(seconds)) },
        None => match value {
            serde_json::Value::Array(items) if items.is_empty() => html! { "none" },
            serde_json::Value::String(word) => plain(&word.replace('_', " ")),
            other => say::json(other),
        },
    }
}
