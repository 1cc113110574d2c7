//! The audit log: a record of every request that may change something.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::broadcast;

use super::client::Client;
use super::principal::Principal;
use crate::http::extract::read;
use sipward_model::record::Record;

/// Longest body that the record shows, in bytes. Bodies name bans, hosts and limits; none holds a secret.
const SHOWN: usize = 1024;

/// Characters of a path and its query that the record shows.
const PATH_SHOWN: usize = 512;

/// Passes a request on, and records it once it is answered.
pub(super) async fn audit(
    Extension(Principal { name, way, .. }): Extension<Principal>,
    Extension(records): Extension<broadcast::Sender<Arc<Record>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let source = request.extensions().get::<Client>().map(|client| client.address);
    let method = request.method().to_string();
    let path = request.uri().path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
    let path: String = path.chars().take(PATH_SHOWN).collect();
    let mut body = None;
    if request.body().size_hint().upper().is_some_and(|size| size <= SHOWN as u64) {
        let whole = match read(std::mem::take(request.body_mut()), SHOWN).await {
            Ok(whole) => whole,
            Err(fault) => return fault.into_response(),
        };
        body = Some(String::from_utf8_lossy(&whole).into_owned());
        *request.body_mut() = Body::from(whole);
    }
    let response = next.run(request).await;
    let status = response.status().as_u16();
    Record::Changed { name, way, address: source, method, path, body, status }.publish(&records);
    response
}
