//! What an operator may choose about the shield.

use std::ops::RangeInclusive;

use super::SettingsError;

/// Requests a second and profile that FreeSWITCH takes where nothing better is known
/// (`max-recv-requests-per-second`, 1000 in FreeSWITCH's `sofia.c`).
pub const USUAL_REQUESTS: u32 = 1000;
/// Of the requests that FreeSWITCH takes, in percent: for all strangers, for all healthy hosts, for the new
/// TCP connections of strangers.
const STRANGERS_PERCENT: u32 = 40;
const HEALTHY_PERCENT: u32 = 50;
const CONNECTIONS_PERCENT: u32 = 10;
/// Bytes of a small request over TCP, by which requests become bytes. 100,000 bytes/s of pipelined OPTIONS
/// cost a FreeSWITCH nothing that took 1000 requests a second.
const REQUEST_BYTES: u32 = 250;

/// Range of the packet and connection limits, in packets a second.
const PACKETS: RangeInclusive<u32> = 1..=100_000;
/// Range of the byte limits, in bytes a second. A limit below the largest packet would let none through.
const BYTES: RangeInclusive<u32> = 2_000..=100_000_000;

/// The shield: what strangers may send to the SIP ports, one by one and all together, and what healthy
/// hosts may. Unlimited hosts pass before all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShieldSettings {
    /// UDP packets a second of all strangers of both families together; half of them are for newcomers.
    /// 2 to 100,000; `None` is off. Default 400.
    pub packets: Option<u32>,
    /// New TCP connections a second of all strangers together. 1 to 100,000; `None` is off. Default 100.
    pub connections: Option<u32>,
    /// Bytes a second of all strangers' TCP packets together, headers included. 2,000 to 100,000,000;
    /// `None` is off. Default 100,000.
    pub tcp_bytes: Option<u32>,
    /// What each stranger may send.
    pub own: OwnLimits,
    /// What healthy hosts may send.
    pub healthy: HealthyLimits,
    /// Packets a second of all unlimited hosts together. 1 to 100,000; `None`, the default, is no limit.
    pub unlimited: Option<u32>,
}

/// Limits of one stranger: an IPv4 address, an IPv6 /64. Always in force where the shield is, also while
/// the healthy hosts are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnLimits {
    /// UDP packets a second, and as many at once. 1 to 100,000; default 50.
    pub packets: u32,
    /// New TCP connections a second, and as many at once. 1 to 100,000; default 10.
    pub connections: u32,
    /// Bytes of TCP packets a second, and as many at once. 2,000 to 100,000,000; default 25,000.
    pub tcp_bytes: u32,
}

/// Limits of healthy hosts. What is above them counts as a stranger's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthyLimits {
    /// UDP packets a second of one host, for each of its registrations. 1 to 100,000; default 20.
    pub packets: u32,
    /// UDP packets at once, for each registration. 1 to 100,000; default 60.
    pub burst: u32,
    /// Bytes of TCP packets a second of one host, for each of its registrations, and three times as many
    /// at once. 2,000 to 100,000,000; default 25,000.
    pub tcp_bytes: u32,
    /// UDP packets a second of all healthy hosts together, beside what is guaranteed. 1 to 100,000; `None` is
    /// no limit. Default 500.
    pub together: Option<u32>,
    /// Bytes of TCP packets a second of all healthy hosts together, beside what is guaranteed. 2,000 to
    /// 100,000,000; `None` is no limit. Default 125,000.
    pub together_tcp_bytes: Option<u32>,
    /// UDP packets a second that each healthy host may send whatever the others do. 1 to 100,000;
    /// default 5.
    pub guaranteed: u32,
    /// Bytes of TCP packets a second that each may send whatever the others do, and twice as many at once.
    /// 2,000 to 100,000,000; default 5,000.
    pub guaranteed_tcp_bytes: u32,
}

impl ShieldSettings {
    /// The shield of a FreeSWITCH that takes `requests` a second and profile
    /// (`max-recv-requests-per-second`); `None` or 0 where that is unknown or without limit. Strangers
    /// have 40 % of it, 100 % being 1000 where it is not known; healthy hosts 50 %.
    #[must_use]
    pub fn for_requests(requests: Option<u32>) -> Self {
        let requests = requests.filter(|requests| *requests > 0).unwrap_or(USUAL_REQUESTS);
        let share = |percent: u32| {
            let share = u64::from(requests) * u64::from(percent) / 100;
            u32::try_from(share).unwrap_or(u32::MAX).clamp(2, *PACKETS.end())
        };
        let bytes = |packets: u32| {
            packets.saturating_mul(REQUEST_BYTES).clamp(*BYTES.start(), *BYTES.end())
        };
        let (strangers, together) = (share(STRANGERS_PERCENT), share(HEALTHY_PERCENT));
        Self {
            packets: Some(strangers),
            connections: Some(share(CONNECTIONS_PERCENT)),
            tcp_bytes: Some(bytes(strangers)),
            own: OwnLimits::default(),
            healthy: HealthyLimits {
                together: Some(together),
                together_tcp_bytes: Some(bytes(together)),
                ..HealthyLimits::default()
            },
            unlimited: None,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// Names the first limit that cannot work, and its range.
    pub fn check(&self) -> Result<(), SettingsError> {
        let Self { own, healthy, .. } = self;
        // Half of it is for newcomers.
        within("packets", self.packets, &(2..=*PACKETS.end()))?;
        within("connections", self.connections, &PACKETS)?;
        within("tcp_bytes", self.tcp_bytes, &BYTES)?;
        within("stranger_packets", Some(own.packets), &PACKETS)?;
        within("stranger_connections", Some(own.connections), &PACKETS)?;
        within("stranger_tcp_bytes", Some(own.tcp_bytes), &BYTES)?;
        within("healthy_packets", Some(healthy.packets), &PACKETS)?;
        within("healthy_burst", Some(healthy.burst), &PACKETS)?;
        within("healthy_tcp_bytes", Some(healthy.tcp_bytes), &BYTES)?;
        within("healthy_together", healthy.together, &PACKETS)?;
        within("healthy_together_tcp_bytes", healthy.together_tcp_bytes, &BYTES)?;
        within("guaranteed_packets", Some(healthy.guaranteed), &PACKETS)?;
        within("guaranteed_tcp_bytes", Some(healthy.guaranteed_tcp_bytes), &BYTES)?;
        within("unlimited_packets", self.unlimited, &PACKETS)
    }
}

impl Default for ShieldSettings {
    fn default() -> Self {
        Self::for_requests(None)
    }
}

impl Default for OwnLimits {
    fn default() -> Self {
        Self { packets: 50, connections: 10, tcp_bytes: 25_000 }
    }
}

impl Default for HealthyLimits {
    fn default() -> Self {
        Self {
            packets: 20,
            burst: 60,
            tcp_bytes: 25_000,
            together: Some(500),
            together_tcp_bytes: Some(125_000),
            guaranteed: 5,
            guaranteed_tcp_bytes: 5_000,
        }
    }
}

fn within(
    key: &'static str,
    value: Option<u32>,
    range: &RangeInclusive<u32>,
) -> Result<(), SettingsError> {
    match value {
        Some(value) if !range.contains(&value) => {
            Err(SettingsError::Shield { key, value, least: *range.start(), most: *range.end() })
        }
        Some(_) | None => Ok(()),
    }
}
