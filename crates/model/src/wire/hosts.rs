//! Whose an address is.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The name of an address, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// The address.
    #[schema(value_type = String, example = "203.0.113.7")]
    pub address: IpAddr,
    /// Its names in DNS, if any. The owner of the address controls them.
    pub names: Vec<HostName>,
    /// Why its names are unknown.
    pub names_error: Option<String>,
    /// Where it is; `null` when the files say nothing of it, or there are none.
    pub location: Option<Location>,
    /// Whether there are files to look into (`[geo] files`).
    pub located: bool,
}

/// A name of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostName {
    /// In lower case; characters that are invalid in a host name are replaced by `?`.
    #[schema(example = "mail.example.org")]
    pub name: String,
    /// The name resolves to the address. Otherwise it may be forged.
    pub confirmed: bool,
}

/// Location and network of an address, from the files of `[geo]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// ISO 3166-1 code of the country.
    #[schema(example = "NL")]
    pub country: Option<String>,
    /// Its name in English.
    pub country_name: Option<String>,
    /// The city, in English.
    pub city: Option<String>,
    /// Number of the autonomous system.
    pub as_number: Option<u32>,
    /// The owner.
    pub as_name: Option<String>,
    /// The narrowest network in the files.
    #[schema(value_type = Option<String>)]
    pub network: Option<IpNet>,
}

/// Whom an address belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhoisReport {
    /// The address.
    #[schema(value_type = String, example = "203.0.113.7")]
    pub address: IpAddr,
    /// The server that knew.
    #[schema(example = "whois.ripe.net")]
    pub server: String,
    /// Its answer, without comments and control characters.
    pub text: String,
    /// The answer was cached; no server was queried.
    pub cached: bool,
}
