//! `/places`: countries and networks of the attackers.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Query;
use sipward_model::wire::{PlaceList, PlaceQuery};

/// The countries or networks that failures and bans come from, by the failures that are remembered and the bans now.
#[utoipa::path(
    get, path = "/api/v1/places", tag = "sources", params(PlaceQuery),
    responses(
        (status = 200, description = "The places, with the most failures \
            first", body = PlaceList), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Query(query): Query<PlaceQuery>,
) -> Answer<PlaceList> {
    Ok(Json(api.control.places(query).await?))
}
