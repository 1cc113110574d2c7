//! What records hold that is more than a few fields.

use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;
use sipward_engine::{Cause, Expiry, Flow, Scope, Timestamp};

use crate::text::Time;

/// [`Record::Started`](super::Record::Started).
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// Version of sipward.
    pub version: &'static str,
    /// `ban`, or `observe`: nothing touches the kernel.
    pub mode: &'static str,
    /// Where FreeSWITCH is expected.
    pub esl: String,
    /// Bans restored from before.
    pub restored: usize,
    /// Our routes that were there and that no stored ban explains: bans from now on.
    pub adopted: usize,
    /// Failures that ban, within the window.
    pub max_failures: u32,
    /// The window.
    pub window_seconds: f64,
    /// A first ban's length.
    pub ban_time_seconds: f64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Events received.
    pub events: u64,
    /// Failures judged.
    pub failures: u64,
    /// Bans made.
    pub bans: u64,
    /// Bans ended.
    pub unbans: u64,
    /// Bans refused.
    pub refused: u64,
    /// Networks banned now.
    pub banned_now: usize,
    /// Active registrations.
    pub registered_now: usize,
}

/// [`Record::Ban`](super::Record::Ban).
#[derive(Clone, Debug, Serialize)]
pub struct Ban {
    /// The banned network.
    pub net: IpNet,
    /// What of it is stopped: everything (`host`), or packets to the SIP ports (`sip`).
    pub scope: Scope,
    /// Its end; `null` for a ban without an end.
    pub until: Option<Time>,
    /// A lookup showed that the kernel drops what the network sends.
    pub enforced: bool,
    /// Why it is not enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_enforced_because: Option<String>,
    /// From the event that crossed the threshold, as it left the socket, to the route, µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_to_route_us: Option<u64>,
    /// The same from the event's own time (`Event-Date-Timestamp`), by FreeSWITCH's clock, which moves in steps
    /// of about 20 ms. It counts what the other does not: a stalled process, a full socket. Absent when the
    /// clocks of the two hosts are more than 10 min apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time_to_route_us: Option<u64>,
    /// Why.
    #[serde(flatten)]
    pub cause: Arc<Cause>,
}

impl Ban {
    /// A ban as the engine decided it, before the kernel has answered.
    #[must_use]
    pub fn decided(net: IpNet, scope: Scope, until: Expiry, cause: Arc<Cause>) -> Self {
        Self {
            net,
            scope,
            until: match until {
                Expiry::At(at) => Some(Time(at)),
                Expiry::Never => None,
            },
            enforced: false,
            not_enforced_because: None,
            event_to_route_us: None,
            event_time_to_route_us: None,
            cause,
        }
    }
}

/// [`Record::FlowDenied`](super::Record::FlowDenied).
#[derive(Clone, Debug, Serialize)]
pub struct FlowDenied {
    /// Address, protocol and source port. The address alone is in the cause.
    pub flow: Flow,
    /// Until when.
    pub until: Time,
    /// The kernel drops what it sends to the SIP ports.
    pub enforced: bool,
    /// Why it is not enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_enforced_because: Option<String>,
    /// Why.
    #[serde(flatten)]
    pub cause: Arc<Cause>,
}

impl FlowDenied {
    /// A denial as the engine decided it, before the kernel has answered.
    #[must_use]
    pub fn decided(flow: Flow, until: Timestamp, cause: Arc<Cause>) -> Self {
        let until = Time(until);
        Self { flow, until, enforced: false, not_enforced_because: None, cause }
    }
}
