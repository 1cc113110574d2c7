//! The routes, and the `OpenAPI` document that is generated from them.

use axum::http::{Method, Uri};
use axum::response::IntoResponse;
use axum::{Extension, Json, Router};
use utoipa::openapi::Paths;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::{
    Api, alarms, allow, attacks, bans, events, export, flows, healthy, history, hosts, metrics,
    policy, preview, series, sources, status, tokens, what_if,
};
use crate::http::error::{self, ApiError};
use crate::http::scope;
use sipward_model::wire::{Line, PolicyKey, ProblemKind, Scope};

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
    modifiers(&SecuritySchemes),
    // None on the Unix socket, one of the others on TCP.
    security((), ("token" = []), ("session" = [])),
    tags(
        (name = "daemon", description = "State of the daemon"),
        (name = "bans", description = "Bans"),
        (name = "sources", description = "Explanations and rule tests"),
        (name = "allow", description = "The allow list"),
        (name = "history", description = "Past decisions"),
        (name = "policy", description = "Settings of the policy"),
        (name = "events", description = "Live events"),
        (name = "tokens", description = "Tokens for the API on TCP; on the Unix socket only")
    )
)]
struct Document;

/// Authentication on TCP.
struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = Http::builder().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let session = ApiKey::Cookie(ApiKeyValue::with_description(
            "sipward",
            "The console's session; `__Host-sipward` under TLS",
        ));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

/// The routes with the document beside them.
fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(read(routes!(status::show)))
        .routes(read(routes!(bans::list)))
        .routes(write(routes!(bans::create, bans::lift_all)))
        .routes(read(routes!(bans::show)))
        .routes(write(routes!(bans::lift)))
        .routes(read(routes!(flows::list)))
        .routes(write(routes!(flows::allow)))
        .routes(read(routes!(export::as_csv)))
        .routes(read(routes!(export::as_json)))
        .routes(read(routes!(export::as_text)))
        .routes(read(routes!(sources::show)))
        .routes(read(routes!(allow::list)))
        .routes(write(routes!(allow::add)))
        .routes(write(routes!(allow::remove)))
        .routes(read(routes!(history::list)))
        .routes(read(routes!(policy::show)))
        .routes(write(routes!(policy::change)))
        .routes(write(routes!(policy::reset)))
        .routes(read(routes!(preview::of_policy)))
        .routes(read(routes!(preview::of_allow)))
        .routes(write(routes!(policy::reload)))
        .routes(read(routes!(events::listen)))
        .routes(read(routes!(events::failures)))
        .routes(read(routes!(what_if::ask)))
        .routes(read(routes!(tokens::list)))
        .routes(write(routes!(tokens::add)))
        .routes(write(routes!(tokens::revoke)))
        .routes(write(routes!(tokens::link)))
        .routes(write(routes!(tokens::end_sessions)))
        .routes(read(routes!(series::show)))
        .routes(read(routes!(alarms::list)))
        .routes(read(routes!(attacks::users)))
        .routes(read(routes!(attacks::top)))
        .routes(read(routes!(healthy::show)))
        .routes(read(routes!(hosts::show)))
        .routes(read(routes!(hosts::whois)))
        .routes(read(routes!(show)))
}

/// Routes that need scope `read`, which the document says too.
fn read(routes: UtoipaMethodRouter<Api>) -> UtoipaMethodRouter<Api> {
    let (schemas, paths, methods) = routes;
    (schemas, with_scope(paths, Scope::Read), scope::read(methods))
}

/// Routes that need scope `write`, which the document says too.
fn write(routes: UtoipaMethodRouter<Api>) -> UtoipaMethodRouter<Api> {
    let (schemas, paths, methods) = routes;
    (schemas, with_scope(paths, Scope::Write), scope::write(methods))
}

fn with_scope(mut paths: Paths, scope: Scope) -> Paths {
    let extension = Extensions::builder().add("x-scope", scope.as_str()).build();
    for item in paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.extensions = Some(extension.clone());
        }
    }
    paths
}

/// What serves a request: the API, `/metrics`, and what else is served beside them.
pub fn router(api: Api, more: Router) -> Router {
    let (router, _) = documented().split_for_parts();
    let records = Extension(api.control.records().clone());
    // No part of the API: its text is Prometheus' own.
    let metrics = scope::read(axum::routing::get(metrics::show));
    let router = router.route("/metrics", metrics).with_state(api);
    router.merge(more).fallback(nowhere).method_not_allowed_fallback(not_so).layer(records)
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
    let detail = format!("this path does not support {method}; `Allow` lists its methods");
    ApiError::new(ProblemKind::MethodNotAllowed, detail)
}

#[cfg(test)]
mod tests;
