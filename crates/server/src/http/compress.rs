//! Answers compressed with gzip, for clients that accept it.
//!
//! Compression shows in the length of an answer whether two of its parts are alike (BREACH). So nothing is compressed
//! that holds a secret: neither the log-in page, which may hold the code of a link, nor any answer to a request that
//! changes something, which may hold a new token. Pages have no token against forged requests either: those are refused
//! by `Sec-Fetch-Site` and `Origin`. Streams, events among them, are not compressed.

use std::io::Write as _;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;

/// Shorter answers fit into a packet as they are.
const LEAST: u64 = 1_000;

/// Longest answer that is compressed: the longest page has half of it, and takes 10 ms.
const MOST: u64 = 1_000_000;

/// Most of what can be had: level 9 saves 1 % more, in twice the time.
const LEVEL: u32 = 6;

/// Compresses the answer to a request, where that is worth it and safe.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    let wanted = *request.method() == Method::GET
        && request.uri().path() != "/login"
        && accepts_gzip(request.headers());
    let response = next.run(request).await;
    if !is_text(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    let length = body.size_hint().exact();
    if !wanted || !length.is_some_and(|length| (LEAST..=MOST).contains(&length)) {
        return Response::from_parts(parts, body);
    }
    // A body of a known length is there already.
    let Ok(whole) = body.collect().await else {
        return Response::from_parts(parts, Body::empty());
    };
    let whole = whole.to_bytes();
    let mut encoder = GzEncoder::new(Vec::with_capacity(whole.len() / 4), Compression::new(LEVEL));
    let Ok(compressed) = encoder.write_all(&whole).and_then(|()| encoder.finish()) else {
        return Response::from_parts(parts, Body::from(whole));
    };
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(compressed))
}

/// Whether a client takes gzip (RFC 9110 section 12.5.3); `q=0` refuses it.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Pages, the style sheet, the script, documents; no streams.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    matches!(
        kind,
        "text/html" | "text/css" | "text/javascript" | "application/json" | "image/svg+xml"
    ) && !headers.contains_key(CONTENT_ENCODING)
}

#[cfg(test)]
mod tests;
