//! `/doctor`.

use axum::Json;
use axum::extract::State;

use super::Api;
use crate::http::error::{self, Answer};
use crate::http::extract::Query;
use sipward_model::wire::{DoctorQuery, Examination};

/// Checks everything that a ban depends on, with what to do about each problem.
///
/// The checks are those of `sipward doctor`. They take up to some seconds, because FreeSWITCH and the kernel are
/// asked; for ten seconds the result answers others. Nothing is changed.
#[utoipa::path(
    get, path = "/api/v1/doctor", tag = "daemon", params(DoctorQuery),
    responses(
        (status = 200, description = "The checks", body = Examination),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn show(
    State(api): State<Api>,
    Query(query): Query<DoctorQuery>,
) -> Answer<Examination> {
    Ok(Json(api.control.doctor(query).await?))
}
