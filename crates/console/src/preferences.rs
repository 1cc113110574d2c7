//! What a browser keeps: the theme, the language, and that it hides the first steps.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::cookies;
use super::error_page::ErrorPage;
use super::fields::{Fields, Filled};
use super::forms;
use super::language::Language;
use super::theme::Theme;
use sipward_server::http::error::ApiError;

/// Keeps the choice of a theme.
pub(super) async fn choose_theme(Filled(fields): Filled) -> Result<Response, ErrorPage> {
    let theme = fields.text("theme").and_then(Theme::parse);
    let theme = theme.ok_or_else(|| ApiError::field("theme", "system, light or dark"))?;
    Ok(back_with(&fields, &theme.cookie()))
}

/// Keeps the choice of a language.
pub(super) async fn choose_language(Filled(fields): Filled) -> Result<Response, ErrorPage> {
    let cookie = fields.text("language").and_then(Language::chosen);
    let cookie = cookie.ok_or_else(|| ApiError::field("language", "no such language"))?;
    Ok(back_with(&fields, &cookie))
}

/// The cookie that hides the first steps.
const STEPS: &str = "sipward-first-steps";

/// Hides the first steps for this browser.
pub(super) async fn hide_steps() -> Response {
    back_with(&Fields::default(), &cookies::kept(STEPS, "hidden"))
}

/// Whether a client hides the first steps.
pub(super) fn hides_steps(headers: &HeaderMap) -> bool {
    cookies::value(headers, STEPS) == Some("hidden")
}

fn back_with(fields: &Fields, cookie: &str) -> Response {
    let mut response = forms::go_to(forms::back(fields, "/"));
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_cookie_hides_the_first_steps() {
        let hides = |cookies: &'static str| {
            let cookies = HeaderValue::from_static(cookies);
            hides_steps(&HeaderMap::from_iter([(header::COOKIE, cookies)]))
        };
        assert!(hides("sipward-theme=dark; sipward-first-steps=hidden"));
        assert!(!hides("sipward-theme=hidden") && !hides("xsipward-first-steps=hidden"));
    }
}
