//! `[route]`.

use serde::{Deserialize, Serialize};
use sipward_route::{BanTable, GateMode, OwnTable, RULE_PREFERENCE, Settings, SettingsError};

use super::set;
use super::shield::{Limit, Shield};
use crate::error::Problem;

/// `[route]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RouteFile {
    protocol: Option<u8>,
    table: Option<Table>,
    rule_preference: Option<u32>,
    gate: Option<Gate>,
    gate_mark: Option<u32>,
    gate_rule_preference: Option<u32>,
    gate_fallback_table: Option<u32>,
    gate_table_name: Option<String>,
    sip_ports: Option<Ports>,
    /// What `shield.stranger_packets` was called. "off" was its default and changes nothing.
    gate_limit: Option<Limit>,
}

/// `route.table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected \"auto\", \"main\" or a table number")]
enum Table {
    Named(NamedTable),
    Own(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum NamedTable {
    Auto,
    Main,
}

/// `route.gate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Gate {
    Auto,
    RpFilter,
    Off,
}

/// `route.sip_ports`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected \"auto\" or a list of ports")]
enum Ports {
    Auto(AutoPorts),
    These(Vec<u16>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum AutoPorts {
    Auto,
}

impl RouteFile {
    /// Packets a second of one stranger, where the file still says it by its old name.
    pub(super) fn stranger_packets(&self) -> Option<u32> {
        self.gate_limit?.rate()
    }

    /// Whether FreeSWITCH says which ports there are.
    pub(super) fn has_auto_ports(&self) -> bool {
        !matches!(self.sip_ports, Some(Ports::These(_)))
    }

    /// `shield` is checked already.
    pub(super) fn checked(self, shield: &Shield) -> Result<Settings, Problem> {
        let mut settings = Settings::default();
        set(&mut settings.protocol, self.protocol);
        let preference = self.rule_preference.unwrap_or(RULE_PREFERENCE);
        settings.table = match self.table.unwrap_or(Table::Named(NamedTable::Auto)) {
            Table::Named(NamedTable::Auto) => BanTable::Auto { preference },
            Table::Named(NamedTable::Main) => BanTable::Main,
            Table::Own(id) => BanTable::Own(OwnTable { id, preference }),
        };
        let gate = &mut settings.gate;
        set(&mut gate.mode, self.gate.map(GateMode::from));
        set(&mut gate.mark, self.gate_mark);
        set(&mut gate.rule_preference, self.gate_rule_preference);
        set(&mut gate.fallback_table, self.gate_fallback_table);
        set(&mut gate.table_name, self.gate_table_name);
        if let Some(Ports::These(ports)) = self.sip_ports {
            gate.sip_ports = ports;
        }
        gate.shield = shield.settings(None);
        settings.check().map_err(|e| Problem::new(key_of(&e), e.to_string()))?;
        Ok(settings)
    }
}

impl From<Gate> for GateMode {
    fn from(gate: Gate) -> Self {
        match gate {
            Gate::Auto => Self::Auto,
            Gate::RpFilter => Self::RpFilter,
            Gate::Off => Self::Off,
        }
    }
}

/// The key that sets what is wrong.
fn key_of(error: &SettingsError) -> &'static str {
    match error {
        SettingsError::Protocol(_) => "route.protocol",
        SettingsError::Table(_) => "route.table",
        SettingsError::Preference(_) => "route.rule_preference",
        SettingsError::Mark(_) => "route.gate_mark",
        SettingsError::RulePreference(_) => "route.gate_rule_preference",
        SettingsError::SharedTable(_) => "route.gate_fallback_table",
        SettingsError::TableName(_) => "route.gate_table_name",
        SettingsError::SipPorts(_) | SettingsError::SipPort => "route.sip_ports",
        // Checked by itself, with names of its own.
        SettingsError::Shield { .. } => "shield",
    }
}
