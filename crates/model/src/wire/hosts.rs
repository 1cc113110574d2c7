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
    /// Its names in DNS; none where it has none. Anyone who owns the address writes them.
    pub names: Vec<HostName>,
    /// Why nobody knows its names.
    pub names_error: Option<String>,
    /// Where it is; `null` when the files say nothing of it, or there are none.
    pub location: Option<Location>,
    /// Whether there are files to look into (`[geo] files`).
    pub located: bool,
}

/// A name of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostName {
    /// In lower case; what does not belong into a host name stands as `?`.
    #[schema(example = "mail.example.org")]
    pub name: String,
    /// The name leads back to the address. Else anybody can have written it.
    pub confirmed: bool,
}

/// Where an address is, and in whose network, by the files of `[geo]`.
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
    /// Whose it is.
    pub as_name: Option<String>,
    /// The narrowest network that the files tell of.
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
    /// It was remembered: nobody was asked.
    pub cached: bool,
}
