//! `/policy` and `/reload`.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Sent};
use sipward_model::wire::{PolicyChange, PolicyKey, PolicyView, Problem, Reloaded};

/// Every value of the policy, and where it comes from.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "policy",
    responses((status = 200, description = "The current policy", body = PolicyView), error::CommonErrors)
)]
pub(super) async fn show(State(api): State<Api>) -> Answer<PolicyView> {
    Ok(Json(api.control.policy().await?))
}

/// Changes values over those of the file.
#[utoipa::path(
    patch, path = "/api/v1/policy", tag = "policy", request_body = PolicyChange,
    responses(
        (status = 200, description = "The policy after the change", body = PolicyView),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn change(
    State(api): State<Api>,
    Sent(change): Sent<PolicyChange>,
) -> Answer<PolicyView> {
    Ok(Json(api.control.change_policy(change).await?))
}

/// Drops what was set for one value: that of the file holds again.
#[utoipa::path(
    delete, path = "/api/v1/policy/{key}", tag = "policy",
    params(("key" = PolicyKey, Path, description = "The value")),
    responses(
        (status = 200, description = "The policy after the change", body = PolicyView),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn reset(State(api): State<Api>, Place(key): Place) -> Answer<PolicyView> {
    let key: PolicyKey = key.parse().map_err(|error: String| ApiError::field("key", error))?;
    Ok(Json(api.control.reset_policy(key).await?))
}

/// Reads the configuration file again. What was set at run time stays on top of it.
#[utoipa::path(
    post, path = "/api/v1/reload", tag = "daemon",
    responses(
        (status = 200, description = "The configuration was applied", body = Reloaded),
        (status = 409, description = "The file is invalid; the previous configuration remains", body = Problem,
         content_type = "application/problem+json"),
        error::CommonErrors
    )
)]
pub(super) async fn reload(State(api): State<Api>) -> Answer<Reloaded> {
    Ok(Json(api.control.reload().await?))
}
