//! `/stats`.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Query;
use sipward_model::wire::{Stats, StatsQuery};

/// The history in numbers: decisions by rule, country and day.
#[utoipa::path(
    get, path = "/api/v1/stats", tag = "history", params(StatsQuery),
    responses(
        (status = 200, description = "The counts", body = Stats),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn show(State(api): State<Api>, Query(query): Query<StatsQuery>) -> Answer<Stats> {
    Ok(Json(api.control.stats(query).await?))
}
