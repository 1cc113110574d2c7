//! `/flows`.

use axum::Json;
use axum::extract::State;
use sipward_engine::FlowError;

use super::Api;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Query};
use sipward_model::wire::{FlowAllowed, FlowPage, FlowQuery, Problem};

/// The flows that are denied.
#[utoipa::path(
    get, path = "/api/v1/flows", tag = "bans", params(FlowQuery),
    responses((status = 200, description = "A page of denied flows", body = FlowPage), error::QueryErrors, error::CommonErrors)
)]
pub(super) async fn list(
    State(api): State<Api>,
    Query(query): Query<FlowQuery>,
) -> Answer<FlowPage> {
    Ok(Json(api.control.flows(query).await?))
}

/// Allows a flow again. It is not denied again within the hour.
#[utoipa::path(
    delete, path = "/api/v1/flows/{flow}", tag = "bans",
    params(("flow" = String, Path, description = "Address, `udp` or `tcp`, and port, with spaces written as `%20`")),
    responses(
        (status = 200, description = "The flow is allowed again", body = FlowAllowed),
        (status = 404, description = "This flow is not denied", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn allow(State(api): State<Api>, Place(flow): Place) -> Answer<FlowAllowed> {
    let flow =
        flow.parse().map_err(|error: FlowError| ApiError::field("flow", error.to_string()))?;
    Ok(Json(api.control.allow_flow(flow).await?))
}
