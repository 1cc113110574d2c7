//! One flow: what a denial stops where the host itself must stay reachable.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::net;

/// What carries the packets of a flow. TLS, WS and WSS run over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl Transport {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Udp, Self::Tcp];

    /// As it is written: `udp` or `tcp`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Packets from one port of one address to the SIP ports. Several phones behind one address (NAT) differ
/// in the port.
///
/// Written and read as `203.0.113.7 udp 41234`, also by serde.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// Source address. The engine writes IPv4-mapped IPv6 as IPv4.
    pub source: IpAddr,
    /// Protocol.
    pub transport: Transport,
    /// Source port, 1 to 65,535.
    pub port: u16,
}

impl Flow {
    /// The first and the last flow that packets of a network can have, in the order of flows.
    pub(crate) fn bounds(net: &ipnet::IpNet) -> (Self, Self) {
        let (first, last) = (net.network(), net.broadcast());
        (
            Self { source: first, transport: Transport::Udp, port: 0 },
            Self { source: last, transport: Transport::Tcp, port: u16::MAX },
        )
    }

    pub(crate) fn canonical(self) -> Self {
        Self { source: net::canonical(self.source), ..self }
    }
}

/// A text that names no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a flow is an address, `udp` or `tcp`, and a port from 1 on: `203.0.113.7 udp 41234`")]
pub struct FlowError;

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.source, self.transport.as_str(), self.port)
    }
}

impl FromStr for Flow {
    type Err = FlowError;

    /// # Errors
    /// The text is no address, protocol and port, with spaces between.
    fn from_str(text: &str) -> Result<Self, FlowError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(source), Some(transport), Some(port), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(FlowError);
        };
        let source = net::canonical(source.parse().map_err(|_| FlowError)?);
        let named = |transport_: &Transport| transport.eq_ignore_ascii_case(transport_.as_str());
        let transport = Transport::ALL.into_iter().find(named).ok_or(FlowError)?;
        // `u16` would also read `+5060`.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| *port > 0 && digits).ok_or(FlowError)?;
        Ok(Self { source, transport, port })
    }
}

impl Serialize for Flow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Flow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Where a failure came from, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    pub(crate) port: u16,
    /// `None` where nothing proves it: the Via of a request over UDP may name any.
    pub(crate) transport: Option<Transport>,
}

impl Socket {
    /// The flows that this may be.
    pub(crate) fn flows(self, source: IpAddr) -> impl Iterator<Item = Flow> {
        let Self { port, transport } = self;
        let may_be = move |of: &Transport| transport.is_none_or(|transport| transport == *of);
        let transports = Transport::ALL.into_iter().filter(may_be);
        transports.map(move |transport| Flow { source, transport, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_written_and_read_as_three_words() {
        for text in ["203.0.113.7 udp 41234", "2001:db8::7 tcp 5060"] {
            let flow: Flow = text.parse().unwrap();
            assert_eq!(flow.to_string(), text);
            let json = serde_json::to_string(&flow).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Flow>(&json).unwrap(), flow);
        }
        let mapped: Flow = " ::ffff:203.0.113.7  UDP 1 ".parse().unwrap();
        assert_eq!(mapped.to_string(), "203.0.113.7 udp 1");
    }

    #[test]
    fn what_is_no_flow_is_refused() {
        for text in [
            "",
            "203.0.113.7",
            "203.0.113.7 udp",
            "203.0.113.7 udp 0",
            "203.0.113.7 udp +5060",
            "203.0.113.7 udp 65536",
            "203.0.113.7 sctp 5060",
            "203.0.113.0/24 udp 5060",
            "203.0.113.7 udp 5060 x",
        ] {
            assert_eq!(text.parse::<Flow>(), Err(FlowError), "{text}");
        }
    }

    #[test]
    fn flows_of_a_network_lie_between_its_bounds() {
        let (first, last) = Flow::bounds(&"203.0.113.0/30".parse().unwrap());
        let of = |text: &str| (first..=last).contains(&text.parse().unwrap());
        assert!(of("203.0.113.0 udp 1") && of("203.0.113.3 tcp 65535"));
        assert!(!of("203.0.113.4 udp 1") && !of("2001:db8::1 udp 1"));
    }
}
