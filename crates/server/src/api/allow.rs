//! `/allow`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Query, Sent};
use sipward_config::HostEntry;
use sipward_daemon::Allowed;
use sipward_model::wire::{AllowChanged, AllowPage, AllowQuery, NewAllow, Problem};

/// Lists hosts that no rule bans.
#[utoipa::path(
    get, path = "/api/v1/allow", tag = "allow", params(AllowQuery),
    responses(
        (status = 200, description = "A page of the allow list", body = AllowPage),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Query(query): Query<AllowQuery>,
) -> Answer<AllowPage> {
    Ok(Json(api.control.allow_list(query).await?))
}

/// Allows a host: no rule bans it, and bans that cover it are lifted or split. It is stored.
///
/// A ban by an operator takes precedence over the list: such bans of the host are reported, and `DELETE /bans/{net}`
/// lifts them.
#[utoipa::path(
    post, path = "/api/v1/allow", tag = "allow", request_body = NewAllow,
    responses(
        (status = 200, description = "It is already on the list", body = AllowChanged),
        (status = 201, description = "It was added", body = AllowChanged),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn add(
    State(api): State<Api>,
    Sent(new): Sent<NewAllow>,
) -> Result<Response, ApiError> {
    let (done, changed) = api.control.allow(new).await?;
    let status = match done {
        Allowed::New => StatusCode::CREATED,
        Allowed::Already => StatusCode::OK,
    };
    Ok((status, Json(changed)).into_response())
}

/// Takes a host that was added at run time off the list.
#[utoipa::path(
    delete, path = "/api/v1/allow/{host}", tag = "allow",
    params(("host" = String, Path, description = "The entry as listed, `/` written as `%2F`")),
    responses(
        (status = 200, description = "It was removed", body = AllowChanged),
        (status = 404, description = "No such entry", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "It is set in the configuration file", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn remove(State(api): State<Api>, Place(host): Place) -> Answer<AllowChanged> {
    let host: HostEntry = host.parse().map_err(|error: String| ApiError::field("host", error))?;
    Ok(Json(api.control.disallow(&host).await?))
}
