//! Who looks.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::{Client, Visitor};
use crate::model::Scope;

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

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<Client>().map(|client| client.address);
        // The guard lets nobody in who is no visitor. Were one to come, he could do nothing.
        let visitor = parts.extensions.get::<Visitor>();
        Ok(Self {
            name: visitor.map_or_else(String::new, |visitor| visitor.name.clone()),
            may_write: visitor.is_some_and(|visitor| visitor.scope >= Scope::Write),
            address,
        })
    }
}
