//! `/policy/preview`, `/policy/replay` and `/allow/preview`: what a change would mean, or would have meant. Nothing is
//! changed.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Sent;
use sipward_model::wire::{
    AllowPreview, NewAllow, PolicyChange, PolicyPreview, PolicyReplay, Problem,
};

/// The effect of a change of the policy: bans that would not have been made, and sources that would be banned next.
///
/// A change of the policy ends no ban. The answer is based on the evidence at the time of each ban: some of them
/// would have been made later.
#[utoipa::path(
    post, path = "/api/v1/policy/preview", tag = "policy", request_body = PolicyChange,
    responses(
        (status = 200, description = "The effect of the change", body = PolicyPreview),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn of_policy(
    State(api): State<Api>,
    Sent(change): Sent<PolicyChange>,
) -> Answer<PolicyPreview> {
    Ok(Json(api.control.preview_policy(change).await?))
}

/// What a change of the policy would have done in the last week.
///
/// The bans of the history are judged again by the evidence that is stored with each, and the failures that are
/// remembered (16,384 of the last day at most) are judged again one after the other. Failures of before that led to no
/// ban are not kept. One replay runs at a time, and takes some seconds at most.
#[utoipa::path(
    post, path = "/api/v1/policy/replay", tag = "policy", request_body = PolicyChange,
    responses(
        (status = 200, description = "What would have been different", body = PolicyReplay),
        (status = 429, description = "Another replay is running", body = Problem,
         content_type = "application/problem+json"),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn replay(
    State(api): State<Api>,
    Sent(change): Sent<PolicyChange>,
) -> Answer<PolicyReplay> {
    Ok(Json(api.control.replay_policy(change).await?))
}

/// The effect of an allow entry: bans that would be lifted or split, and manual bans that would remain.
#[utoipa::path(
    post, path = "/api/v1/allow/preview", tag = "allow", request_body = NewAllow,
    responses(
        (status = 200, description = "The effect of the change", body = AllowPreview),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn of_allow(
    State(api): State<Api>,
    Sent(new): Sent<NewAllow>,
) -> Answer<AllowPreview> {
    Ok(Json(api.control.preview_allow(new).await?))
}
