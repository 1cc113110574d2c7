//! `/alarms`: what needs an operator.

use axum::extract::State;
use axum::{Extension, Json};

use super::Api;
use crate::http::Principal;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Query};
use sipward_model::wire::{AcknowledgeQuery, Acknowledged, AlarmKind, AlarmList, Problem};

/// The alarms of the last day, and whether anything needs an operator now.
#[utoipa::path(
    get, path = "/api/v1/alarms", tag = "daemon",
    responses((status = 200, description = "The alarms", body = AlarmList), error::CommonErrors)
)]
pub(super) async fn list(State(api): State<Api>) -> Answer<AlarmList> {
    Ok(Json(api.control.alarms().await?))
}

/// Acknowledges the alarms of a kind, or only the one about a user, an address or a name.
///
/// They no longer count for `state`, but stay listed, with who acknowledged them and when. If the state behind one
/// ends and begins again, or an event comes again more than ten minutes later, that is a new alarm.
#[utoipa::path(
    post, path = "/api/v1/alarms/{kind}/ack", tag = "daemon",
    params(("kind" = AlarmKind, Path, description = "`kind` as listed"), AcknowledgeQuery),
    responses(
        (status = 200, description = "They are acknowledged", body = Acknowledged),
        (status = 404, description = "No such alarm, or it is acknowledged already", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn acknowledge(
    State(api): State<Api>,
    Extension(Principal { name, .. }): Extension<Principal>,
    Place(kind): Place,
    Query(query): Query<AcknowledgeQuery>,
) -> Answer<Acknowledged> {
    let kind: AlarmKind = serde_json::from_value(kind.into())
        .map_err(|error| ApiError::field("kind", error.to_string()))?;
    Ok(Json(api.control.acknowledge(kind, query.about, name).await?))
}
