use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use tokio::sync::broadcast;
use tower::ServiceExt as _;

use super::*;
use sipward_model::record::{Kind, Record};
use sipward_model::wire::AuthMethod;

async fn answer(method: Method, path: &str, scope: Option<Scope>) -> (StatusCode, Option<Kind>) {
    let (records, mut heard) = broadcast::channel::<Arc<Record>>(4);
    let router: Router = Router::new()
        .route("/bans", read(get(|| async { "bans" })))
        .route("/bans", write(post(|| async { "banned" })))
        .layer(Extension(records));
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    if let Some(scope) = scope {
        let principal = Principal { name: "monitor".to_owned(), scope, way: AuthMethod::Token };
        request.extensions_mut().insert(principal);
    }
    let status = router.oneshot(request).await.unwrap().status();
    (status, heard.try_recv().ok().map(|record| record.kind()))
}

#[tokio::test]
async fn a_route_lets_in_who_has_its_scope_and_changes_are_recorded() {
    use StatusCode as Is;
    for (method, scope, status, recorded) in [
        (Method::GET, Some(Scope::Read), Is::OK, false),
        (Method::HEAD, Some(Scope::Read), Is::OK, false),
        (Method::GET, Some(Scope::Write), Is::OK, false),
        (Method::GET, None, Is::UNAUTHORIZED, false),
        (Method::POST, Some(Scope::Write), Is::OK, true),
        (Method::POST, Some(Scope::Read), Is::FORBIDDEN, false),
        (Method::POST, None, Is::UNAUTHORIZED, false),
        (Method::DELETE, Some(Scope::Write), Is::METHOD_NOT_ALLOWED, false),
    ] {
        let expected = (status, recorded.then_some(Kind::Changed));
        assert_eq!(answer(method.clone(), "/bans", scope).await, expected, "{method} {scope:?}");
    }
}
