//! `/bans`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Api, net_of};
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Query, Sent};
use sipward_model::wire::{Ban, BanMade, BanPage, BanQuery, NewBan, Problem, Unbanned};

/// Lists active bans.
#[utoipa::path(
    get, path = "/api/v1/bans", tag = "bans", params(BanQuery),
    responses((status = 200, description = "A page of bans", body = BanPage), error::QueryErrors, error::CommonErrors)
)]
pub(super) async fn list(State(api): State<Api>, Query(query): Query<BanQuery>) -> Answer<BanPage> {
    Ok(Json(api.control.bans(query).await?))
}

/// The ban of exactly one network.
#[utoipa::path(
    get, path = "/api/v1/bans/{net}", tag = "bans",
    params(("net" = String, Path, description = "An address or a network, `/` written as `%2F`")),
    responses(
        (status = 200, description = "The ban", body = Ban),
        (status = 404, description = "No ban of exactly this network", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn show(State(api): State<Api>, Place(net): Place) -> Answer<Ban> {
    Ok(Json(api.control.ban_of(net_of("net", &net)?).await?))
}

/// Bans a network.
///
/// It is answered when the kernel has answered and the store has written it.
#[utoipa::path(
    post, path = "/api/v1/bans", tag = "bans", request_body = NewBan,
    responses(
        (status = 201, description = "The ban was added", body = BanMade,
         headers(("Location" = String, description = "The path of the ban"))),
        (status = 409, description = "The ban was refused; `refusal` has the reason", body = Problem,
         content_type = "application/problem+json"),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    Sent(new): Sent<NewBan>,
) -> Result<Response, ApiError> {
    let place = format!("/api/v1/bans/{}", new.net.0.to_string().replace('/', "%2F"));
    let place = HeaderValue::from_str(&place).unwrap_or(HeaderValue::from_static("/api/v1/bans"));
    let made = Json(api.control.ban(new).await?);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], made).into_response())
}

/// Unbans a network: lifts every ban inside it, splits wider ones around it, and forgets the failures
/// counted against the sources in it. If there is no ban, that is no error: `count` is 0.
#[utoipa::path(
    delete, path = "/api/v1/bans/{net}", tag = "bans",
    params(("net" = String, Path, description = "An address or a network, `/` written as `%2F`")),
    responses(
        (status = 200, description = "The ban was lifted", body = Unbanned), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn lift(State(api): State<Api>, Place(net): Place) -> Answer<Unbanned> {
    Ok(Json(api.control.unban(&[net_of("net", &net)?]).await?))
}

/// Lifts all bans, and forgets all counted failures.
#[utoipa::path(
    delete, path = "/api/v1/bans", tag = "bans",
    responses((status = 200, description = "All bans were lifted", body = Unbanned), error::CommonErrors)
)]
pub(super) async fn lift_all(State(api): State<Api>) -> Answer<Unbanned> {
    Ok(Json(api.control.unban_all().await?))
}
