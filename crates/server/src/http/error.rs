//! Errors as problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::IntoResponses;

use sipward_daemon::control::ControlError;
use sipward_model::wire::{FieldError, Problem, ProblemKind};

/// An answer that is a problem document.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Problem>, Option<u32>);

/// The result of a handler.
pub type Answer<T> = Result<axum::Json<T>, ApiError>;

impl ApiError {
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let status = status(kind);
        Self(
            Box::new(Problem {
                kind,
                title: title(kind).to_owned(),
                status: status.as_u16(),
                detail: detail.into(),
                errors: Vec::new(),
                refusal: None,
            }),
            None,
        )
    }

    /// Adds the time, in seconds, after which a retry may succeed.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.1 = Some(seconds);
        self
    }

    /// A field has an invalid value.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { field: field.into(), detail: detail.into() };
        let mut fault =
            Self::new(ProblemKind::Invalid, format!("`{}`: {}", error.field, error.detail));
        fault.0.errors.push(error);
        fault
    }

    /// The problem document.
    pub fn problem(&self) -> &Problem {
        &self.0
    }
}

fn status(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::Unreadable => StatusCode::BAD_REQUEST,
        ProblemKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ProblemKind::Forbidden => StatusCode::FORBIDDEN,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ProblemKind::TooSlow => StatusCode::REQUEST_TIMEOUT,
        ProblemKind::Refused | ProblemKind::Configuration => StatusCode::CONFLICT,
        ProblemKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemKind::UriTooLong => StatusCode::URI_TOO_LONG,
        ProblemKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ProblemKind::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        ProblemKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ProblemKind::BadGateway => StatusCode::BAD_GATEWAY,
        ProblemKind::NoAnswer => StatusCode::GATEWAY_TIMEOUT,
        ProblemKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn title(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Unreadable => "Bad request",
        ProblemKind::Unauthorized => "Log-in required",
        ProblemKind::Forbidden => "Not permitted",
        ProblemKind::NotFound => "Not found",
        ProblemKind::MethodNotAllowed => "Method not allowed",
        ProblemKind::TooSlow => "Request timed out",
        ProblemKind::Refused => "Ban refused",
        ProblemKind::Configuration => "Conflict with the configuration file",
        ProblemKind::TooLarge => "Body too large",
        ProblemKind::UriTooLong => "Path and query too long",
        ProblemKind::UnsupportedMediaType => "The body must be application/json",
        ProblemKind::Misdirected => "Unknown host name",
        ProblemKind::TooMany => "Too many requests",
        ProblemKind::Invalid => "Invalid value",
        ProblemKind::BadGateway => "Upstream unavailable",
        ProblemKind::NoAnswer => "Upstream timed out",
        ProblemKind::Unavailable => "Temporarily unavailable",
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = status(self.0.kind);
        let mut response = (status, axum::Json(&self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.1 {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For the console, which shows it as a page.
        response.extensions_mut().insert(*self.0);
        response
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        let detail = error.to_string();
        match error {
            ControlError::Invalid(FieldError { field, detail }) => Self::field(field, detail),
            ControlError::NotFound(_) => Self::new(ProblemKind::NotFound, detail),
            ControlError::Refused { refusal, .. } => {
                let mut refused = Self::new(ProblemKind::Refused, detail);
                refused.0.refusal = Some(refusal);
                refused
            }
            ControlError::Configuration(_) => Self::new(ProblemKind::Configuration, detail),
            ControlError::TooMany { retry_after, .. } => {
                Self::new(ProblemKind::TooMany, detail).retry_after(retry_after)
            }
            ControlError::Upstream(_) => Self::new(ProblemKind::BadGateway, detail),
            ControlError::NoAnswer(_) => Self::new(ProblemKind::NoAnswer, detail),
            ControlError::Unavailable(_) => Self::new(ProblemKind::Unavailable, detail),
        }
    }
}

/// Errors of every request.
#[derive(IntoResponses)]
pub enum CommonErrors {
    /// On TCP: no valid token and no session.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// This user may not use the socket, or the scope of the token does not allow the request.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// The path and the query are too long.
    #[response(status = 414, content_type = "application/problem+json")]
    TooLong(Problem),
    /// On TCP: the `Host` is not a name of this server.
    #[response(status = 421, content_type = "application/problem+json")]
    Misdirected(Problem),
    /// On TCP: too many failed log-ins; `Retry-After` gives the time to wait.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(Problem),
    /// The daemon is stopping or did not answer in time; nothing was changed.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// Errors of requests with a query or a parameter in the path.
#[derive(IntoResponses)]
pub enum QueryErrors {
    /// The path is invalid.
    #[response(status = 400, content_type = "application/problem+json")]
    Unreadable(Problem),
    /// A field has an invalid value; `errors` names it.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
}

/// Errors of requests with a body.
#[derive(IntoResponses)]
pub enum BodyErrors {
    /// The body is not JSON.
    #[response(status = 400, content_type = "application/problem+json")]
    Unreadable(Problem),
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not `application/json`.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Problem),
    /// A field has an invalid value; `errors` names it.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
}
