use std::io::Read as _;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use flate2::read::GzDecoder;
use tower::ServiceExt as _;

use super::*;

const LONG: &str = "0123456789";

async fn answer(method: &str, path: &str, accepted: &str) -> Response {
    let long = || async { ([(CONTENT_TYPE, "text/html; charset=utf-8")], LONG.repeat(500)) };
    let events = || async { ([(CONTENT_TYPE, "text/event-stream")], LONG.repeat(500)) };
    let router = Router::new()
        .route("/", get(long).post(long))
        .route("/login", get(long))
        .route("/events", get(events))
        .route("/short", get(|| async { ([(CONTENT_TYPE, "text/html")], "short") }))
        .layer(from_fn(compress));
    let request = Request::builder().method(method).uri(path).header(ACCEPT_ENCODING, accepted);
    router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn is_compressed(method: &str, path: &str, accepted: &str) -> bool {
    answer(method, path, accepted).await.headers().contains_key(CONTENT_ENCODING)
}

#[tokio::test]
async fn a_page_is_compressed_whole() {
    let response = answer("GET", "/", "deflate, gzip;q=0.8").await;
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers()[VARY], "accept-encoding");
    let length = response.headers().get(CONTENT_LENGTH).cloned();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert!(bytes.len() < 100, "{} bytes", bytes.len());
    assert!(length.is_none_or(|length| length == bytes.len().to_string()));
    let mut text = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, LONG.repeat(500));
}

#[tokio::test]
async fn only_who_accepts_it_gets_it() {
    assert!(is_compressed("GET", "/", "GZIP").await);
    for accepted in ["", "identity", "gzip;q=0", "br", "gzipped"] {
        assert!(!is_compressed("GET", "/", accepted).await, "{accepted}");
    }
}

#[tokio::test]
async fn nothing_that_may_hold_a_secret_is_compressed_and_no_stream() {
    assert!(!is_compressed("POST", "/", "gzip").await);
    assert!(!is_compressed("GET", "/login", "gzip").await);
    assert!(!is_compressed("GET", "/events", "gzip").await);
    assert!(!is_compressed("GET", "/short", "gzip").await);
}
