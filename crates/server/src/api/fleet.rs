//! `/fleet`.

use axum::Json;
use axum::extract::State;

use super::{Api, net_of};
use crate::http::error::{self, Answer};
use crate::http::extract::Place;
use sipward_model::wire::{Fleet, FleetWhy};

/// The fleet as this node sees it: the link, the nodes, what came and went.
#[utoipa::path(
    get, path = "/api/v1/fleet", tag = "daemon",
    responses((status = 200, description = "The fleet", body = Fleet), error::CommonErrors)
)]
pub(super) async fn show(State(api): State<Api>) -> Answer<Fleet> {
    Ok(Json(Fleet::clone(&*api.control.fleet_now().await)))
}

/// What the nodes say of a network, and what became of it here.
#[utoipa::path(
    get, path = "/api/v1/fleet/{net}", tag = "daemon",
    params(("net" = String, Path, description = "An address or a network, `/` written as `%2F`")),
    responses((status = 200, description = "What the nodes say", body = FleetWhy), error::QueryErrors, error::CommonErrors)
)]
pub(super) async fn why(State(api): State<Api>, Place(net): Place) -> Answer<FleetWhy> {
    Ok(Json(api.control.fleet_why(net_of("net", &net)?).await?))
}
