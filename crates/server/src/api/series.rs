//! `/series`: what happened when.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self};
use crate::http::extract::Query;
use sipward_model::wire::{Series, SeriesQuery};

/// Failures, bans and unbans over the last hour, day, week or month, in equal buckets.
#[utoipa::path(
    get, path = "/api/v1/series", tag = "events", params(SeriesQuery),
    responses(
        (status = 200, description = "The counts over time", body = Series), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn show(State(api): State<Api>, Query(query): Query<SeriesQuery>) -> Json<Series> {
    Json(api.control.series(&query))
}
