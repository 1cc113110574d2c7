//! `/history`.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Query;
use sipward_model::wire::{HistoryPage, HistoryQuery};

/// What was decided before, newest first.
#[utoipa::path(
    get, path = "/api/v1/history", tag = "history", params(HistoryQuery),
    responses(
        (status = 200, description = "A page of the history", body = HistoryPage),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Query(query): Query<HistoryQuery>,
) -> Answer<HistoryPage> {
    Ok(Json(api.control.history(query).await?))
}
