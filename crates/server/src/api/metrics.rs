//! `/metrics`, beside the API: what Prometheus reads.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::http::error::ApiError;
use sipward_daemon::metrics::{self, Format};

/// Counts and states in the text format that `Accept` asks for.
pub(super) async fn show(State(api): State<Api>, headers: HeaderMap) -> Result<Response, ApiError> {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let text = metrics::render(&api.control.metrics().await?, format);
    Ok(([(CONTENT_TYPE, format.content_type())], text).into_response())
}
