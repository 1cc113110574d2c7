//! What an operator may choose about the kernel side.

mod shield;

pub use self::shield::{HealthyLimits, OwnLimits, ShieldSettings, USUAL_REQUESTS};

/// Where and how routes, rules and the gate are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Route protocol number that marks our routes and rules (`rtm_protocol`). Range 5 to 255 without
    /// the numbers that routing daemons use (`/etc/iproute2/rt_protos`); default 216.
    pub protocol: u8,
    /// Routing table of the bans.
    pub table: BanTable,
    /// The gate.
    pub gate: GateSettings,
}

/// Which routing table holds the bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanTable {
    /// The main table; where rules of others are read before it and may answer for a banned host, a table
    /// of our own (216, or the first of 218 to 225 that nobody uses), with a rule before theirs. Bans move
    /// while they stand when such a rule comes later. This is the default.
    Auto {
        /// Preference of that rule, 1 to 999; lower where theirs is. Default 900.
        preference: u32,
    },
    /// The main table. Rules of others that are read before it are named
    /// ([`Coverage::gaps`](crate::Coverage::gaps)), and nothing is done about them.
    Main,
    /// A separate table.
    Own(OwnTable),
}

impl Default for BanTable {
    fn default() -> Self {
        Self::Auto { preference: RULE_PREFERENCE }
    }
}

/// A separate routing table, with the `ip rule` that makes the kernel read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTable {
    /// Table number; not 0 nor the kernel's 253 to 255.
    pub id: u32,
    /// Preference of the rule, 1 to 999: before everything an administrator usually sets.
    pub preference: u32,
}

/// The gate: what makes the kernel drop packets *from* a blackholed source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateSettings {
    /// What stops them.
    pub mode: GateMode,
    /// Name of the nftables table (family inet), 1 to 31 letters, digits, `_` or `-`. Default `sipward`.
    pub table_name: String,
    /// Packet mark bit used for the IPv4 lookup; exactly one bit, not used by other programs on this host.
    /// Default `0x2000_0000`.
    pub mark: u32,
    /// Preference of the rule `fwmark MARK lookup TABLE`. Must come after the rules that find bans and
    /// ordinary routes (32766, 32767): 32768 or more. Default 40000.
    pub rule_preference: u32,
    /// Table that holds the fallback `default dev lo`; not 0, not the kernel's 253 to 255 and not the
    /// bans' own. Default 217.
    pub fallback_table: u32,
    /// Ports on which SIP is spoken, over UDP and TCP (`WebSockets` included): packets to them are counted
    /// ([`Report::Packets`](crate::Report::Packets)) and shielded. 1 to 65,535 each, at most 64 of them; none
    /// means that nothing is counted or shielded. Default 5060, 5061, 5066, 5080, 5081, 7443.
    pub sip_ports: Vec<u16>,
    /// The shield of the SIP ports; `None` is off. Needs the gate. Default: for a FreeSWITCH whose
    /// limit is not known.
    pub shield: Option<ShieldSettings>,
}

/// How packets of a banned host are kept out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GateMode {
    /// Install the gate unless nothing can be banned past it: `rp_filter` drops what banned IPv4 hosts
    /// send on every interface, and this host has no IPv6 address. [`GateSettings::shield`] needs the gate
    /// in any case; counting packets does not, and happens where the gate stands.
    #[default]
    Auto,
    /// Leave the firewall alone; rely on `rp_filter` (IPv4 only) and say what is not covered.
    RpFilter,
    /// Leave the firewall alone and say what is not covered.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self { protocol: 216, table: BanTable::default(), gate: GateSettings::default() }
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
            sip_ports: vec![5060, 5061, 5066, 5080, 5081, 7443],
            shield: Some(ShieldSettings::default()),
        }
    }
}

/// SIP ports at most. A host has a handful per profile; this bounds the set in the kernel.
pub const MOST_SIP_PORTS: usize = 64;

/// Preference of the rule of an own table, where nobody says another.
pub const RULE_PREFERENCE: u32 = 900;
/// Number of the main routing table (`RT_TABLE_MAIN`).
pub(crate) const MAIN_TABLE: u32 = 254;
/// The kernel's own tables: default, main, local.
const KERNEL_TABLES: std::ops::RangeInclusive<u32> = 253..=255;
/// Protocol numbers with an owner in `/etc/iproute2/rt_protos` or `linux/rtnetlink.h`, above the
/// kernel's own 0 to 4.
const KNOWN_PROTOCOLS: [u8; 19] =
    [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 42, 84, 99, 186, 187, 188, 189, 192];
