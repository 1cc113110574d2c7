//! Errors as pages, with advice.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::document;
use super::labels::{self, plain};
use super::language::{self, Language, en, t};
use sipward_daemon::control::ControlError;
use sipward_model::wire::{Problem, ProblemKind};
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
    document::bare(title(problem), &card(problem))
}

pub(super) fn card(problem: &Problem) -> Markup {
    html! {
        section.card.narrow {
            p.code { (problem.status) }
            h1 { (title(problem)) }
            p { (detail(problem)) }
            @if let Some(advice) = advice(problem.status) { p.soft { (advice) } }
            p { a href="/" { (t("Back to the overview")) } }
        }
    }
}

fn advice(status: u16) -> Option<&'static str> {
    match status {
        401 => Some(t("The session has ended. Log in again.")),
        403 => Some(t("The scope of your token (read or write) does not allow this.")),
        429 => Some(t("Too many attempts from your address. Wait a few minutes.")),
        503 => Some(t("The daemon is starting, stopping or overloaded. Try again in a moment.")),
        _ => None,
    }
}

/// Replaces a problem document by a page, in the language that the headers of the request ask for.
pub fn instead(headers: &HeaderMap, response: &mut Response, problem: &Problem) {
    let language = Language::of(headers);
    let page = language::within(language, || page(problem));
    replace(response, page);
    language.declare(response.headers_mut());
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
            strong { (title(problem)) ". " }
            (detail(problem))
            @if problem.refusal.as_ref().is_some_and(|refusal| !refusal.force_overrides) {
                ". " (t("Nothing overrides this."))
            }
        }
    }
}

/// The title of a problem.
pub(super) fn title(problem: &Problem) -> &'static str {
    match problem.kind {
        ProblemKind::Unreadable => t("Bad request"),
        ProblemKind::Unauthorized => t("Log-in required"),
        ProblemKind::Forbidden => t("Not permitted"),
        ProblemKind::NotFound => t("Not found"),
        ProblemKind::MethodNotAllowed => t("Method not allowed"),
        ProblemKind::TooSlow => t("Request timed out"),
        ProblemKind::Refused => t("Ban refused"),
        ProblemKind::Configuration => t("Conflict with the configuration file"),
        ProblemKind::TooLarge => t("Body too large"),
        ProblemKind::UriTooLong => t("Path and query too long"),
        ProblemKind::UnsupportedMediaType => t("Body of an unknown type"),
        ProblemKind::Misdirected => t("Unknown host name"),
        ProblemKind::TooMany => t("Too many requests"),
        ProblemKind::Invalid => t("Invalid value"),
        ProblemKind::BadGateway => t("Upstream unavailable"),
        ProblemKind::NoAnswer => t("Upstream timed out"),
        ProblemKind::Unavailable => t("Temporarily unavailable"),
    }
}

/// What is wrong. The texts of the API are English; what can be said in another language is.
fn detail(problem: &Problem) -> Markup {
    if language::is_english() {
        return plain(&problem.detail);
    }
    match (&problem.refusal, problem.errors.as_slice()) {
        (Some(refusal), _) => labels::refusal(refusal),
        (None, [error]) => html! { code { (error.field) } ": " (labels::english(&error.detail)) },
        (None, _) => labels::english(&problem.detail),
    }
}

/// Fixed texts of the API that [`labels::english`] translates.
const _: [&str; 14] = [
    en("use `next` of the previous page"),
    en("it is after `to`"),
    en("must be left out for a permanent ban"),
    en("it is over already; write a time to come"),
    en("the text is empty"),
    en("at least 1s"),
    en("write the two letters of a country, such as DE (ISO 3166-1)"),
    en("a test is running"),
    en("write a time such as 2026-11-23T22:00:00Z"),
    en("write an address (192.0.2.7, 2001:db8::7) or a network (192.0.2.0/24, 2001:db8::/48)"),
    en("This link was used already, or has expired."),
    en("This token has expired."),
    en("This token was revoked."),
    en("Unknown token or link. It is mistyped, or belongs to another server."),
];
