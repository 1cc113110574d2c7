//! Errors: RFC 9457 problem documents.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sipward_engine::Exemption;
use utoipa::ToSchema;

use super::words;

/// What went wrong (RFC 9457), sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The kind as text.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// The fields that are wrong.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// Why a ban was refused.
    #[serde(default)]
    pub refusal: Option<Refusal>,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Its name in the body, the query or the path.
    #[schema(example = "ban_time_seconds")]
    pub field: String,
    /// What is wrong with it, and what to write instead.
    pub detail: String,
}

/// Why a ban was due or asked for and not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// `exempt`, `known`, `shared`, `link_local`, `covered`, `too_many_bans`; of the API also `spared` and
    /// `too_wide`.
    #[schema(example = "exempt")]
    pub reason: String,
    /// The class of the exempt host it would cover.
    #[schema(schema_with = words::exemption_or_null)]
    pub class: Option<Exemption>,
    /// The network that prevents it.
    #[schema(value_type = Option<String>)]
    pub prevented_by: Option<IpNet>,
    /// Whether `force` would override it.
    pub force_overrides: bool,
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum ProblemKind {
    /// 400: the body is not JSON, or the request is malformed.
    #[serde(rename = "urn:sipward:problem:unreadable")]
    Unreadable,
    /// 401: on TCP, no token and no session, or one that opens nothing.
    #[serde(rename = "urn:sipward:problem:unauthorized")]
    Unauthorized,
    /// 403: this user may not use the socket, or this token not do that.
    #[serde(rename = "urn:sipward:problem:forbidden")]
    Forbidden,
    /// 404: not found.
    #[serde(rename = "urn:sipward:problem:not-found")]
    NotFound,
    /// 405: not with this method.
    #[serde(rename = "urn:sipward:problem:method-not-allowed")]
    MethodNotAllowed,
    /// 408: the request did not come in time.
    #[serde(rename = "urn:sipward:problem:too-slow")]
    TooSlow,
    /// 409: the ban is refused; `refusal` says why.
    #[serde(rename = "urn:sipward:problem:refused")]
    Refused,
    /// 409: conflict with the configuration file.
    #[serde(rename = "urn:sipward:problem:configuration")]
    Configuration,
    /// 413: the body is too large.
    #[serde(rename = "urn:sipward:problem:too-large")]
    TooLarge,
    /// 414: the path and the query are too long.
    #[serde(rename = "urn:sipward:problem:uri-too-long")]
    UriTooLong,
    /// 415: the body is not `application/json`.
    #[serde(rename = "urn:sipward:problem:unsupported-media-type")]
    UnsupportedMediaType,
    /// 421: the `Host` of the request is none that this server is known by.
    #[serde(rename = "urn:sipward:problem:misdirected")]
    Misdirected,
    /// 429: too many; `Retry-After` says how long to wait.
    #[serde(rename = "urn:sipward:problem:too-many")]
    TooMany,
    /// 422: a field has a value that cannot be; `errors` says which.
    #[serde(rename = "urn:sipward:problem:invalid")]
    Invalid,
    /// 502: another server is unavailable.
    #[serde(rename = "urn:sipward:problem:bad-gateway")]
    BadGateway,
    /// 504: another server did not answer in time.
    #[serde(rename = "urn:sipward:problem:no-answer")]
    NoAnswer,
    /// 503: too many listeners, or the daemon stops or does not answer in time.
    #[serde(rename = "urn:sipward:problem:unavailable")]
    Unavailable,
}