/// Preference of the kernel's last rule, `from all lookup default`.
const LAST_KERNEL_PREFERENCE: u32 = 32_767;
/// First preference above which administrators and other programs put theirs.
const FIRST_FOREIGN_PREFERENCE: u32 = 1000;
/// Bytes of an nftables table name we accept; the kernel takes 255, listings read better with fewer.
const LONGEST_TABLE_NAME: usize = 31;

impl Settings {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the first setting that cannot work and what would.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.protocol < 5 || KNOWN_PROTOCOLS.contains(&self.protocol) {
            return Err(SettingsError::Protocol(self.protocol));
        }
        if let BanTable::Own(own) = self.table
            && !is_free_table(own.id)
        {
            return Err(SettingsError::Table(own.id));
        }
        match self.table {
            BanTable::Own(OwnTable { preference, .. }) | BanTable::Auto { preference }
                if !(1..FIRST_FOREIGN_PREFERENCE).contains(&preference) =>
            {
                return Err(SettingsError::Preference(preference));
            }
            BanTable::Own(_) | BanTable::Auto { .. } | BanTable::Main => {}
        }
        self.check_gate()
    }

    fn check_gate(&self) -> Result<(), SettingsError> {
        let gate = &self.gate;
        if !gate.mark.is_power_of_two() {
            return Err(SettingsError::Mark(gate.mark));
        }
        if gate.rule_preference <= LAST_KERNEL_PREFERENCE {
            return Err(SettingsError::RulePreference(gate.rule_preference));
        }
        if !is_free_table(gate.fallback_table) {
            return Err(SettingsError::Table(gate.fallback_table));
        }
        if matches!(self.table, BanTable::Own(own) if own.id == gate.fallback_table) {
            return Err(SettingsError::SharedTable(gate.fallback_table));
        }
        let name_ok = (1..=LONGEST_TABLE_NAME).contains(&gate.table_name.len())
            && gate
                .table_name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !name_ok {
            return Err(SettingsError::TableName(gate.table_name.clone()));
        }
        self.check_sip()
    }

    fn check_sip(&self) -> Result<(), SettingsError> {
        let gate = &self.gate;
        if gate.sip_ports.len() > MOST_SIP_PORTS {
            return Err(SettingsError::SipPorts(gate.sip_ports.len()));
        }
        if gate.sip_ports.contains(&0) {
            return Err(SettingsError::SipPort);
        }
        gate.shield.as_ref().map_or(Ok(()), ShieldSettings::check)
    }
}

impl GateSettings {
    /// Whether packets to the SIP ports are counted where the gate stands.
    pub(crate) fn counts(&self) -> bool {
        !self.sip_ports.is_empty()
    }

    /// The shield, where there is something to shield.
    pub(crate) fn effective_shield(&self) -> Option<&ShieldSettings> {
        self.shield.as_ref().filter(|_| self.counts())
    }
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum SettingsError {
    #[error(
        "route protocol {0} belongs to the kernel or a routing daemon; choose a free number from 5 to 255"
    )]
    Protocol(u8),
    #[error("routing table {0} is the kernel's; choose another number than 0 and 253 to 255")]
    Table(u32),
    #[error("rule preference {0} must be 1 to 999, before the rules of others")]
    Preference(u32),
    #[error("gate mark {0:#x} must have exactly one bit set, which nobody else on this host uses")]
    Mark(u32),
    #[error("gate rule preference {0} must be above 32767, after all rules that find routes")]
    RulePreference(u32),
    #[error("table {0} cannot hold both the bans and the gate's fallback")]
    SharedTable(u32),
    #[error("nftables table name {0:?} must be 1 to 31 letters, digits, '_' or '-'")]
    TableName(String),
    #[error("{0} SIP ports are too many; at most 64 can be counted and shielded")]
    SipPorts(usize),
    #[error("0 is no SIP port; choose from 1 to 65535")]
    SipPort,
    #[error("{value} is not between {least} and {most}")]
    Shield { key: &'static str, value: u32, least: u32, most: u32 },
}

fn is_free_table(id: u32) -> bool {
    id != 0 && !KERNEL_TABLES.contains(&id)
}

#[cfg(test)]
mod tests;
