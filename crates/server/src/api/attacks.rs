//! `/users` and `/top`: accounts under attack, sources and user agents.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Query;
use sipward_model::wire::{Top, TopQuery, UserPage, UserQuery};

/// Accounts under attack, and healthy phones that failed, by the failures that are remembered.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "sources", params(UserQuery),
    responses(
        (status = 200, description = "A page of accounts", body = UserPage), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn users(
    State(api): State<Api>,
    Query(query): Query<UserQuery>,
) -> Answer<UserPage> {
    Ok(Json(api.control.users(query).await?))
}

/// The sources, users or user agents that failed most often, by the failures that are remembered.
#[utoipa::path(
    get, path = "/api/v1/top", tag = "sources", params(TopQuery),
    responses(
        (status = 200, description = "The most \
            frequent", body = Top), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn top(State(api): State<Api>, Query(query): Query<TopQuery>) -> Answer<Top> {
    Ok(Json(api.control.top(query).await?))
}
