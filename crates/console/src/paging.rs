//! Paged lists: the current page, and links to the others.

use maud::{Markup, html};

use super::fields::Fields;
use super::language::t;

/// Default rows of a page.
pub(super) const ROWS: u16 = 20;

/// Rows that a page can have.
const LENGTHS: [u16; 4] = [ROWS, 50, 200, 1_000];

/// Parameters that links to the list drop, because they are shown once.
pub(super) const SAID: [(&str, &str); 7] = [
    ("done", ""),
    ("count", ""),
    ("staying", ""),
    ("undo", ""),
    ("restored", ""),
    ("over", ""),
    ("refused", ""),
];

/// The list at `path` with its current query.
pub(super) fn here(path: &str, fields: &Fields) -> String {
    at(path, &fields.query_with(&SAID))
}

/// Links to the first page, and to the page that begins at `next`.
pub(super) fn pages(path: &str, fields: &Fields, next: Option<&str>) -> Markup {
    let place = |cursor| {
        let changes: Vec<_> = SAID.into_iter().chain([("cursor", cursor)]).collect();
        at(path, &fields.query_with(&changes))
    };
    html! {
        nav.pages aria-label=(t("Pages of the list")) {
            @if fields.has("cursor") { a.button href=(place("")) { (t("First page")) } }
            @if let Some(next) = next {
                a.button rel="next" href=(place(next)) { (t("Next page")) }
            }
        }
    }
}

/// The list without one of its filters, from the first page.
pub(super) fn without(fields: &Fields, path: &str, name: &str) -> String {
    let changes: Vec<_> = SAID.into_iter().chain([("cursor", ""), (name, "")]).collect();
    at(path, &fields.query_with(&changes))
}

/// The choice of how many rows a page has.
pub(super) fn length(fields: &Fields) -> Markup {
    let chosen = fields.text("limit").and_then(|limit| limit.parse().ok()).unwrap_or(ROWS);
    html! {
        div.field {
            label for="limit" { (t("Rows")) }
            select id="limit" name="limit" {
                @for rows in LENGTHS {
                    option value=(rows) selected[rows == chosen] { (t!("{count} a page", count = rows)) }
                }
            }
        }
    }
}

pub(super) fn at(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_asked_for_again_without_what_was_said_once() {
        let fields = Fields::parse(b"q=a&done=banned&count=1&staying=2&cursor=9").unwrap();
        assert_eq!(here("/bans", &fields), "/bans?q=a&cursor=9");
        assert_eq!(here("/bans", &Fields::parse(b"done=banned").unwrap()), "/bans");
    }

    #[test]
    fn the_other_parts_are_of_the_same_search() {
        let first = Fields::parse(b"q=a&done=banned").unwrap();
        let shown = pages("/bans", &first, Some("9")).into_string();
        assert!(shown.contains("href=\"/bans?q=a&amp;cursor=9\"") && !shown.contains("First page"));
        let last = Fields::parse(b"q=a&cursor=9").unwrap();
        let shown = pages("/bans", &last, None).into_string();
        assert!(shown.contains("href=\"/bans?q=a\"") && !shown.contains("Next page"));
    }
}
