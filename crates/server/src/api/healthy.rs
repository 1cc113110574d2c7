//! `/healthy/{net}`: hosts in a network that are not strangers.

use axum::Json;
use axum::extract::State;

use super::{Api, net_of};
use crate::http::error::{self, Answer};
use crate::http::extract::Place;
use sipward_model::wire::Healthy;

/// Lists hosts in a network that are registered, known or exempt.
///
/// For a check before a manual ban, which may cover hosts that no rule would ban.
#[utoipa::path(
    get, path = "/api/v1/healthy/{net}", tag = "sources",
    params(("net" = String, Path, description = "An address or a network, `/` written as `%2F`")),
    responses(
        (status = 200, description = "The healthy hosts there", body = Healthy), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn show(State(api): State<Api>, Place(net): Place) -> Answer<Healthy> {
    Ok(Json(api.control.healthy(net_of("net", &net)?).await?))
}
