//! What a browser keeps: the theme, and that it hides the first steps.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::error_page::ErrorPage;
use super::fields::Filled;
use super::forms;
use super::theme::{self, Theme};
use sipward_server::http::error::ApiError;

/// The cookie that hides the first steps.
const STEPS: &str = "sipward-first-steps";

/// Keeps the choice of a theme.
pub(super) async fn choose_theme(Filled(fields): Filled) -> Result<Response, ErrorPage> {
    let theme = fields.text("theme").and_then(Theme::parse);
    let theme = theme.ok_or_else(|| ApiError::field("theme", "system, light or dark"))?;
    let mut response = forms::go_to(forms::back(&fields, "/"));
    keep(&mut response, &theme.cookie());
    Ok(response)
}

/// Hides the first steps for this browser.
pub(super) async fn hide_steps() -> Response {
    let mut response = forms::go_to("/");
    keep(&mut response, &theme::kept(STEPS, "hidden"));
    response
}

/// Whether a client hides the first steps.
pub(super) fn hides_steps(headers: &HeaderMap) -> bool {
    theme::cookie(headers, STEPS) == Some("hidden")
}

fn keep(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
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
