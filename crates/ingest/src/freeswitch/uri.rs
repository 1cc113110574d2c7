//! SIP URIs, as far as they say where a host is.

use std::net::IpAddr;

/// Where a SIP URI leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// An address, or a name in lower case without its final dot.
    pub host: Host,
    /// The port, if the URI names one: then no SRV record is asked for (RFC 3263 section 4.2).
    pub port: Option<u16>,
    /// `transport=`, if the URI names it.
    pub transport: Option<Transport>,
    /// `sips:`.
    pub secure: bool,
}

/// The host of a SIP URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(String),
}

/// A transport of SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// As a URI writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    pub(super) fn read(word: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|transport| word.trim().eq_ignore_ascii_case(transport.as_str()))
    }
}

/// Longest host name (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

impl Target {
    /// Reads `sip:user@host:port;transport=tcp` (RFC 3261 section 19.1.1), with or without angle brackets, and
    /// the bare `host:port` that FreeSWITCH accepts too. `fs_path` and `maddr` name where packets really go.
    pub fn read(uri: &str) -> Option<Self> {
        let uri = uri.trim();
        let uri = uri.rsplit_once('<').map_or(uri, |(_, uri)| uri);
        let uri = uri.split('>').next()?;
        let secure = starts_with(uri, "sips:");
        let rest = if secure {
            uri.get(5..)?
        } else if starts_with(uri, "sip:") {
            uri.get(4..)?
        } else {
            uri
        };
        let mut parts = rest.split([';', '?']);
        let authority = parts.next()?;
        let host_port = authority.rsplit('@').next()?;
        let (mut host, port) = split_port(host_port)?;
        let mut transport = None;
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.eq_ignore_ascii_case("transport") {
                transport = value.split(',').find_map(Transport::read);
            } else if name.eq_ignore_ascii_case("maddr") {
                host = split_port(value).map_or(host, |(host, _)| host);
            }
        }
        Some(Self { host: Host::read(host)?, port, transport, secure })
    }
}

impl Host {
    /// Reads an address or a name.
    pub fn read(text: &str) -> Option<Self> {
        // A link-local address has its interface behind it.
        let address = text.split('%').next()?;
        if let Ok(address) = address.parse() {
            return Some(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_name = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && name.split('.').all(|label| (1..=63).contains(&label.len()));
        is_name.then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

/// Host without brackets, and port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let text = text.trim();
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        return Some((host, rest.strip_prefix(':').and_then(|port| port.parse().ok())));
    }
    // An IPv6 address without brackets has no port behind it.
    if text.bytes().filter(|byte| *byte == b':').count() > 1 {
        return Some((text, None));
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, port.parse().ok().filter(|port| *port != 0))),
        None => Some((text, None)),
    }
}

fn starts_with(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(uri: &str) -> Option<(String, Option<u16>, Option<&'static str>, bool)> {
        let target = Target::read(uri)?;
        let host = match target.host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name,
        };
        Some((host, target.port, target.transport.map(Transport::as_str), target.secure))
    }

    #[test]
    fn every_form_of_a_uri_is_read() {
        for (uri, host, port, transport, secure) in [
            ("sip:host.example", "host.example", None, None, false),
            ("SIP:Host.Example.", "host.example", None, None, false),
            (
                "sips:u@host.example:5061;transport=tls",
                "host.example",
                Some(5061),
                Some("tls"),
                true,
            ),
            ("host.example:5060", "host.example", Some(5060), None, false),
            ("<sip:192.0.2.1>", "192.0.2.1", None, None, false),
            ("\"x\" <sip:u@192.0.2.1:5080>;a=b", "192.0.2.1", Some(5080), None, false),
            ("sip:u@[2001:db8::1]:5060", "2001:db8::1", Some(5060), None, false),
            ("2001:db8::1", "2001:db8::1", None, None, false),
            ("sip:a@b@192.0.2.1", "192.0.2.1", None, None, false),
            (
                "sip:mod_sofia@198.51.100.1:5060;maddr=10.0.0.1;transport=udp,tcp",
                "10.0.0.1",
                Some(5060),
                Some("udp"),
                false,
            ),
            ("sip:_sip.example;transport=TCP", "_sip.example", None, Some("tcp"), false),
        ] {
            let expected = Some((host.to_owned(), port, transport, secure));
            assert_eq!(read(uri), expected, "{uri}");
        }
        for nothing in ["", "sip:", "sip:;transport=udp", "sip:a b", "sip:[", "sip:..", "sip:x@"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(sips?:|@|\\[|\\]|:|;|transport=|maddr=|<|>|%|\\PC){0,12}") {
            let _ = Target::read(&text);
        }
    }
}
