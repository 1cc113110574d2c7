//! `/healthy/{net}`: whom a ban would hit that is no stranger.

use axum::Json;
use axum::extract::State;

use super::{Api, net_of};
use crate::http::error::{self, Answer};
use crate::http::extract::Place;
use sipward_model::wire::Healthy;

/// Who in a network is registered, known or exempt.
///
/// For a look before a ban by hand, which may hit whom no rule would ban.
#[utoipa::path(
    get, path = "/api/v1/healthy/{net}", tag = "sources",
    params(("net" = String, Path, description = "An address or a network, `/` written as `%2F`")),
    responses(
        (status = 200, description = "Who is there", body = Healthy), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn show(State(api): State<Api>, Place(net): Place) -> Answer<Healthy> {
    Ok(Json(api.control.healthy(net_of("net", &net)?).await?))
}
