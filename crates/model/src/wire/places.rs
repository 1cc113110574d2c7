//! Countries and networks of the attackers, from the files of `[geo]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use super::Memory;
use crate::text::Time;

/// An ISO 3166-1 code of a country: two letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// The letters, in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // They are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Its place in the order of codes.
    #[must_use]
    pub fn rank(self) -> u64 {
        u16::from_be_bytes(self.0).into()
    }
}

impl FromStr for CountryCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match *text.as_bytes() {
            [one, two] if one.is_ascii_alphabetic() && two.is_ascii_alphabetic() => {
                Ok(Self([one.to_ascii_uppercase(), two.to_ascii_uppercase()]))
            }
            _ => Err("write the two letters of a country, such as DE (ISO 3166-1)".to_owned()),
        }
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for CountryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a table of places is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaceBy {
    /// Countries.
    #[default]
    Country,
    /// Networks (autonomous systems).
    Network,
}

/// Which table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PlaceQuery {
    /// What it is about; `country` when left out.
    #[param(inline)]
    pub by: Option<PlaceBy>,
    /// Lines, 1 to 1000; 100 when left out.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
}

/// Where failures and bans come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlaceList {
    /// What it is about.
    pub by: PlaceBy,
    /// Whether there are files to look into (`[geo] files`). Without one there are no items.
    pub located: bool,
    /// The places with the most failures that count first, then those with the most bans.
    #[schema(max_items = 1000)]
    pub items: Vec<Place>,
    /// Different ones in all.
    pub total: u64,
    /// Failures of addresses that the files do not place.
    pub unlocated_failures: u64,
    /// Bans of networks that the files do not place.
    pub unlocated_bans: u64,
    /// What the failures were counted from.
    pub memory: Memory,
}

/// A country or a network, with its failures and bans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// ISO 3166-1 code of the country; `null` for a network.
    #[schema(value_type = Option<String>, example = "NL")]
    pub country: Option<CountryCode>,
    /// Number of the autonomous system; `null` for a country.
    pub as_number: Option<u32>,
    /// The country in English, or the owner of the network; `null` where the files do not say it.
    pub name: Option<String>,
    /// Failures.
    pub failures: u64,
    /// Failures among them that are not forgeable: `answered` and `assumed`.
    pub proved: u64,
    /// Failures among these that are no phone's that needs attention and no exempt host's: attacks, as far as anybody
    /// can know.
    #[serde(default)]
    pub counted: u64,
    /// Distinct addresses that failed.
    pub sources: u64,
    /// Bans now. A banned network counts where its first address is.
    pub bans: u64,
    /// The last failure; `null` where only bans are known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last: Option<Time>,
}
