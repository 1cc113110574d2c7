//! What a browser keeps: the theme.

use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::error_page::ErrorPage;
use super::fields::Filled;
use super::forms;
use super::theme::Theme;
use sipward_server::http::error::ApiError;

/// Keeps the choice of a theme.
pub(super) async fn choose_theme(Filled(fields): Filled) -> Result<Response, ErrorPage> {
    let theme = fields.text("theme").and_then(Theme::parse);
    let theme = theme.ok_or_else(|| ApiError::field("theme", "system, light or dark"))?;
    let mut response = forms::go_to(forms::back(&fields, "/"));
    if let Ok(cookie) = HeaderValue::from_str(&theme.cookie()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
