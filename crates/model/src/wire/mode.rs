//! Whether bans are carried out.

use serde::{Deserialize, Serialize};

/// Ban, or watch only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Set routes.
    #[default]
    Ban,
    /// Do everything but touch the kernel.
    Observe,
}

impl Mode {
    /// `ban` or `observe`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Observe => "observe",
        }
    }
}
