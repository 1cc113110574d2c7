//! What a browser keeps: the theme and the language.

use axum::http::{HeaderValue, header};
use axum::response::Response;

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

fn back_with(fields: &Fields, cookie: &str) -> Response {
    let mut response = forms::go_to(forms::back(fields, "/"));
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
