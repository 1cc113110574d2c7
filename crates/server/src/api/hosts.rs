//! `/hosts/{address}` and `/whois/{address}`: the owner of an address.

use axum::Json;
use axum::extract::State;

use super::{Api, address_of};
use crate::http::error::{self, Answer};
use crate::http::extract::Place;
use sipward_model::wire::{Host, Problem, WhoisReport};

/// The name of an address in DNS, and where it is by the files of `[geo]`.
///
/// Names are asked for here and nowhere else; it takes at most two seconds. Of a network its first address is
/// looked at.
#[utoipa::path(
    get, path = "/api/v1/hosts/{address}", tag = "sources",
    params(("address" = String, Path, description = "An IPv4 or IPv6 address, or a network")),
    responses(
        (status = 200, description = "The known \
            facts", body = Host), error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn show(State(api): State<Api>, Place(address): Place) -> Answer<Host> {
    Ok(Json(api.control.host(address_of(&address)?).await?))
}

/// Whom an address belongs to, as its registry says.
///
/// A server of the registries is asked, unless the answer is remembered. Of a network its first address is
/// looked at.
#[utoipa::path(
    get, path = "/api/v1/whois/{address}", tag = "sources",
    params(("address" = String, Path, description = "An IPv4 or IPv6 address, or a network")),
    responses(
        (status = 200, description = "The answer of the registry", body = WhoisReport),
        (status = 429, description = "Too many requests within a minute", body = Problem,
         content_type = "application/problem+json",
         headers(("Retry-After" = u32, description = "Seconds until the next request is allowed"))),
        (status = 502, description = "The server is unavailable", body = Problem,
         content_type = "application/problem+json"),
        (status = 504, description = "The server did not answer in time", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(super) async fn whois(State(api): State<Api>, Place(address): Place) -> Answer<WhoisReport> {
    Ok(Json(api.control.whois(address_of(&address)?).await?))
}
