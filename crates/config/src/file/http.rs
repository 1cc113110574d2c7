//! `[http]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::span::{self, Span};
use crate::HostEntry;
use crate::error::Problem;
use crate::{HttpSettings, TlsFiles};

/// Most addresses to listen on.
const MAX_LISTEN: usize = 8;

/// Most proxies.
const MAX_PROXIES: usize = 64;

/// Most names of the server.
const MAX_NAMES: usize = 16;

/// `[http]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpFile {
    listen: Option<Vec<String>>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    trusted_proxies: Option<Vec<String>>,
    hosts: Option<Vec<String>>,
    session: Option<Span>,
}

impl HttpFile {
    pub(super) fn checked(self) -> Result<HttpSettings, Problem> {
        let mut settings = HttpSettings::default();
        span::set(&mut settings.session, self.session);
        let range = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3_600);
        span::within("http.session", settings.session, range)?;
        settings.listen = all("http.listen", self.listen, MAX_LISTEN, |text| {
            text.parse::<SocketAddr>()
                .map_err(|_| "not an address with a port; write 127.0.0.1:8022 or [::1]:8022")
        })?;
        settings.trusted_proxies =
            all("http.trusted_proxies", self.trusted_proxies, MAX_PROXIES, |text| {
                match text.parse() {
                    Ok(HostEntry::Net(net)) => Ok(net),
                    Ok(HostEntry::Name(_)) | Err(_) => Err("not an address or network; \
                        write 192.0.2.10, 192.0.2.0/28 or 2001:db8::/64"),
                }
            })?;
        settings.hosts = all("http.hosts", self.hosts, MAX_NAMES, |text| match text.parse() {
            Ok(HostEntry::Name(name)) => Ok(name),
            Ok(HostEntry::Net(net)) if text.parse() == Ok(net.addr()) => Ok(net.addr().to_string()),
            Ok(HostEntry::Net(_)) | Err(_) => {
                Err("not a host name; write pbx.example.org, without scheme and port")
            }
        })?;
        settings.tls = tls(self.certificate, self.key)?;
        let opens_to_others = |address: &&SocketAddr| !address.ip().is_loopback();
        let in_clear = settings.tls.is_none() && settings.trusted_proxies.is_empty();
        if let Some(open) = settings.listen.iter().find(opens_to_others).filter(|_| in_clear) {
            let message = format!(
                "{open} is open to other hosts, so tokens would cross the network unencrypted; set \
                 `http.certificate` and `http.key`, or listen on 127.0.0.1:{} behind a proxy with TLS \
                 (deploy/nginx), or name the proxy in `http.trusted_proxies`",
                open.port()
            );
            return Err(Problem::new("http.listen", message));
        }
        Ok(settings)
    }
}

/// Each of a list, read; none is a mistake.
fn all<T>(
    key: &str,
    written: Option<Vec<String>>,
    most: usize,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, Problem> {
    let written = written.unwrap_or_default();
    if written.len() > most {
        return Err(Problem::new(key, format!("{} entries, more than {most}", written.len())));
    }
    let each = written.iter().map(|text| {
        let wrong = |why| Problem::new(key, format!("`{}` is {why}", text.escape_debug()));
        read(text).map_err(wrong)
    });
    each.collect()
}

fn tls(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>, Problem> {
    let written = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
    let (certificate, key) = match (written(certificate), written(key)) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            let message = "`http.key` is not set; set it to the private key of the certificate \
                (PEM)";
            return Err(Problem::new("http.certificate", message.to_owned()));
        }
        (None, Some(_)) => {
            let message = "`http.certificate` is not set; set it to the certificate of the key \
                (PEM)";
            return Err(Problem::new("http.key", message.to_owned()));
        }
    };
    for (name, path) in [("http.certificate", &certificate), ("http.key", &key)] {
        if !path.is_absolute() {
            let message = format!("`{}` is not an absolute path", path.display());
            return Err(Problem::new(name, message));
        }
    }
    Ok(Some(TlsFiles { certificate, key }))
}
