//! Queries, paths and bodies: read within limits, and refused with the name of the field.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::{header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use sipward_daemon::control::bounded;
use sipward_model::wire::ProblemKind;

/// Largest body, in bytes: events to try are the longest, 32 KiB before JSON escapes them.
pub const MAX_BODY: usize = 256 * 1024;

/// Time for a body to arrive, which comes from this host.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Longest query, in bytes: every parameter at its longest, percent-encoded.
pub const MAX_QUERY: usize = 4 * 1024;

/// A query.
pub struct Query<T>(pub T);

/// The one variable part of a path, percent-decoded.
pub struct Place(pub String);

/// A JSON body.
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > MAX_QUERY {
            let detail = format!("the query has more than {MAX_QUERY} bytes");
            return Err(ApiError::new(ProblemKind::UriTooLong, detail));
        }
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| {
            let (path, message) = (error.path().to_string(), error.inner().to_string());
            wrong(&path, &message)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::new(ProblemKind::Unreadable, error.body_text()))?;
        Ok(Self(text))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = "send `Content-Type: application/json`";
            return Err(ApiError::new(ProblemKind::UnsupportedMediaType, detail));
        }
        let body = read(request.into_body(), MAX_BODY).await?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let message = error.inner().to_string();
            if error.inner().is_data() {
                wrong(&error.path().to_string(), &message)
            } else {
                ApiError::new(ProblemKind::Unreadable, format!("the body is not JSON: {message}"))
            }
        })?;
        json.end().map_err(|error| {
            ApiError::new(
                ProblemKind::Unreadable,
                format!("unexpected data after the JSON: {error}"),
            )
        })?;
        Ok(Self(value))
    }
}

/// A whole body of at most `limit` bytes.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let all = Limited::new(body, limit).collect();
    match tokio::time::timeout(BODY_TIME, all).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body has more than {limit} bytes");
            Err(ApiError::new(ProblemKind::TooLarge, detail))
        }
        Ok(Err(error)) => {
            Err(ApiError::new(ProblemKind::Unreadable, format!("the body ended early: {error}")))
        }
        Err(_) => {
            let seconds = BODY_TIME.as_secs();
            let detail = format!("the body did not arrive within {seconds} s");
            Err(ApiError::new(ProblemKind::TooSlow, detail))
        }
    }
}

/// A field that is wrong, by what serde says of it.
fn wrong(path: &str, message: &str) -> ApiError {
    // These name the field themselves, and the path ends before it.
    for prefix in ["unknown field `", "missing field `", "duplicate field `"] {
        if let Some((field, _)) = message.strip_prefix(prefix).and_then(|m| m.split_once('`')) {
            return ApiError::field(bounded(field), bounded(message));
        }
    }
    let field = if path == "." { "the body" } else { path };
    ApiError::field(bounded(field), bounded(message))
}
