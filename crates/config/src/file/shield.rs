//! `[shield]`.

use serde::{Deserialize, Serialize};
use sipward_route::{SettingsError, ShieldSettings};

use super::set;
use crate::error::Problem;

/// `[shield]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ShieldFile {
    mode: Option<Switch>,
    packets: Option<Written>,
    connections: Option<Written>,
    tcp_bytes: Option<Written>,
    stranger_packets: Option<u32>,
    stranger_connections: Option<u32>,
    stranger_tcp_bytes: Option<u32>,
    healthy_packets: Option<u32>,
    healthy_burst: Option<u32>,
    healthy_tcp_bytes: Option<u32>,
    healthy_together: Option<Written>,
    healthy_together_tcp_bytes: Option<Written>,
    guaranteed_packets: Option<u32>,
    guaranteed_tcp_bytes: Option<u32>,
    unlimited_packets: Option<Limit>,
}

/// `shield.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Switch {
    #[default]
    On,
    Off,
}

/// A share of what FreeSWITCH takes, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected \"auto\", \"off\" or a number")]
enum Written {
    Word(Word),
    Fixed(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Auto,
    Off,
}

/// `shield.unlimited_packets`, and `route.gate_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected \"off\" or packets a second")]
pub(super) enum Limit {
    Off(NoLimit),
    Rate(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NoLimit {
    Off,
}

impl Limit {
    /// Packets a second; none when it is off.
    pub(super) fn rate(self) -> Option<u32> {
        match self {
            Self::Off(NoLimit::Off) => None,
            Self::Rate(rate) => Some(rate),
        }
    }
}

/// The shield as it is chosen. What is `Auto` depends on what FreeSWITCH takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shield {
    /// Whether there is one.
    pub is_on: bool,
    /// UDP packets a second of all strangers; by itself 40 % of the requests that FreeSWITCH takes.
    pub packets: Share,
    /// New TCP connections a second of all strangers; by itself 10 %.
    pub connections: Share,
    /// Bytes a second of all strangers over TCP; by itself 250 for each of the 40 %.
    pub tcp_bytes: Share,
    /// UDP packets a second of all healthy hosts; by itself 50 %.
    pub healthy_together: Share,
    /// Bytes a second of all healthy hosts over TCP; by itself 250 for each of the 50 %.
    pub healthy_together_tcp_bytes: Share,
    /// The limits that are the same for every FreeSWITCH.
    pub fixed: ShieldSettings,
}

/// A limit that may depend on what FreeSWITCH takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// Its share of what FreeSWITCH takes.
    #[default]
    Auto,
    /// No limit.
    Off,
    /// This much.
    Fixed(u32),
}

impl Shield {
    /// The limits for a FreeSWITCH whose profiles take at least `requests` a second
    /// (`max-recv-requests-per-second`); `None` or 0 where that is unknown. `None` is no shield.
    #[must_use]
    pub fn settings(&self, requests: Option<u32>) -> Option<ShieldSettings> {
        let auto = ShieldSettings::for_requests(requests);
        let mut settings = self.fixed;
        settings.packets = self.packets.or(auto.packets);
        settings.connections = self.connections.or(auto.connections);
        settings.tcp_bytes = self.tcp_bytes.or(auto.tcp_bytes);
        settings.healthy.together = self.healthy_together.or(auto.healthy.together);
        settings.healthy.together_tcp_bytes =
            self.healthy_together_tcp_bytes.or(auto.healthy.together_tcp_bytes);
        self.is_on.then_some(settings)
    }
}

impl Default for Shield {
    fn default() -> Self {
        Self {
            is_on: true,
            packets: Share::Auto,
            connections: Share::Auto,
            tcp_bytes: Share::Auto,
            healthy_together: Share::Auto,
            healthy_together_tcp_bytes: Share::Auto,
            fixed: ShieldSettings::default(),
        }
    }
}

impl Share {
    fn or(self, auto: Option<u32>) -> Option<u32> {
        match self {
            Self::Auto => auto,
            Self::Off => None,
            Self::Fixed(value) => Some(value),
        }
    }
}

impl From<Written> for Share {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Auto) => Self::Auto,
            Written::Word(Word::Off) => Self::Off,
            Written::Fixed(value) => Self::Fixed(value),
        }
    }
}

impl ShieldFile {
    /// `stranger_packets` as `route.gate_limit` says it.
    pub(super) fn checked(self, stranger_packets: Option<u32>) -> Result<Shield, Problem> {
        let mut shield = Shield { is_on: self.mode != Some(Switch::Off), ..Shield::default() };
        set(&mut shield.packets, self.packets.map(Share::from));
        set(&mut shield.connections, self.connections.map(Share::from));
        set(&mut shield.tcp_bytes, self.tcp_bytes.map(Share::from));
        set(&mut shield.healthy_together, self.healthy_together.map(Share::from));
        let bytes = self.healthy_together_tcp_bytes.map(Share::from);
        set(&mut shield.healthy_together_tcp_bytes, bytes);
        let ShieldSettings { own, healthy, unlimited, .. } = &mut shield.fixed;
        set(&mut own.packets, self.stranger_packets.or(stranger_packets));
        set(&mut own.connections, self.stranger_connections);
        set(&mut own.tcp_bytes, self.stranger_tcp_bytes);
        set(&mut healthy.packets, self.healthy_packets);
        set(&mut healthy.burst, self.healthy_burst);
        set(&mut healthy.tcp_bytes, self.healthy_tcp_bytes);
        set(&mut healthy.guaranteed, self.guaranteed_packets);
        set(&mut healthy.guaranteed_tcp_bytes, self.guaranteed_tcp_bytes);
        *unlimited = self.unlimited_packets.and_then(Limit::rate);
        let settings = Shield { is_on: true, ..shield }.settings(None);
        settings.as_ref().map_or(Ok(()), ShieldSettings::check).map_err(|error| {
            let is_old = self.stranger_packets.is_none() && stranger_packets.is_some();
            problem(&error, is_old)
        })?;
        Ok(shield)
    }
}

/// `is_old`: the packets of a stranger are written by their old name.
fn problem(error: &SettingsError, is_old: bool) -> Problem {
    let key = match error {
        SettingsError::Shield { key: "stranger_packets", .. } if is_old => {
            "route.gate_limit".to_owned()
        }
        SettingsError::Shield { key, .. } => format!("shield.{key}"),
        _ => "shield".to_owned(),
    };
    Problem::new(key, error.to_string())
}
