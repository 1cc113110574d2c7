//! The routes, and the `OpenAPI` document that is generated from them.

use axum::handler::Handler;
use axum::http::{Method, Uri};
use axum::response::IntoResponse;
use axum::routing::MethodRouter;
use axum::{Extension, Json, Router};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{HttpMethod, Paths};
use utoipa::{Modify, OpenApi, Path};
use utoipa_axum::PathItemExt;
use utoipa_axum::router::OpenApiRouter;

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

/// Makes of one list of handlers, each with the scope that it needs, what serves them and what the document says.
macro_rules! routes {
    ($($scope:ident $module:ident::$handler:ident;)+) => {
        /// What serves the handlers. The document is not made for it: that takes 6 MB, which stay with the process.
        fn served() -> Router<Api> {
            let mut router = Router::new();
            $(
                let (path, methods) = utoipa_axum::paste! {
                    route::<$module::[<__path_ $handler>], _, _>(&$module::$handler)
                };
                router = router.route(&path, scope::$scope(methods));
            )+
            router
        }

        /// The handlers with the document beside them.
        fn documented() -> OpenApiRouter<Api> {
            let router = OpenApiRouter::with_openapi(Document::openapi());
            $(
                let (schemas, paths, methods) = utoipa_axum::routes!($module::$handler);
                let router = router.routes((schemas, $scope(paths), methods));
            )+
            router
        }
    };
}

routes! {
    read status::show;
    read bans::list;
    write bans::create;
    write bans::lift_all;
    read bans::show;
    write bans::lift;
    read flows::list;
    write flows::allow;
    read export::as_csv;
    read export::as_json;
    read export::as_text;
    read sources::show;
    read allow::list;
    write allow::add;
    write allow::remove;
    read history::list;
    read policy::show;
    write policy::change;
    write policy::reset;
    read preview::of_policy;
    read preview::of_allow;
    write policy::reload;
    read events::listen;
    read events::failures;
    read what_if::ask;
    read tokens::list;
    write tokens::add;
    write tokens::revoke;
    write tokens::link;
    write tokens::end_sessions;
    read series::show;
    read alarms::list;
    read attacks::users;
    read attacks::top;
    read healthy::show;
    read hosts::show;
    read hosts::whois;
    read self::show;
}

/// A handler as its path and its methods, both of which its documentation says.
fn route<P: Path, H: Handler<T, Api>, T: 'static>(handler: &H) -> (String, MethodRouter<Api>) {
    let add = |methods: MethodRouter<Api>, method: HttpMethod| {
        methods.on(method.to_method_filter(), handler.clone())
    };
    (P::path(), P::methods().into_iter().fold(MethodRouter::new(), add))
}

/// Needs scope `read`, which the document says too.
fn read(paths: Paths) -> Paths {
    with_scope(paths, Scope::Read)
}

/// Needs scope `write`, which the document says too.
fn write(paths: Paths) -> Paths {
    with_scope(paths, Scope::Write)
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
    let router = served();
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
