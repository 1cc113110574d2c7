//! The values, as form fields or as text.

use maud::{Markup, html};
use serde_json::Value;
use sipward_engine::{Grade, Mode, RuleName};

use super::super::forms::{Draft, Label};
use super::super::labels::{self, Shown, plain};
use super::super::language::{self, en, t, text};
use sipward_model::text::{Span, api_name, read_span};
use sipward_model::wire::{PolicyKey, PolicyOrigin, PolicyValue, RuleSetting};

/// The settings that rules have in common, and their labels.
const COLUMNS: [(&str, &str); 5] = [
    ("mode", en("Mode")),
    ("min_grade", en("Weakest evidence")),
    ("threshold", en("Threshold")),
    ("window_seconds", en("Window")),
    ("ban_time_seconds", en("Ban time")),
];

/// Longest text of a field, in characters.
const MOST: u16 = 40;

/// Parses a field.
pub(super) fn read(key: PolicyKey, text: &str) -> Result<Value, String> {
    if key.is_span() {
        return Ok(read_span(text)?.as_secs().into());
    }
    match key {
        PolicyKey::EscalationFactor => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number.into()),
            Ok(_) | Err(_) => Err(en("write a number such as 2 or 1.5").to_owned()),
        },
        PolicyKey::Scope
        | PolicyKey::Rule(_, RuleSetting::Mode | RuleSetting::MinGrade | RuleSetting::Scope) => {
            Ok(text.into())
        }
        PolicyKey::Rule(_, RuleSetting::Patterns) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Ok(lines.collect::<Vec<_>>().into())
        }
        _ => match text.parse::<u32>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Err(en("expected a whole number").to_owned()),
        },
    }
}

/// A value as a field shows it.
pub(super) fn written(key: &str, value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let lines = items.iter().filter_map(Value::as_str);
            lines.collect::<Vec<_>>().join("\n")
        }
        Value::String(word) => word.clone(),
        value => match value.as_f64().filter(|_| key.ends_with("_seconds")) {
            Some(seconds) => Span(seconds).to_string(),
            None => value.to_string(),
        },
    }
}

/// The values that apply to all failures.
pub(super) fn base(values: &[PolicyValue], draft: Draft<'_>, acts: bool) -> Markup {
    let fields = [
        ("max_failures", t("Failures before a ban"), t("Within the window; 1 to 1000.")),
        ("window_seconds", t("Window"), t("For example 10m; at most 7d.")),
        ("ban_time_seconds", t("First ban"), t("For example 1h; each further ban is longer.")),
        (
            "escalation.factor",
            t("Factor of further bans"),
            t("1 to 100; 1 makes all equally long."),
        ),
        ("escalation.max_seconds", t("Longest ban"), t("For example 7d; at least the first ban.")),
    ];
    let fields = fields.map(|(key, text, hint)| (find(values, key), text, hint));
    html! {
        section.card aria-labelledby="base-title" {
            div.head {
                h2 #base-title { (t("For all failures")) }
                // The first button of the form: Enter in a text field presses it.
                @if acts { p.actions { button type="submit" { (t("Preview changes")) } } }
            }
            div.fill {
                @for (value, text, hint) in fields {
                    @if let Some(value) = value {
                        div {
                            @if acts {
                                (draft.line(&Label {
                                    name: &value.key,
                                    text,
                                    hint,
                                    value: &written(&value.key, &value.value),
                                    required: true,
                                    most: MOST,
                                    ..Label::default()
                                }))
                            } @else {
                                dl.pairs { dt { (text) } dd { (said(value)) } }
                            }
                            (mark(value, acts))
                        }
                    }
                }
            }
        }
    }
}

