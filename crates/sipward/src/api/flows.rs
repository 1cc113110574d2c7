//! `/flows`.

use axum::Json;
use axum::extract::State;
use ipnet::IpNet;
use sipward_engine::{Action, Engine, Flow, Input};

use super::Api;
use super::convert;
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::{Place, Query, limit};
use crate::model::{FlowAllowed, FlowPage, FlowQuery, Problem, ProblemKind};

/// The flows that are denied.
#[utoipa::path(
    get, path = "/api/v1/flows", tag = "bans", params(FlowQuery),
    responses((status = 200, description = "A page of denied flows", body = FlowPage), error::QueryErrors, error::CommonErrors)
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(query): Query<FlowQuery>,
) -> Answer<FlowPage> {
    let limit = limit(query.limit)?;
    let inside = query.inside.map(|net| net.0);
    let after = match query.cursor.as_deref().map(str::parse::<Flow>) {
        Some(Err(_)) => {
            return Err(ApiError::field("cursor", "take it from `next` of the page before"));
        }
        Some(Ok(flow)) => Some(flow),
        None => None,
    };
    let page = api.engine.call(move |task| {
        let (engine, clock) = (task.engine(), task.clock());
        let total = flows_in(engine, None, inside).count() as u64;
        let mut rest = flows_in(engine, after, inside).peekable();
        let mut items = Vec::new();
        while items.len() < limit
            && let Some(denied) = rest.next()
        {
            items.push(convert::flow(&denied, clock));
        }
        let next = rest.peek().and(items.last()).map(|last| last.flow.to_string());
        FlowPage { items, total, next }
    });
    Ok(Json(page.await?))
}

/// The denied flows of a network behind one of them. There are 65,536 at most.
fn flows_in(
    engine: &Engine,
    after: Option<Flow>,
    inside: Option<IpNet>,
) -> impl Iterator<Item = sipward_engine::FlowView<'_>> {
    let flows = engine.flows_after(after);
    flows.filter(move |denied| inside.is_none_or(|net| net.contains(&denied.flow.source)))
}

/// Allows a flow again. It is not denied again within the hour.
#[utoipa::path(
    delete, path = "/api/v1/flows/{flow}", tag = "bans",
    params(("flow" = String, Path, description = "Address, `udp` or `tcp`, and port, with spaces written as `%20`")),
    responses(
        (status = 200, description = "It is allowed", body = FlowAllowed),
        (status = 404, description = "This flow is not denied", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn allow(State(api): State<Api>, Place(flow): Place) -> Answer<FlowAllowed> {
    let flow: Flow = flow
        .parse()
        .map_err(|error: sipward_engine::FlowError| ApiError::field("flow", error.to_string()))?;
    let allowed = api.engine.call(move |task| {
        task.decide(Input::UnbanFlow { flow }, |actions| {
            actions.iter().any(|action| matches!(action, Action::AllowFlow { .. }))
        })
    });
    if !allowed.await? {
        return Err(ApiError::new(ProblemKind::NotFound, format!("the flow {flow} is not denied")));
    }
    let store = convert::health(api.store.settled().await);
    Ok(Json(FlowAllowed { flow, store }))
}
