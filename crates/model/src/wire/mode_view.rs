//! The mode as the API shows and changes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Healthy, Mode, words};

/// The mode, and what the kernel holds in mode `ban`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModeView {
    /// The mode in force.
    #[schema(schema_with = words::mode)]
    pub mode: Mode,
    /// The mode of the configuration file.
    #[schema(schema_with = words::mode)]
    pub file: Mode,
    /// The command line (`--dry-run`) has set it: it cannot be changed.
    pub is_fixed: bool,
    /// Active bans. In mode `observe` they are what a change to mode `ban` blocks at once.
    pub bans: u64,
    /// Active denials of single flows, for which the same is true.
    pub flows: u64,
    /// Bans that cover hosts which are registered, known or exempt.
    pub bans_of_healthy: u64,
    /// The first of them, at most 20.
    pub healthy: Vec<Healthy>,
}

/// A change of the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMode {
    /// `ban` sets every active ban in the kernel, `observe` removes all of them from it. It lasts beyond a restart,
    /// until the configuration file has another mode than now.
    #[schema(schema_with = words::mode)]
    pub mode: Mode,
}
