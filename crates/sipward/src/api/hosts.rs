//! `/hosts/{address}` and `/whois/{address}`: whose an address is.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::{Api, net_of};
use crate::config::Config;
use crate::geo::{self, Geo};
use crate::http::error::{self, Answer, ApiError};
use crate::http::extract::Place;
use crate::model::{Host, HostName, Location, Problem, ProblemKind, WhoisReport};
use crate::reverse::Reverse;
use crate::whois::{Whois, WhoisError};

/// After this time, in seconds, at least one question of the limit is free again.
const RETRY: u32 = 60;

/// Whom the handlers ask about addresses.
#[derive(Clone, Debug)]
pub(crate) struct Lookups {
    pub(crate) whois: Arc<Whois>,
    pub(crate) geo: Arc<Geo>,
    pub(crate) reverse: Reverse,
}

impl Lookups {
    /// Asks nothing, and has read no file yet.
    pub(crate) fn new(config: &Config) -> Self {
        let whois = Arc::new(Whois::new(config.whois.clone()));
        Self { whois, geo: Arc::default(), reverse: Reverse::default() }
    }
}

/// The name of an address in DNS, and where it is by the files of `[geo]`.
///
/// Names are asked for here and nowhere else; it takes at most two seconds. Of a network its first address is
/// looked at.
#[utoipa::path(
    get, path = "/api/v1/hosts/{address}", tag = "sources",
    params(("address" = String, Path, description = "An IPv4 or IPv6 address, or a network")),
    responses(
        (status = 200, description = "What is known of it", body = Host), error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn show(State(api): State<Api>, Place(address): Place) -> Answer<Host> {
    let address = address_of(&address)?;
    let (names, names_error) = match api.lookups.reverse.look_up(address).await {
        Ok(name) => (name.into_iter().map(name_of).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let location = api.lookups.geo.look_up(address).map(location);
    let located = !api.lookups.geo.is_empty();
    Ok(Json(Host { address, names, names_error, location, located }))
}

/// Whom an address belongs to, as its registry says.
///
/// A server of the registries is asked, unless the answer is remembered. Of a network its first address is
/// looked at.
#[utoipa::path(
    get, path = "/api/v1/whois/{address}", tag = "sources",
    params(("address" = String, Path, description = "An IPv4 or IPv6 address, or a network")),
    responses(
        (status = 200, description = "What the registry says", body = WhoisReport),
        (status = 429, description = "Too many were asked for within a minute", body = Problem,
         content_type = "application/problem+json",
         headers(("Retry-After" = u32, description = "Seconds until one may be asked for again"))),
        (status = 502, description = "The server could not be asked", body = Problem,
         content_type = "application/problem+json"),
        (status = 504, description = "The server did not answer in time", body = Problem,
         content_type = "application/problem+json"),
        error::QueryErrors, error::CommonErrors
    )
)]
pub(crate) async fn whois(State(api): State<Api>, Place(address): Place) -> Answer<WhoisReport> {
    let address = address_of(&address)?;
    let known = api.lookups.whois.recall(address);
    let cached = known.is_some();
    let found = match known {
        Some(found) => found,
        None => api.lookups.whois.look_up(address).await,
    };
    let answer = found.map_err(|error| {
        let detail = error.to_string();
        match error {
            WhoisError::NotPublic(_) => ApiError::field("address", detail),
            WhoisError::TooMany(_) => {
                ApiError::new(ProblemKind::TooMany, detail).retry_after(RETRY)
            }
            WhoisError::TimedOut(_) => ApiError::new(ProblemKind::NoAnswer, detail),
            WhoisError::Server { .. } => ApiError::new(ProblemKind::BadGateway, detail),
        }
    })?;
    Ok(Json(WhoisReport { address, server: answer.server, text: answer.text, cached }))
}

fn address_of(text: &str) -> Result<IpAddr, ApiError> {
    Ok(net_of("address", text)?.network().to_canonical())
}

fn name_of(name: crate::reverse::Name) -> HostName {
    let crate::reverse::Name { name, confirmed } = name;
    HostName { name, confirmed }
}

/// What the files say, on the wire.
pub(super) fn location(place: geo::Place) -> Location {
    let geo::Place { country, country_name, city, as_number, as_name, network } = place;
    Location { country, country_name, city, as_number, as_name, network }
}
