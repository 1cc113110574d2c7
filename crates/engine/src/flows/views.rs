//! A denied flow as others see it.

use serde::Serialize;

use crate::kept_cause::KeptCause;
use crate::{Enforcement, Flow, Timestamp};

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
    pub cause: &'a KeptCause,
    /// What the kernel made of it.
    pub enforcement: &'a Enforcement,
}
