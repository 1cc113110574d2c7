//! Files with the locations of addresses.

use std::path::PathBuf;

/// Files at most: a country or city file, one of autonomous systems, and both again for another provider.
pub const MAX_GEO_FILES: usize = 4;

/// `[geo]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoSettings {
    /// The files. A later one fills in what those before it do not say.
    pub files: Vec<PathBuf>,
}
