//! `[geo]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::{GeoSettings, MAX_GEO_FILES};

/// `[geo]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GeoFile {
    files: Option<Vec<PathBuf>>,
}

impl GeoFile {
    pub(super) fn checked(self) -> Result<GeoSettings, Problem> {
        let files = self.files.unwrap_or_default();
        if files.len() > MAX_GEO_FILES {
            let message = format!("{} files, more than {MAX_GEO_FILES}", files.len());
            return Err(Problem::new("geo.files", message));
        }
        match files.iter().find(|file| !file.is_absolute()) {
            Some(file) => {
                let message = format!("`{}` is not an absolute path", file.display());
                Err(Problem::new("geo.files", message))
            }
            None => Ok(GeoSettings { files }),
        }
    }
}
