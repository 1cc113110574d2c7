//! What a route needs: each is mounted by [`read`] or [`write()`].

use axum::Extension;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;

use super::audit::audit;
use super::error::ApiError;
use super::principal::Principal;
use sipward_model::wire::{ProblemKind, Scope};

/// Routes that change nothing.
pub fn read<S: Clone + Send + Sync + 'static>(routes: MethodRouter<S>) -> MethodRouter<S> {
    routes.route_layer(from_fn(|principal, request, next| {
        check(Scope::Read, principal, request, next)
    }))
}

/// Routes that change something. Each request is recorded.
pub fn write<S: Clone + Send + Sync + 'static>(routes: MethodRouter<S>) -> MethodRouter<S> {
    routes.route_layer(from_fn(audit)).route_layer(from_fn(|principal, request, next| {
        check(Scope::Write, principal, request, next)
    }))
}

/// Admits a request if its user has the scope. Requests without a [`Principal`] are refused.
async fn check(
    needed: Scope,
    principal: Option<Extension<Principal>>,
    request: Request,
    next: Next,
) -> Response {
    match principal {
        Some(Extension(principal)) if principal.scope >= needed => next.run(request).await,
        Some(Extension(Principal { name, .. })) => {
            let detail = format!("`{name}` has scope read; this needs scope write");
            ApiError::new(ProblemKind::Forbidden, detail).into_response()
        }
        None => ApiError::new(ProblemKind::Unauthorized, "not logged in").into_response(),
    }
}

#[cfg(test)]
mod tests;
