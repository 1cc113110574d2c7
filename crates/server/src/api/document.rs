//! The routes, and the `OpenAPI` document that is generated from them.
//!
//! The tests generate it and compare it with `docs/openapi.json`, which the program holds: generating it in a
//! running daemon would take half a megabyte of program and 6 MB of memory, which stay with the process.

use axum::handler::Handler;
use axum::http::{HeaderName, Method, Uri, header};
use axum::response::IntoResponse;
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use utoipa::Path;
use utoipa::openapi::HttpMethod;
use utoipa_axum::PathItemExt as _;

use super::{
    Api, alarms, allow, attacks, bans, doctor, events, export, fleet, flows, healthy, history,
    hosts, metrics, mode, places, policy, preview, series, sources, stats, status, tokens, what_if,
};
use crate::http::error::{self, ApiError};
use crate::http::scope;
use sipward_model::wire::ProblemKind;

/// Makes of one list of handlers, each with the scope that it needs, what serves them and what the document says.
macro_rules! routes {
    ($($scope:ident $module:ident::$handler:ident;)+) => {
        /// What serves the handlers.
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

        /// The document of the handlers.
        #[cfg(test)]
        fn document() -> utoipa::openapi::OpenApi {
            let router = tests::router();
            $(
                let (schemas, paths, methods) = utoipa_axum::routes!($module::$handler);
                let router = router.routes((schemas, tests::$scope(paths), methods));
            )+
            router.into_openapi()
        }
    };
}

routes! {
    read status::show;
    read doctor::show;
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
    read stats::show;
    read fleet::show;
    read fleet::why;
    read mode::show;
    write mode::change;
    read policy::show;
    write policy::change;
    write policy::reset;
    read preview::of_policy;
    read preview::replay;
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
    write alarms::acknowledge;
    read attacks::users;
    read attacks::top;
    read places::list;
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

/// What serves a request: the API, `/metrics`, and what else is served beside them.
pub fn router(api: Api, more: Router) -> Router {
    let router = served();
    let records = Extension(api.control.records().clone());
    // No part of the API: its text is Prometheus' own.
    let metrics = scope::read(axum::routing::get(metrics::show));
    let router = router.route("/metrics", metrics).with_state(api);
    router.merge(more).fallback(nowhere).method_not_allowed_fallback(not_so).layer(records)
}

/// This document.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "daemon",
    responses((status = 200, description = "The OpenAPI document", body = Object), error::CommonErrors)
)]
async fn show() -> ([(HeaderName, &'static str); 1], &'static str) {
    const DOCUMENT: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json"));
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

async fn nowhere(uri: Uri) -> impl IntoResponse {
    let path: String = uri.path().chars().take(200).collect();
    let advice = if path.starts_with("/api") { "; see /api/v1/openapi.json" } else { "" };
    ApiError::new(ProblemKind::NotFound, format!("there is no `{path}`{advice}"))
}

async fn not_so(method: Method) -> impl IntoResponse {
    let detail = format!("this path does not support {method}; `Allow` lists its methods");
    ApiError::new(ProblemKind::MethodNotAllowed, detail)
}

#[cfg(test)]
mod tests;
