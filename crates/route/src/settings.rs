//! What an operator may choose about the kernel side.

/// Where and how routes, rules and the gate are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Route protocol number that marks our routes (`rtm_protocol`). Range 5 to 255 without the
    /// numbers that the kernel and routing daemons use; default 216.
    pub protocol: u8,
    /// Routing table; `None` is the main table.
    pub table: Option<OwnTable>,
    /// The gate.
    pub gate: GateSettings,
}

/// A routing table of our own, with the `ip rule` that makes the kernel read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTable {
    /// Table number.
    pub id: u32,
    /// Preference of the rule; below 1000.
    pub preference: u32,
}

/// The gate: what makes the kernel drop packets *from* a blackholed source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateSettings {
    /// What stops them.
    pub mode: GateMode,
    /// Name of the nftables table. Default `sipward`.
    pub table_name: String,
    /// Packet mark bit used for the IPv4 lookup; exactly one bit. Default `0x2000_0000`.
    pub mark: u32,
    /// Preference of the rule `fwmark MARK lookup TABLE`. Default 40000.
    pub rule_preference: u32,
    /// Table that holds the fallback `default dev lo`. Default 217.
    pub fallback_table: u32,
}

/// How packets of a banned host are kept out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GateMode {
    /// Install the gate unless nothing can be banned past it.
    #[default]
    Auto,
    /// Leave the firewall alone; rely on `rp_filter` (IPv4 only) and say what is not covered.
    RpFilter,
    /// Leave the firewall alone: only replies are stopped.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            protocol: 216,
            table: None,
            gate: GateSettings::default(),
        }
    }
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            mode: GateMode::Auto,
            table_name: "sipward".to_owned(),
            mark: 0x2000_0000,
            rule_preference: 40_000,
            fallback_table: 217,
        }
    }
}
