//! What `[http]` sets.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// Where and how HTTP is served on TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Addresses to listen on; none: it is off.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Reverse proxies that may name the client of a request.
    pub trusted_proxies: Vec<IpNet>,
    /// Names that a browser may call this server by; none: see [`HttpSettings::knows_host`].
    pub hosts: Vec<String>,
    /// Longest life of a session. Range 1 min to 30 d; default 12 h.
    pub session: Duration,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, its issuers behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            tls: None,
            trusted_proxies: Vec::new(),
            hosts: Vec::new(),
            session: Duration::from_secs(43_200),
        }
    }
}

impl HttpSettings {
    /// Whether the other end is a proxy that may name the client of a request.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }

    /// Whether a request that names `host` is meant for this server. Another site whose name was pointed at 127.0.0.1
    /// (DNS rebinding) sends its own name.
    ///
    /// With `hosts` it must be one of these. Without, a direct client on loopback must name an address or `localhost`.
    #[must_use]
    pub fn knows_host(&self, host: &str, peer: IpAddr) -> bool {
        let name = without_port(host);
        if is_local(name) && peer.is_loopback() {
            return true;
        }
        if self.hosts.is_empty() {
            return !peer.is_loopback() || self.trusts(peer);
        }
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Where a proxy in front serves the page, by its names.
    pub fn public_bases(&self) -> Vec<String> {
        let behind_proxy = self.tls.is_none() && !self.trusted_proxies.is_empty();
        let hosts = self.hosts.iter().filter(|_| behind_proxy && !self.listen.is_empty());
        hosts.map(|host| format!("https://{host}")).collect()
    }

    /// Whether a running daemon can take `new` in place of this: only other files for the certificate.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> bool {
        let same_but_files = Self { tls: self.tls.clone(), ..new.clone() };
        *self != same_but_files || self.tls.is_some() != new.tls.is_some()
    }
}

/// A host without the port behind it, and an IPv6 address without its brackets.
fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_local(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_loopback_only_local_names_are_known() {
        let (settings, loopback) = (HttpSettings::default(), IpAddr::from([127, 0, 0, 1]));
        for known in ["127.0.0.1:8022", "localhost", "LOCALHOST:80", "[::1]:8022", "127.0.0.53"] {
            assert!(settings.knows_host(known, loopback), "{known}");
        }
        for strange in ["evil.example", "evil.example:8022", "", "127.0.0.1.evil.example", "::1]"] {
            assert!(!settings.knows_host(strange, loopback), "{strange}");
        }
        assert!(settings.knows_host("pbx.example", [192, 0, 2, 7].into()));
    }

    #[test]
    fn behind_a_proxy_any_host_is_accepted_unless_hosts_are_set() {
        let proxy = IpAddr::from([127, 0, 0, 1]);
        let trusted_proxies = vec![IpNet::from(proxy)];
        let settings = HttpSettings { trusted_proxies, ..HttpSettings::default() };
        assert!(settings.knows_host("pbx.example", proxy));
        let settings = HttpSettings { hosts: vec!["pbx.example".to_owned()], ..settings };
        assert!(settings.knows_host("PBX.example:443", proxy));
        assert!(settings.knows_host("localhost", proxy));
        assert!(!settings.knows_host("evil.example", proxy));
        assert!(!settings.knows_host("localhost", [192, 0, 2, 7].into()));
    }

    #[test]
    fn only_other_certificate_files_need_no_restart() {
        let files = |name: &str| Some(TlsFiles { certificate: name.into(), key: name.into() });
        let with = |tls| HttpSettings { tls, ..HttpSettings::default() };
        assert!(!with(files("a")).needs_restart(&with(files("b"))));
        assert!(with(files("a")).needs_restart(&with(None)));
        assert!(with(None).needs_restart(&with(files("a"))));
        let other = HttpSettings { session: Duration::from_secs(3_600), ..with(None) };
        assert!(with(None).needs_restart(&other));
    }
}
