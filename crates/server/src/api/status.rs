//! `/status`.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use sipward_model::wire::Status;

/// Returns the state of the daemon.
#[utoipa::path(
    get, path = "/api/v1/status", tag = "daemon",
    responses((status = 200, description = "The state", body = Status), error::CommonErrors)
)]
pub(super) async fn show(State(api): State<Api>) -> Answer<Status> {
    Ok(Json(api.control.status().await?))
}
