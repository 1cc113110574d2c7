//! Where an address is and in whose network, by `.mmdb` files: those of `MaxMind`, DB-IP or `IPinfo` that tell
//! of countries, cities and autonomous systems.
//!
//! Files are read whole into memory, at the start and at each reload; a missing or damaged one is reported and
//! does without. What they say is shown without control characters.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use ipnet::IpNet;
use maxminddb::Reader;
use serde::Deserialize;

use sipward_config::{GeoSettings, MAX_GEO_FILES};
use sipward_model::record::Record;
use sipward_model::wire::CountryCode;

/// Largest file, in bytes. City files have some 120 MB.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// Longest name, in characters.
const MAX_NAME: usize = 100;

/// What is known of the place of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 code.
    pub country: Option<String>,
    /// In English.
    pub country_name: Option<String>,
    pub city: Option<String>,
    pub as_number: Option<u32>,
    pub as_name: Option<String>,
    /// The narrowest network in a file.
    pub network: Option<IpNet>,
}

/// The files that are in use.
#[derive(Debug, Default)]
pub struct Geo {
    readers: RwLock<Arc<Vec<Reader<Vec<u8>>>>>,
}

impl Geo {
    /// Reads the files anew, in place of those in use; returns the records about them. Blocks: 100 MB take
    /// a fraction of a second.
    pub fn read(&self, settings: &GeoSettings) -> Vec<Record> {
        let (mut readers, mut failed) = (Vec::new(), Vec::new());
        for file in settings.files.iter().take(MAX_GEO_FILES) {
            match open(file) {
                Ok(reader) => readers.push(reader),
                Err(error) => failed.push(Record::GeoFailed { file: file.clone(), error }),
            }
        }
        *self.readers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(readers);
        failed
    }

    /// Whether there is anything to look into.
    pub fn is_empty(&self) -> bool {
        self.finder().is_empty()
    }

    /// What the files say of `address`; `None` when nothing.
    pub fn look_up(&self, address: IpAddr) -> Option<Place> {
        self.finder().look_up(address)
    }

    /// The files as they are now, for many look-ups.
    pub fn finder(&self) -> Finder {
        Finder(Arc::clone(&self.readers.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Files that are in use, or were.
#[derive(Clone)]
pub struct Finder(Arc<Vec<Reader<Vec<u8>>>>);

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without their content.
        f.debug_tuple("Finder").field(&self.0.len()).finish()
    }
}

/// Country and autonomous system: what addresses are grouped by. Found in a fraction of the time of a [`Place`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub country: Option<CountryCode>,
    pub as_number: Option<u32>,
}

impl Finder {
    /// Whether there is anything to look into.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these are the same files, not read anew in between.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What the files say of `address`; `None` when nothing.
    pub fn look_up(&self, address: IpAddr) -> Option<Place> {
        let mut place = Place::default();
        for reader in self.0.iter() {
            place.fill(reader, address);
        }
        (place != Place::default()).then_some(place)
    }

    /// Country and autonomous system of `address`, as far as the files say them.
    pub fn origin(&self, address: IpAddr) -> Origin {
        let mut origin = Origin::default();
        for reader in self.0.iter() {
            origin.fill(reader, address);
        }
        origin
    }
}

impl Origin {
    fn fill(&mut self, reader: &Reader<Vec<u8>>, address: IpAddr) {
        let Ok(found) = reader.lookup(address) else { return };
        let Ok(Some(entry)) = found.decode::<Codes<'_>>() else { return };
        if self.country.is_none() {
            let country = entry.country.or(entry.registered_country);
            self.country = country.and_then(|country| country.iso_code?.parse().ok());
        }
        if self.as_number.is_none() {
            self.as_number = entry.autonomous_system_number;
        }
    }
}

fn open(file: &Path) -> Result<Reader<Vec<u8>>, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE {
        return Err(format!("{size} bytes exceed the limit of {MAX_FILE}"));
    }
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    Reader::from_source(bytes).map_err(|error| error.to_string())
}

/// What files of all providers have in common, as far as it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
    registered_country: Option<Country<'a>>,
    city: Option<City<'a>>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Country<'a> {
    iso_code: Option<&'a str>,
    #[serde(borrow)]
    names: BTreeMap<&'a str, &'a str>,
}

/// Of an [`Entry`] what an [`Origin`] needs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Codes<'a> {
    #[serde(borrow)]
    country: Option<Code<'a>>,
    registered_country: Option<Code<'a>>,
    autonomous_system_number: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Code<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct City<'a> {
    #[serde(borrow)]
    names: BTreeMap<&'a str, &'a str>,
}

impl Place {
    fn fill(&mut self, reader: &Reader<Vec<u8>>, address: IpAddr) {
        let Ok(found) = reader.lookup(address) else { return };
        // A file damaged in the middle says nothing there.
        let Ok(Some(entry)) = found.decode::<Entry<'_>>() else { return };
        let network = found.network().ok();
        let network = network.and_then(|net| IpNet::new(net.ip(), net.prefix()).ok());
        let narrower =
            |old: IpNet, new: IpNet| if new.prefix_len() > old.prefix_len() { new } else { old };
        self.network = match (self.network, network) {
            (Some(old), Some(new)) => Some(narrower(old, new)),
            (old, new) => old.or(new),
        };
        let country = entry.country.or(entry.registered_country);
        if let Some(Country { iso_code, names }) = country {
            fill(&mut self.country, iso_code);
            fill(&mut self.country_name, names.get("en").copied());
        }
        let city = entry.city.unwrap_or_default();
        fill(&mut self.city, city.names.get("en").copied());
        if self.as_number.is_none() {
            self.as_number = entry.autonomous_system_number;
        }
        fill(&mut self.as_name, entry.autonomous_system_organization);
    }
}

fn fill(field: &mut Option<String>, said: Option<&str>) {
    if field.is_none() {
        *field = said.map(readable).filter(|said| !said.is_empty());
    }
}

/// A name without what a terminal may obey.
fn readable(name: &str) -> String {
    let harmless =
        |c: char| if c.escape_debug().len() > 1 && !"\"'\\".contains(c) { '?' } else { c };
    name.chars().take(MAX_NAME).map(harmless).collect()
}

#[cfg(test)]
mod tests;
