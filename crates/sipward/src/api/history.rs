//! `/history`.

use axum::Json;
use axum::extract::State;

use super::{Api, convert};
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Query, limit};
use crate::model::{HistoryKind, HistoryPage, HistoryQuery};
use crate::store;

/// What was decided before, newest first.
#[utoipa::path(
    get, path = "/api/v1/history", tag = "history", params(HistoryQuery),
    responses(
        (status = 200, description = "A page of the history", body = HistoryPage),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(query): Query<HistoryQuery>,
) -> Answer<HistoryPage> {
    let HistoryQuery { net, event, from, to, limit: most, cursor } = query;
    let before = cursor.map(|cursor| cursor.parse()).transpose();
    let query = store::HistoryQuery {
        net: net.map(|net| net.0),
        kind: event.map(|event| match event {
            HistoryKind::Ban => store::HistoryKind::Ban,
            HistoryKind::Unban => store::HistoryKind::Unban,
            HistoryKind::Refused => store::HistoryKind::Refused,
            HistoryKind::FlowDenied => store::HistoryKind::FlowDenied,
            HistoryKind::FlowAllowed => store::HistoryKind::FlowAllowed,
        }),
        from: from.map(|time| time.0),
        to: to.map(|time| time.0),
        before: before
            .map_err(|error: store::NoCursor| ApiError::field("cursor", error.to_string()))?,
        limit: limit(most)?,
    };
    // What was decided before the question is in the answer.
    api.store.settled().await;
    let page = api.store.history(query).await?;
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(HistoryPage { items: page.events.into_iter().map(convert::history).collect(), next }))
}
