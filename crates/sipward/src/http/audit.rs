//! Who changed what: a record of every request that may change something.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::broadcast;

use super::auth::scope_needed;
use super::client::Client;
use super::principal::Principal;
use crate::http::extract::read;
use crate::model::Scope;
use crate::record::Record;

/// Longest body that the record shows, in bytes. Bodies name bans, hosts and limits; none holds a secret.
const SHOWN: usize = 1024;

/// Characters of a path and its query that the record shows.
const PATH_SHOWN: usize = 512;

/// Passes a request on, and tells of it once it is answered.
pub(crate) async fn audit(
    State(records): State<broadcast::Sender<Arc<Record>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let changes = scope_needed(request.method(), request.uri().path()) == Scope::Write;
    // A login has no principal yet, and a record of its own.
    let principal = request.extensions().get::<Principal>().filter(|_| changes).cloned();
    let Some(Principal { name, way, .. }) = principal else {
        return next.run(request).await;
    };
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
    Record::Changed { name, way, source, method, path, body, status }.publish(&records);
    response
}
