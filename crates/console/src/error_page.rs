//! Errors as pages, with advice.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::document;
use super::labels::plain;
use sipward_daemon::control::ControlError;
use sipward_model::wire::Problem;
use sipward_server::http::error::ApiError;

/// A page in place of the requested one.
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
        let mut response = (status(problem), page(problem)).into_response();
        response.extensions_mut().insert(problem.clone());
        response
    }
}

/// The status of an answer with a problem.
pub(super) fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A problem as its own page, for clients without a session.
fn page(problem: &Problem) -> Markup {
    document::bare(&problem.title, &card(problem))
}

pub(super) fn card(problem: &Problem) -> Markup {
    html! {
        section.card.narrow {
            p.code { (problem.status) }
            h1 { (problem.title) }
            p { (plain(&problem.detail)) }
            @if let Some(advice) = advice(problem.status) { p.soft { (advice) } }
            p { a href="/" { "Back to the overview" } }
        }
    }
}

fn advice(status: u16) -> Option<&'static str> {
    match status {
        401 => Some("The session has ended. Log in again."),
        403 => Some("The scope of your token (read or write) does not allow this."),
        429 => Some("Too many attempts from your address. Wait a few minutes."),
        503 => Some("The daemon is starting, stopping or overloaded. Try again in a moment."),
        _ => None,
    }
}

/// Replaces a problem document by a page.
pub fn instead(response: &mut Response, problem: &Problem) {
    replace(response, page(problem));
}

/// Replaces the body of a response by a page; status and other headers do not change.
pub(super) fn replace(response: &mut Response, page: Markup) {
    let (parts, body) = page.into_response().into_parts();
    *response.body_mut() = body;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.extend(parts.headers);
}

/// A problem above the page it belongs to.
pub(super) fn banner(problem: &Problem) -> Markup {
    html! {
        div.notice.bad role="alert" {
            strong { (problem.title) ". " }
            (plain(&problem.detail))
            @if problem.refusal.as_ref().is_some_and(|refusal| !refusal.force_overrides) {
                ". Nothing overrides this."
            }
        }
    }
}
