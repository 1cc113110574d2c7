//! Who looks.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// Who looks, and what he may do.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    pub(super) name: String,
    /// Else he sees no buttons.
    pub(super) may_write: bool,
    /// From where, when over the network: no ban by hand should hit it.
    pub(super) address: Option<IpAddr>,
}

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(_parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { name: "socket".to_owned(), may_write: true, address: None })
    }
}
