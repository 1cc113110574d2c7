//! What goes wrong, as a page that says what to do.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::document;
use super::labels::plain;
use sipward_daemon::control::ControlError;
use sipward_model::wire::Problem;
use sipward_server::http::error::ApiError;

/// A page in place of the one that was asked for.
#[derive(Debug)]
pub(super) struct ErrorPage(ApiError);

impl From<ApiError> for ErrorPage {
    fn from(fault: ApiError) -> Self {
        Self(fault)
    }
}

impl From<ControlError> for ErrorPage {
    fn from(error: ControlError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ErrorPage {
    fn into_response(self) -> Response {
        let problem = self.0.problem();
        (status(problem), page(problem)).into_response()
    }
}

/// The status of an answer that tells a problem.
pub(super) fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A problem as a page of its own.
pub(super) fn page(problem: &Problem) -> Markup {
    let body = html! {
        section.card.narrow {
            p.code { (problem.status) }
            h1 { (problem.title) }
            p { (plain(&problem.detail)) }
            @if let Some(advice) = advice(problem.status) { p.soft { (advice) } }
            p { a href="/" { "To the overview" } }
        }
    };
    document::bare(&problem.title, &body)
}

fn advice(status: u16) -> Option<&'static str> {
    match status {
        401 => Some("Log in again; a session ends after a while."),
        403 => Some("What you may do depends on the scope of your token: read, or write."),
        429 => Some("Too many attempts came from your address. Wait some minutes."),
        503 => Some("The daemon starts, stops or is very busy. Try again in a moment."),
        _ => None,
    }
}

/// Puts a page in place of a problem document; status and other headers stay.
pub fn instead(response: &mut Response, problem: &Problem) {
    let (parts, body) = page(problem).into_response().into_parts();
    *response.body_mut() = body;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.extend(parts.headers);
}

/// A problem above the page that it belongs to.
pub(super) fn banner(problem: &Problem) -> Markup {
    html! {
        div.notice.bad role="alert" {
            strong { (problem.title) ". " }
            (plain(&problem.detail))
        }
    }
}
