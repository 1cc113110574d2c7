use std::fs;

use sipward_model::wire::{Line, PolicyKey, Scope};
use utoipa::openapi::Paths;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::api::Api;

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

/// A router whose document says that, for the handlers to be added to.
pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// Needs scope `read`, which the document says too.
pub(super) fn read(paths: Paths) -> Paths {
    with_scope(paths, Scope::Read)
}

/// Needs scope `write`, which the document says too.
pub(super) fn write(paths: Paths) -> Paths {
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

/// Set to renew the file.
const RENEW: &str = "SIPWARD_RENEW";

#[test]
fn the_openapi_document_in_the_repository_is_that_of_the_handlers() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let made = serde_json::to_string_pretty(&super::document()).unwrap() + "\n";
    if std::env::var_os(RENEW).is_some() {
        fs::write(file, &made).unwrap();
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    assert!(
        kept == made,
        "docs/openapi.json is not what the handlers say; renew it with `{RENEW}=1 cargo test -p sipward-server \
         openapi` and look at the difference"
    );
}

#[test]
fn every_reference_in_the_openapi_document_leads_somewhere() {
    let document = serde_json::to_value(super::document()).unwrap();
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
    let mut count = 0;
    for reference in references {
        count += 1;
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    assert!(count > 50, "only {count} references");
}

#[test]
fn what_changes_something_needs_scope_write() {
    let document = serde_json::to_value(super::document()).unwrap();
    let mut changing = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let trial = ["/preview", "/replay", "/test"].iter().any(|end| path.ends_with(end));
            let scope = if method == "get" || trial { "read" } else { "write" };
            assert_eq!(operation["x-scope"], scope, "{method} {path}");
            changing += usize::from(scope == "write");
        }
    }
    assert!(changing > 8, "only {changing}");
}
