//! Errors in the frame of the console, for clients with a session.

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use super::context::ViewContext;
use super::error_page;
use super::frame::Frame;
use sipward_daemon::control::Control;
use sipward_model::wire::Problem;
use sipward_server::http::Principal;

/// Puts a problem document, or a page with a problem, into the frame of the console.
pub(super) async fn in_frame(
    State(control): State<Control>,
    request: Request,
    next: Next,
) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let path = request.uri().path();
    let is_page = accept.is_some_and(|accept| accept.contains("text/html"))
        && !path.starts_with("/api/")
        && path != "/metrics"
        && request.extensions().get::<Principal>().is_some();
    let (mut parts, body) = request.into_parts();
    let Ok(viewer) = ViewContext::from_request_parts(&mut parts, &control).await;
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if is_page
        && let Some(problem) = response.extensions().get::<Problem>().cloned()
        && let Ok(frame) = Frame::of(viewer, &control).await
    {
        response.extensions_mut().remove::<Problem>();
        error_page::replace(
            &mut response,
            frame.page("", error_page::title(&problem), None, &error_page::card(&problem)),
        );
    }
    response
}
