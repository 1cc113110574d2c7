//! `/mode`.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Sent;
use sipward_model::wire::{ModeView, NewMode, Problem};

/// The mode, and what mode `ban` blocks.
#[utoipa::path(
    get, path = "/api/v1/mode", tag = "daemon",
    responses((status = 200, description = "The mode", body = ModeView), error::CommonErrors)
)]
pub(super) async fn show(State(api): State<Api>) -> Answer<ModeView> {
    Ok(Json(api.control.mode().await?))
}

/// Carries bans out from now on, or only observes.
#[utoipa::path(
    patch, path = "/api/v1/mode", tag = "daemon", request_body = NewMode,
    responses(
        (status = 200, description = "The mode after the change", body = ModeView),
        (status = 409, description = "The daemon runs with `--dry-run`", body = Problem,
         content_type = "application/problem+json"),
        error::BodyErrors, error::CommonErrors
    )
)]
pub(super) async fn change(State(api): State<Api>, Sent(new): Sent<NewMode>) -> Answer<ModeView> {
    Ok(Json(api.control.set_mode(new.mode).await?))
}
