//! `[store]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::set;
use super::span::{self, Span};
use crate::error::Problem;
use crate::{StoreLocation, StoreSettings};

/// The path that means "in memory", as in SQLite.
const MEMORY: &str = ":memory:";

const DAY: Duration = Duration::from_secs(86_400);

/// `[store]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoreFile {
    path: Option<PathBuf>,
    keep_history: Option<Span>,
    max_history: Option<u64>,
}

impl StoreFile {
    pub(super) fn checked(self) -> Result<StoreSettings, Problem> {
        let mut settings = StoreSettings::default();
        if let Some(path) = self.path {
            settings.location = location(path)?;
        }
        span::set(&mut settings.keep_history, self.keep_history);
        set(&mut settings.max_history, self.max_history);
        span::within("store.keep_history", settings.keep_history, DAY / 24..=3_650 * DAY)?;
        if !(1_000..=100_000_000).contains(&settings.max_history) {
            return Err(Problem::new(
                "store.max_history",
                format!("{} is not between 1000 and 100000000 events", settings.max_history),
            ));
        }
        Ok(settings)
    }
}

fn location(path: PathBuf) -> Result<StoreLocation, Problem> {
    if path.as_os_str() == MEMORY {
        return Ok(StoreLocation::Memory);
    }
    // A service does not choose its working directory.
    if !path.is_absolute() || path.file_name().is_none() {
        let path = path.display();
        return Err(Problem::new(
            "store.path",
            format!("`{path}` is neither an absolute path of a file nor \"{MEMORY}\""),
        ));
    }
    Ok(StoreLocation::File(path))
}
