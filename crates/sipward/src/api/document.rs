//! The routes, and the `OpenAPI` document that is generated from them.

use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::{Json, Router};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    Api, alarms, allow, attacks, bans, events, export, flows, healthy, history, hosts, metrics,
    policy, preview, series, sources, status, tokens, what_if,
};
use crate::http::audit;
use crate::http::error::{self, ApiError};
use crate::model::{Line, PolicyKey, ProblemKind};

/// What the document says beside the handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "sipward",
        description = "The control API of sipward, on a Unix socket and, with a bearer token or the session of \
                       a browser, on TCP. Times are RFC 3339 in UTC, durations are \
                       seconds. Errors are RFC 9457 problem documents. Text that came from the network may hold \
                       any character.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Line, PolicyKey)),
    modifiers(&Doors),
    // None on the Unix socket, one of the others on TCP.
    security((), ("token" = []), ("session" = [])),
    tags(
        (name = "daemon", description = "How the daemon stands"),
        (name = "bans", description = "Who is banned"),
        (name = "sources", description = "Why, and what would happen"),
        (name = "allow", description = "Who is never banned by a rule"),
        (name = "history", description = "What was decided"),
        (name = "policy", description = "The rules' values"),
        (name = "events", description = "What happens"),
        (name = "tokens", description = "Who may use the API on TCP; on the Unix socket only")
    )
)]
struct Document;

/// How somebody shows on TCP who he is.
struct Doors;

impl Modify for Doors {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = Http::builder().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let session = ApiKey::Cookie(ApiKeyValue::with_description(
            "sipward",
            "The page's log-in; `__Host-sipward` under TLS",
        ));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

/// The routes with the document beside them.
fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(status::show))
        .routes(routes!(bans::list, bans::create, bans::lift_all))
        .routes(routes!(bans::show, bans::lift))
        .routes(routes!(flows::list))
        .routes(routes!(flows::allow))
        .routes(routes!(export::as_csv))
        .routes(routes!(export::as_json))
        .routes(routes!(export::as_text))
        .routes(routes!(sources::show))
        .routes(routes!(allow::list, allow::add))
        .routes(routes!(allow::remove))
        .routes(routes!(history::list))
        .routes(routes!(policy::show, policy::change))
        .routes(routes!(policy::reset))
        .routes(routes!(preview::of_policy))
        .routes(routes!(preview::of_allow))
        .routes(routes!(policy::reload))
        .routes(routes!(events::listen))
        .routes(routes!(events::failures))
        .routes(routes!(what_if::ask))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(tokens::revoke))
        .routes(routes!(tokens::link))
        .routes(routes!(tokens::end_sessions))
        .routes(routes!(series::show))
        .routes(routes!(alarms::list))
        .routes(routes!(attacks::users))
        .routes(routes!(attacks::top))
        .routes(routes!(healthy::show))
        .routes(routes!(hosts::show))
        .routes(routes!(hosts::whois))
        .routes(routes!(show))
}

/// What serves a request: the API, `/metrics`, and what else is served beside them.
pub(crate) fn router(api: Api, more: Router) -> Router {
    let (router, _) = documented().split_for_parts();
    // No part of the API: its text is Prometheus' own.
    let audit = from_fn_with_state(api.records.clone(), audit);
    let router = router.route("/metrics", axum::routing::get(metrics::show)).with_state(api);
    router.merge(more).fallback(nowhere).method_not_allowed_fallback(not_so).layer(audit)
}

/// The `OpenAPI` document of the API.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    documented().split_for_parts().1
}

/// This document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "daemon",
    responses((status = 200, description = "The OpenAPI document", body = Object), error::CommonErrors)
)]
async fn show() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

async fn nowhere(uri: Uri) -> impl IntoResponse {
    let path: String = uri.path().chars().take(200).collect();
    ApiError::new(ProblemKind::NotFound, format!("there is no `{path}`; see /api/v1/openapi.json"))
}

async fn not_so(method: Method) -> impl IntoResponse {
    let detail = format!("{method} is not for this path; `Allow` says what is");
    ApiError::new(ProblemKind::MethodNotAllowed, detail)
}

#[cfg(test)]
mod tests;
