//! What `[store]` sets.

use std::path::PathBuf;
use std::time::Duration;

/// Where the store is, and how much of the past it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where.
    pub location: StoreLocation,
    /// Age at which an event leaves the history. Range 1 h to 10 years; default 90 d.
    pub keep_history: Duration,
    /// Events kept in the history. Range 1,000 to 100,000,000; default 250,000 (about 125 MB).
    pub max_history: u64,
    /// Bans of observe mode are kept apart from those that the kernel enforces.
    pub observe: bool,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            location: StoreLocation::File("/var/lib/sipward/sipward.db".into()),
            keep_history: Duration::from_secs(90 * 24 * 3_600),
            max_history: 250_000,
            observe: false,
        }
    }
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// In this file and, beside it, its write-ahead log.
    File(PathBuf),
    /// In memory: nothing outlives the process.
    Memory,
}
