//! The language of a request: chosen in the footer and kept in a cookie, else what the browser asks for.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use maud::{Markup, html};

use super::super::cookies;
use super::{CURRENT, LANGUAGES, Language, current, t};

const COOKIE: &str = "sipward-language";

/// Bytes and entries of `Accept-Language` that are read: browsers send up to 200 bytes.
const MOST_BYTES: usize = 1_000;
const MOST_ENTRIES: usize = 32;

/// Answers a request in its language, and says in which.
pub(crate) async fn in_language(request: Request, next: Next) -> Response {
    let language = Language::of(request.headers());
    let mut response = CURRENT.scope(language, next.run(request)).await;
    language.declare(response.headers_mut());
    response
}

impl Language {
    /// The language of a client.
    pub(crate) fn of(headers: &HeaderMap) -> &'static Self {
        let chosen = cookies::value(headers, COOKIE).and_then(Self::parse);
        chosen.or_else(|| accepted(headers)).unwrap_or_else(Self::english)
    }

    /// Names the language of a page in its headers; other answers have none.
    pub(crate) fn declare(&self, headers: &mut HeaderMap) {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with("text/html")) {
            headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(self.tag));
            headers.append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
        }
    }

    /// The language of a form, and the value of `Set-Cookie` that keeps it.
    pub(crate) fn chosen(tag: &str) -> Option<String> {
        Self::parse(tag).map(|language| cookies::kept(COOKIE, language.tag))
    }
}

/// What the browser wants most of what there is (RFC 9110 section 12.5.4). `de-AT` is `de`; an entry with `q=0` is not
/// wanted; of equal ones the first counts.
fn accepted(headers: &HeaderMap) -> Option<&'static Language> {
    let line = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let line = line.get(..MOST_BYTES.min(line.len()))?;
    let mut best: Option<(f32, &'static Language)> = None;
    for entry in line.split(',').take(MOST_ENTRIES) {
        let (range, quality) = entry.split_once(';').unwrap_or((entry, "q=1"));
        let quality = quality.trim().strip_prefix("q=").and_then(|text| text.trim().parse().ok());
        let Some(quality) = quality.filter(|quality| *quality > 0.0 && *quality <= 1.0) else {
            continue;
        };
        let primary = range.trim().split('-').next().unwrap_or_default();
        let language = match primary {
            "*" => Some(Language::english()),
            tag => Language::parse(tag),
        };
        if let Some(language) = language
            && best.is_none_or(|(before, _)| quality > before)
        {
            best = Some((quality, language));
        }
    }
    best.map(|(_, language)| language)
}

/// The buttons that choose.
pub(crate) fn form(here: &str) -> Markup {
    html! {
        form.theme method="post" action="/language" {
            input type="hidden" name="back" value=(here);
            fieldset {
                legend { (t("Language")) }
                @for language in &LANGUAGES {
                    button.quiet name="language" value=(language.tag) lang=(language.tag)
                        aria-pressed=(if language.tag == current().tag { "true" } else { "false" }) {
                        (language.name)
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(header::HeaderName, &str)]) -> &'static str {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.parse().unwrap()));
        Language::of(&headers.collect()).tag
    }

    #[test]
    fn a_browser_gets_what_it_wants_most_of_what_there_is() {
        for (line, tag) in [
            ("de", "de"),
            ("DE-at", "de"),
            ("fr, de;q=0.5, en;q=0.4", "de"),
            ("en;q=0.4, de;q=0.5", "de"),
            ("de;q=0.5, en;q=0.5", "de"),
            ("en-US,en;q=0.9,de;q=0.8", "en"),
            ("de;q=0, fr", "en"),
            ("*, de;q=0.9", "en"),
            ("", "en"),
        ] {
            assert_eq!(of(&[(header::ACCEPT_LANGUAGE, line)]), tag, "{line}");
        }
    }

    #[test]
    fn hostile_wishes_are_as_good_as_none() {
        let many = format!("{}de", "fr,".repeat(MOST_ENTRIES));
        let long = format!("{},de", "x".repeat(MOST_BYTES));
        for line in
            ["de;q=NaN", "de;q=inf", "de;q=-1", "de;q=9", "de;x", ";;;,,,=", "-", &many, &long]
        {
            assert_eq!(of(&[(header::ACCEPT_LANGUAGE, line)]), "en", "{line}");
        }
        let bytes = HeaderValue::from_bytes(b"de\xff").unwrap();
        assert_eq!(
            Language::of(&HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, bytes)])).tag,
            "en"
        );
    }

    #[test]
    fn the_choice_comes_before_the_browser() {
        let wish = (header::ACCEPT_LANGUAGE, "de");
        assert_eq!(of(&[wish.clone(), (header::COOKIE, "sipward-language=en")]), "en");
        assert_eq!(of(&[(header::COOKIE, "sipward=x; sipward-language=de")]), "de");
        assert_eq!(of(&[wish, (header::COOKIE, "sipward-language=\"><b>")]), "de");
        assert!(
            Language::chosen("de").unwrap().starts_with("sipward-language=de; Path=/; Max-Age=")
        );
        assert!(Language::chosen("xx").is_none());
    }

    #[test]
    fn only_pages_name_a_language() {
        let declared = |kind: &'static str| {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
            let mut headers = HeaderMap::from_iter([kind]);
            Language::parse("de").unwrap().declare(&mut headers);
            headers
        };
        let page = declared("text/html; charset=utf-8");
        assert_eq!(page[header::CONTENT_LANGUAGE], "de");
        assert_eq!(page[header::VARY], "accept-language, cookie");
        assert_eq!(declared("application/json").len(), 1);
    }
}
