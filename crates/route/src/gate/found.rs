//! How the gate is found.

/// How the gate was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateState {
    /// Table, chain, rules, sets and policy rule are as these settings want them.
    Standing {
        /// Packets of banned sources and denied flows that it has dropped since it was set.
        dropped: u64,
    },
    /// Nothing of it is there.
    Missing,
    /// Some of it is missing or is not as it should be.
    Damaged {
        /// What.
        what: &'static str,
    },
    /// Another program has a table with its name.
    Foreign,
    /// It could not be looked at.
    Unknown {
        /// Why: as a rule, `CAP_NET_ADMIN` is missing.
        reason: String,
    },
}
