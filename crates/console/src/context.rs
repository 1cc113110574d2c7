//! The user of a request.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::preferences;
use super::theme::Theme;
use sipward_model::wire::Scope;
use sipward_server::http::{Client, Principal};

/// Header of a request for only the parts of a page that change.
const PART: &str = "sipward-part";

/// The user of a request, and the permissions.
#[derive(Clone, Debug)]
pub(super) struct ViewContext {
    pub(super) name: String,
    /// Without it, pages have no buttons.
    pub(super) may_write: bool,
    /// The client's address on the network, which no manual ban should cover.
    pub(super) address: Option<IpAddr>,
    /// The script wants only the parts that change.
    pub(super) wants_part: bool,
    pub(super) theme: Theme,
    /// This browser hides the list of first steps.
    pub(super) hides_steps: bool,
}

#[cfg(test)]
impl ViewContext {
    /// A user on the Unix socket.
    pub(super) fn named(name: &str, may_write: bool) -> Self {
        let (name, theme) = (name.to_owned(), Theme::default());
        Self { name, may_write, address: None, wants_part: false, theme, hides_steps: false }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ViewContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<Client>().map(|client| client.address);
        // `auth` rejects requests without a principal; without one, nothing may be changed.
        let principal = parts.extensions.get::<Principal>();
        Ok(Self {
            name: principal.map_or_else(String::new, |principal| principal.name.clone()),
            may_write: principal.is_some_and(|principal| principal.scope >= Scope::Write),
            address,
            wants_part: parts.headers.contains_key(PART),
            theme: Theme::of(&parts.headers),
            hides_steps: preferences::hides_steps(&parts.headers),
        })
    }
}
