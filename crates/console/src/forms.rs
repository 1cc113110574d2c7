//! Parts of forms. An invalid form keeps its values and shows each error beside its field.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::fields::Fields;
use super::labels;
use super::language::{t, tn};
use sipward_model::text::api_name;
use sipward_model::wire::Problem;

/// A form as it was filled in, and what is wrong with it.
#[derive(Clone, Copy, Default)]
pub(super) struct Draft<'a> {
    pub(super) fields: Option<&'a Fields>,
    pub(super) problem: Option<&'a Problem>,
}

/// How a field is labelled.
#[derive(Clone, Copy, Default)]
pub(super) struct Label<'a> {
    /// In the form, and in the API where it has the same.
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    pub(super) hint: &'a str,
    pub(super) example: &'a str,
    /// When nothing was filled in yet.
    pub(super) value: &'a str,
    pub(super) required: bool,
    pub(super) most: u16,
}

impl Draft<'_> {
    /// The value of a field.
    pub(super) fn value<'a>(&'a self, label: &Label<'a>) -> &'a str {
        self.fields.map_or(label.value, |fields| fields.text(label.name).unwrap_or_default())
    }

    /// The chosen option of a list; empty before the first choice.
    pub(super) fn choice(&self, name: &str) -> &str {
        self.fields.and_then(|fields| fields.text(name)).unwrap_or_default()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.is_some_and(|fields| fields.has(name))
    }

    /// A line of text.
    pub(super) fn line(&self, label: &Label<'_>) -> Markup {
        let wrong = self.wrong(label.name);
        let (hint_id, error_id) = (format!("{}-hint", label.name), format!("{}-error", label.name));
        let described = match (label.hint.is_empty(), wrong) {
            (true, None) => None,
            (false, None) => Some(hint_id.clone()),
            (true, Some(_)) => Some(error_id.clone()),
            (false, Some(_)) => Some(format!("{error_id} {hint_id}")),
        };
        html! {
            div.field {
                label for=(label.name) { (label.text) }
                input type="text" id=(label.name) name=(label.name) value=(self.value(label))
                    placeholder=[(!label.example.is_empty()).then_some(label.example)]
                    maxlength=[(label.most > 0).then_some(label.most)]
                    required[label.required] autocomplete="off" autocapitalize="off"
                        spellcheck="false"
                    aria-invalid=[wrong.map(|_| "true")] aria-describedby=[described];
                @if let Some(wrong) = wrong { p.error id=(error_id) { (labels::english(wrong)) } }
                @if !label.hint.is_empty() { p.hint id=(hint_id) { (label.hint) } }
            }
        }
    }

    /// A box to tick.
    pub(super) fn tick(&self, name: &str, text: &str) -> Markup {
        html! {
            label.tick {
                input type="checkbox" name=(name) value="on" checked[self.has(name)];
                " " (text)
            }
        }
    }

    /// What is wrong with a field.
    pub(super) fn wrong(&self, name: &str) -> Option<&str> {
        let errors = self.problem.map(|problem| problem.errors.as_slice()).unwrap_or_default();
        errors.iter().find(|error| error.field == name).map(|error| error.detail.as_str())
    }
}

/// A list of options; `None` selects all of them.
pub(super) fn choice(
    name: &str,
    text: &str,
    chosen: Option<&str>,
    options: &[(String, String)],
) -> Markup {
    html! {
        div.field {
            label for=(name) { (text) }
            select id=(name) name=(name) {
                option value="" selected[chosen.is_none()] { (t("any")) }
                @for (value, words) in options {
                    option value=(value) selected[chosen == Some(value)] { (words) }
                }
            }
        }
    }
}

/// Options from the API's values.
pub(super) fn options<T: serde::Serialize + Copy>(
    all: &[T],
    words: impl Fn(T) -> String,
) -> Vec<(String, String)> {
    all.iter().map(|one| (api_name(one), words(*one))).collect()
}