/// The rules as a table.
pub(super) fn rules(values: &[PolicyValue], draft: Draft<'_>, acts: bool) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    for value in values {
        let name = value.key.strip_prefix("rules.").and_then(|key| key.split('.').next());
        if let Some(name) = name.filter(|name| !names.contains(name)) {
            names.push(name);
        }
    }
    html! {
        section.card aria-labelledby="rules-title" {
            h2 #rules-title { (t("Rules")) }
            p.soft {
                (t("A rule in shadow mode only reports the bans it would make. Its ban time applies to the first ban of a source."))
            }
            table.rows.wide.matrix {
                caption.hidden { (t("Rules")) }
                thead {
                    tr {
                        th scope="col" { (t("Rule")) }
                        @for (_, text) in COLUMNS { th scope="col" { (t(text)) } }
                    }
                }
                tbody {
                    @for name in names {
                        tr {
                            th scope="row" {
                                span lang=[language::english()] { (name.replace('_', " ")) }
                                @if let Some(words) = meaning(name) { p.hint { (words) } }
                            }
                            @for (setting, text) in COLUMNS {
                                td data-label=(t(text)) {
                                    @match find(values, &format!("rules.{name}.{setting}")) {
                                        Some(value) =>
                                            (cell(value, setting, &text!("{value} of the rule {rule}", value = t(text), rule = name), draft, acts)),
                                        None => span.soft { "–" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a rule does.
fn meaning(name: &str) -> Option<&'static str> {
    let rule: RuleName = serde_json::from_value(name.into()).ok()?;
    Some(labels::rule_explained(rule))
}

fn cell(value: &PolicyValue, setting: &str, label: &str, draft: Draft<'_>, acts: bool) -> Markup {
    let key = &value.key;
    if !acts {
        return html! { (said(value)) " " (mark(value, acts)) };
    }
    let held = draft.fields.and_then(|fields| fields.given(key));
    let held = held.map_or_else(|| written(key, &value.value), str::to_owned);
    let wrong = draft.wrong(key);
    let words: Vec<String> = match setting {
        "mode" if key == "rules.scan.mode" => {
            [Mode::Ban, Mode::Slow, Mode::Shadow, Mode::Off].iter().map(api_name).collect()
        }
        "mode" => [Mode::Ban, Mode::Shadow, Mode::Off].iter().map(api_name).collect(),
        "min_grade" => Grade::ALL.iter().map(api_name).collect(),
        _ => Vec::new(),
    };
    html! {
        @if words.is_empty() {
            input type="text" name=(key) value=(held) aria-label=(label) required maxlength=(MOST)
                autocomplete="off" aria-invalid=[wrong.map(|_| "true")];
        } @else {
            select name=(key) aria-label=(label) aria-invalid=[wrong.map(|_| "true")] {
                @for word in &words { option value=(word) selected[*word == held] { (word) } }
            }
        }
        @if let Some(wrong) = wrong { p.error { (labels::english(wrong)) } }
        (mark(value, acts))
    }
}

/// Parts of user agents, one per line.
pub(super) fn patterns(values: &[PolicyValue], draft: Draft<'_>, acts: bool) -> Markup {
    let Some(value) = find(values, "rules.user_agents.patterns") else { return html! {} };
    let held = draft.fields.and_then(|fields| fields.given(&value.key));
    let held = held.map_or_else(|| written(&value.key, &value.value), str::to_owned);
    let wrong = draft.wrong(&value.key);
    html! {
        section.card aria-labelledby="agents-title" {
            h2 #agents-title { (t("User agents of scanners")) }
            @if acts {
                div.field {
                    label for="patterns" { (t("Parts of user agents, one per line")) }
                    textarea.short id="patterns" name=(value.key) maxlength="16384"
                        spellcheck="false"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby="patterns-hint" {
                            (held)
                        }
                    @if let Some(wrong) = wrong { p.error { (labels::english(wrong)) } }
                    p.hint id="patterns-hint" {
                        (t("Letter case is ignored. The rule user agents bans a source whose user agent contains one of them."))
                    }
                }
            } @else {
                ul.chips { @for line in held.lines() { li { (plain(line)) } } }
            }
            (mark(value, acts))
        }
    }
}

/// Values that only the file changes.
pub(super) fn others(values: &[PolicyValue]) -> Markup {
    let changeable: Vec<String> = PolicyKey::all().map(|key| key.to_string()).collect();
    let mut groups: Vec<(&str, Vec<&PolicyValue>)> = Vec::new();
    for value in values.iter().filter(|value| !changeable.contains(&value.key)) {
        let group = value.key.rsplit_once('.').map_or("limits", |(group, _)| group);
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, members)) => members.push(value),
            None => groups.push((group, vec![value])),
        }
    }
    html! {
        details.more {
            summary { (t("Set in the configuration file")) }
            div.grid {
                @for (group, members) in groups {
                    section.card {
                        h3 lang=[language::english()] { (group.replace('_', " ")) }
                        dl.pairs {
                            @for value in members {
                                dt lang=[language::english()] { (short(&value.key)) }
                                dd { (said(value)) " " (mark(value, false)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn find<'a>(values: &'a [PolicyValue], key: &str) -> Option<&'a PolicyValue> {
    values.iter().find(|value| value.key == key)
}

fn short(key: &str) -> String {
    let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
    name.strip_suffix("_seconds").unwrap_or(name).replace('_', " ")
}

fn said(value: &PolicyValue) -> Markup {
    of(&value.key, &value.value)
}

/// A value as text.
pub(super) fn of(key: &str, value: &Value) -> Markup {
    match value {
        Value::Array(items) if items.is_empty() => html! { (t("none")) },
        Value::String(word) => plain(&word.replace('_', " ")),
        Value::Number(number) => match number.as_f64().filter(|_| key.ends_with("_seconds")) {
            Some(seconds) => html! { (Shown(Span(seconds))) },
            None => match number.as_u64() {
                Some(number) => html! { (labels::number(number)) },
                None => plain(&number.to_string()),
            },
        },
        other => labels::json(other),
    }
}

/// The origin of a value, unless it is the default.
fn mark(value: &PolicyValue, acts: bool) -> Markup {
    let PolicyValue { key, origin, overridden, .. } = value;
    let words = match origin {
        PolicyOrigin::Default => return html! {},
        PolicyOrigin::File => return html! { p.mark { (t("from the file")) } },
        PolicyOrigin::Stored => t("changed here"),
        PolicyOrigin::Runtime => t("changed until the next restart"),
    };
    html! {
        p.mark {
            span.pill.warn { (words) }
            @if let Some(below) = overridden { " " (t!("instead of {value}", value = of(key, below))) " " }
            @if acts {
                button.quiet type="submit" formaction="/policy/reset" formnovalidate name="reset"
                    value=(key)
                    aria-label=(t!("Reset {setting}", setting = key)) { (t("Reset")) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_as_it_is_written_and_read() {
        for (seconds, words) in
            [(1_u32, "1s"), (600, "10m"), (86_400, "1d"), (129_605, "1d 12h 5s"), (604_800, "7d")]
        {
            let value = Value::from(seconds);
            assert_eq!(written("window_seconds", &value), words);
            assert_eq!(of("window_seconds", &value).into_string(), words);
            assert_eq!(read(PolicyKey::WindowSeconds, words), Ok(value));
        }
    }
}
