//! `/policy/preview` and `/allow/preview`: what a change would mean. Nothing is changed.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Sent;
use sipward_model::wire::{AllowPreview, NewAllow, PolicyChange, PolicyPreview};

/// What a change of the policy would mean: which bans would not have been made, and who is due.
///
/// A changed policy ends no ban: those listed go on. What it says of them rests on what was seen when each was
/// made: some of them would have come later instead.
#[utoipa::path(
    post, path = "/api/v1/policy/preview", tag = "policy", request_body = PolicyChange,
    responses(
        (status = 200, description = "What it would mean", body = PolicyPreview),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn of_policy(
    State(api): State<Api>,
    Sent(change): Sent<PolicyChange>,
) -> Answer<PolicyPreview> {
    Ok(Json(api.control.preview_policy(change).await?))
}

/// What allowing a host would mean: which bans would be lifted or split, and which stand by an operator's hand
/// and would stay.
#[utoipa::path(
    post, path = "/api/v1/allow/preview", tag = "allow", request_body = NewAllow,
    responses(
        (status = 200, description = "What it would mean", body = AllowPreview),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn of_allow(
    State(api): State<Api>,
    Sent(new): Sent<NewAllow>,
) -> Answer<AllowPreview> {
    Ok(Json(api.control.preview_allow(new).await?))
}