/// A redirect after an action, so that a reload does not repeat it.
pub(super) fn go_to(path: &str) -> Response {
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// The local path that a form returns to; anything else leads to `otherwise`.
pub(super) fn back<'a>(fields: &'a Fields, otherwise: &'a str) -> &'a str {
    let local = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    fields.text("back").filter(local).unwrap_or(otherwise)
}

/// A path with one more part of a query.
pub(super) fn with(path: &str, query: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{query}")
}

/// The result of the last action, from the query of the page. Only fixed texts are shown, never text from the
/// query.
pub(super) fn done(fields: &Fields) -> Markup {
    let number = fields.text("count").and_then(|count| count.parse::<u64>().ok());
    let words = match (fields.text("done"), number) {
        (Some("banned"), _) => t("The ban was added.").to_owned(),
        (Some("unbanned"), Some(0)) => t("There was no ban to lift.").to_owned(),
        (Some("unbanned"), Some(count)) => {
            tn!(count, "{n} ban lifted.", "{n} bans lifted.").into_string()
        }
        (Some("undone"), _) => return undone(fields),
        (Some("allowed"), Some(0) | None) => t("Added to the allow list.").to_owned(),
        (Some("allowed"), Some(count)) => tn!(
            count,
            "Added to the allow list; {n} ban lifted.",
            "Added to the allow list; {n} bans lifted."
        )
        .into_string(),
        (Some("disallowed"), _) => t("Removed from the allow list.").to_owned(),
        (Some("changed"), _) => t("The change was applied.").to_owned(),
        (Some("reset"), _) => t("Reset to the configured value.").to_owned(),
        (Some("reloaded"), _) => t("The configuration file was reloaded.").to_owned(),
        _ => return html! {},
    };
    let staying = fields.text("staying").and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
    html! {
        div.notice.good role="status" { (words) }
        @if staying > 0 {
            div.notice.warn role="status" {
                (t!("Not lifted, because made manually: {bans}.", bans = labels::count(staying, "ban"))) " "
                a href="/bans" { (t("Unban the addresses that need access.")) }
            }
        }
    }
}

/// What an undo did.
fn undone(fields: &Fields) -> Markup {
    let number = |name| fields.text(name).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    let (lifted, restored) = (number("count"), number("restored"));
    let (over, refused) = (number("over"), number("refused"));
    html! {
        div.notice.good role="status" {
            (t("Undone."))
            @if lifted > 0 { " " (tn!(lifted, "{n} ban lifted.", "{n} bans lifted.")) }
            @if restored > 0 { " " (tn!(restored, "{n} ban restored.", "{n} bans restored.")) }
            @if over > 0 { " " (tn!(over, "{n} ban would have ended by now.", "{n} bans would have ended by now.")) }
        }
        @if refused > 0 {
            div.notice.warn role="status" {
                (t!(
                    "Not restored: {bans}, because another ban covers it, or it is exempt now.",
                    bans = labels::count(refused, "ban"),
                )) " "
                a href="/history" { (t("History")) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_by_hand_on_whom_is_allowed_is_told() {
        let told = |query: &str| done(&Fields::parse(query.as_bytes()).unwrap()).into_string();
        assert!(told("done=allowed&count=1&staying=2").contains("made manually: 2 bans"));
        for none in ["done=allowed&count=1&staying=0", "done=allowed", "staying=2"] {
            assert!(!told(none).contains("made manually"), "{none}");
        }
    }

    #[test]
    fn a_form_leads_nowhere_else() {
        for (path, place) in [
            ("/bans?q=192.0.2.7", "/bans?q=192.0.2.7"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
        ] {
            let mut query = form_urlencoded::Serializer::new(String::new());
            let fields =
                Fields::parse(query.append_pair("back", path).finish().as_bytes()).unwrap();
            assert_eq!(back(&fields, "/"), place);
        }
    }
}
