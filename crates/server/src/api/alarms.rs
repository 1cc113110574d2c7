//! `/alarms`: what needs an operator.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use sipward_model::wire::AlarmList;

/// The alarms of the last day, and whether anything needs an operator now.
#[utoipa::path(
    get, path = "/api/v1/alarms", tag = "daemon",
    responses((status = 200, description = "The alarms", body = AlarmList), error::CommonErrors)
)]
pub(super) async fn list(State(api): State<Api>) -> Answer<AlarmList> {
    Ok(Json(api.control.alarms().await?))
}
