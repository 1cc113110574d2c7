//! `/sources/{address}`: why an address is banned, or is not.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::Place;
use sipward_model::wire::SourceReport;

/// Everything that is known of an address.
#[utoipa::path(
    get, path = "/api/v1/sources/{address}", tag = "sources",
    params(("address" = String, Path, description = "An IPv4 or IPv6 address")),
    responses(
        (status = 200, description = "The known facts", body = SourceReport),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn show(State(api): State<Api>, Place(address): Place) -> Answer<SourceReport> {
    let address: IpAddr = address
        .parse()
        .map_err(|_| ApiError::field("address", "expected an IPv4 or IPv6 address"))?;
    Ok(Json(api.control.source(address).await?))
}
