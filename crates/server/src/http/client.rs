//! The client of a request: the other end of the connection, or the address that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::HOST;

use sipward_config::HttpSettings;

/// Names in `X-Forwarded-For` that are examined, from the right: more than any chain of proxies has.
const MAX_HOPS: usize = 16;

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The other end; an IPv4 address is never written as IPv6.
    pub(super) peer: SocketAddr,
    /// It speaks TLS with us.
    pub(super) tls: bool,
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    /// The connection is encrypted or local, as far as sipward or a trusted proxy can tell.
    pub(super) secure: bool,
}

impl Client {
    pub(super) fn of(link: Link, headers: &HeaderMap, settings: &HttpSettings) -> Self {
        let peer = link.peer.ip();
        if !settings.trusts(peer) {
            return Self { address: peer, secure: link.tls };
        }
        let forwarded = values(headers, "x-forwarded-for").rev().take(MAX_HOPS);
        let mut address = peer;
        for name in forwarded {
            // What no trusted proxy can have written says nothing.
            let Some(named) = named(name) else { break };
            address = named;
            if !settings.trusts(named) {
                break;
            }
        }
        let proto = values(headers, "x-forwarded-proto").next_back();
        let secure = proto.map_or(link.tls, |proto| proto.eq_ignore_ascii_case("https"));
        Self { address, secure }
    }
}

/// The host that a request is for; empty when it does not say, or says it twice.
pub(super) fn host(headers: &HeaderMap) -> &str {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        _ => "",
    }
}

/// The values of a list header, the first first.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',').map(str::trim))
}

/// An address, perhaps with a port behind it.
fn named(name: &str) -> Option<IpAddr> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let address = bare.parse::<IpAddr>();
    let address = address.or_else(|_| name.parse::<SocketAddr>().map(|place| place.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "192.0.2.10:40000";

    fn of(peer: &str, lines: &[(&'static str, &str)]) -> Client {
        let nets = ["192.0.2.10/32", "2001:db8:1::/64"].map(|net| net.parse().unwrap());
        let settings = HttpSettings { trusted_proxies: nets.into(), ..HttpSettings::default() };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        Client::of(Link { peer: peer.parse().unwrap(), tls: false }, &headers, &settings)
    }

    fn address(peer: &str, forwarded: &str) -> String {
        of(peer, &[("x-forwarded-for", forwarded)]).address.to_string()
    }

    #[test]
    fn a_stranger_cannot_say_who_he_is() {
        assert_eq!(address("203.0.113.7:1", "198.51.100.1"), "203.0.113.7");
        let client = of("203.0.113.7:1", &[("x-forwarded-proto", "https")]);
        assert!(!client.secure);
    }

    #[test]
    fn a_proxy_names_the_client_and_what_the_client_wrote_before_is_ignored() {
        assert_eq!(address(PROXY, "203.0.113.7"), "203.0.113.7");
        assert_eq!(address(PROXY, "198.51.100.1, 203.0.113.7"), "203.0.113.7");
        assert_eq!(address(PROXY, "198.51.100.1, 203.0.113.7, 192.0.2.10"), "203.0.113.7");
        assert_eq!(address(PROXY, "203.0.113.7, 2001:db8:1::5"), "203.0.113.7");
        assert_eq!(address(PROXY, "::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(address(PROXY, "203.0.113.7:5060"), "203.0.113.7");
        assert_eq!(address(PROXY, "[2001:db8::7]:5060"), "2001:db8::7");
        let lines = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(of(PROXY, &lines).address.to_string(), "203.0.113.7");
    }

    #[test]
    fn a_proxy_that_names_nobody_is_the_client() {
        for nothing in ["", "unknown", "203.0.113.7, nonsense", "192.0.2.10, 192.0.2.10"] {
            assert_eq!(address(PROXY, nothing), "192.0.2.10", "{nothing}");
        }
        assert_eq!(of(PROXY, &[]).address.to_string(), "192.0.2.10");
    }

    #[test]
    fn a_proxy_says_whether_the_client_speaks_tls() {
        let secure = |proto| of(PROXY, &[("x-forwarded-proto", proto)]).secure;
        assert!(secure("https") && secure("http, https"));
        assert!(!secure("http") && !secure("https, http") && !secure(""));
    }
}
