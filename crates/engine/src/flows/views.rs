//! A denied flow as others see it.

use std::sync::Arc;

use serde::Serialize;

use crate::bans::shared;
use crate::{Cause, Enforcement, Flow, Timestamp};

/// A denied flow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlowView<'a> {
    /// The flow.
    pub flow: Flow,
    /// Its beginning.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Why: always a rule.
    #[serde(serialize_with = "shared")]
    pub cause: &'a Arc<Cause>,
    /// What the kernel made of it.
    pub enforcement: &'a Enforcement,
}
