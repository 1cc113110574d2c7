//! Whose an address is: DNS, whois, the files of `[geo]`.

use std::net::IpAddr;
use std::sync::Arc;

use super::Control;
use super::error::ControlError;
use crate::geo::{self, Geo};
use crate::reverse::Reverse;
use sipward_config::Config;
use sipward_model::wire::{Host, HostName, Location, WhoisReport};
use sipward_notify::whois::{Whois, WhoisError};

/// After this time, in seconds, at least one question of the limit is free again.
const RETRY: u32 = 60;

/// Whom the handlers ask about addresses.
#[derive(Clone, Debug)]
pub struct Lookups {
    pub whois: Arc<Whois>,
    pub geo: Arc<Geo>,
    pub reverse: Reverse,
}

impl Lookups {
    /// Asks nothing, and has read no file yet.
    pub fn new(config: &Config) -> Self {
        let whois = Arc::new(Whois::new(config.whois.clone()));
        Self { whois, geo: Arc::default(), reverse: Reverse::default() }
    }
}

impl Control {
    /// The name of an address in DNS, and where it is by the files of `[geo]`.
    ///
    /// Names are asked for here and nowhere else; it takes at most two seconds. Of a network its first address is
    /// looked at.
    pub async fn host(&self, address: IpAddr) -> Result<Host, ControlError> {
        let (names, names_error) = match self.lookups.reverse.look_up(address).await {
            Ok(name) => (name.into_iter().map(name_of).collect(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let location = self.lookups.geo.look_up(address).map(location);
        let located = !self.lookups.geo.is_empty();
        Ok(Host { address, names, names_error, location, located })
    }

    /// Whom an address belongs to, as its registry says.
    ///
    /// A server of the registries is asked, unless the answer is remembered. Of a network its first address is
    /// looked at.
    pub async fn whois(&self, address: IpAddr) -> Result<WhoisReport, ControlError> {
        let known = self.lookups.whois.recall(address);
        let cached = known.is_some();
        let found = match known {
            Some(found) => found,
            None => self.lookups.whois.look_up(address).await,
        };
        let answer = found.map_err(|error| {
            let detail = error.to_string();
            match error {
                WhoisError::NotPublic(_) => ControlError::field("address", detail),
                WhoisError::TooMany(_) => ControlError::TooMany { detail, retry_after: RETRY },
                WhoisError::TimedOut(_) => ControlError::NoAnswer(detail),
                WhoisError::Server { .. } => ControlError::Upstream(detail),
            }
        })?;
        Ok(WhoisReport { address, server: answer.server, text: answer.text, cached })
    }
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
