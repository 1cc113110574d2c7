//! How long tests wait for what must come.

use std::time::Duration;

/// How long anything may take that should take milliseconds, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(15);
