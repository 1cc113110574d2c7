//! `[fleet]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::{FleetSettings, FleetTls, MAX_FLEET_SERVERS};

/// Longest address of a server.
const MAX_SERVER: usize = 256;

/// The site of operators, which every node obeys: no node is part of it.
const OPERATORS: &str = "ops";

/// `[fleet]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FleetFile {
    servers: Option<Vec<String>>,
    name: Option<String>,
    site: Option<String>,
    credentials: Option<PathBuf>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    quorum: Option<u8>,
}

impl FleetFile {
    /// `None` where no server is named: the node is alone.
    pub(super) fn checked(self) -> Result<Option<FleetSettings>, Problem> {
        let Self { servers, name, site, quorum, .. } = self;
        // As in the commented file: "" is the default.
        let named = |file: Option<PathBuf>| file.filter(|file| !file.as_os_str().is_empty());
        let (credentials, ca) = (named(self.credentials), named(self.ca));
        let (certificate, key) = (named(self.certificate), named(self.key));
        let servers = servers.unwrap_or_default();
        if servers.len() > MAX_FLEET_SERVERS {
            let message = format!("{} servers, more than {MAX_FLEET_SERVERS}", servers.len());
            return Err(Problem::new("fleet.servers", message));
        }
        if let Some(wrong) = servers.iter().find(|server| !is_server(server)) {
            let message = format!(
                "`{}` is not a NATS server: expected \"nats://host:4222\" or \"tls://host:4222\"",
                wrong.escape_debug()
            );
            return Err(Problem::new("fleet.servers", message));
        }
        let site = site.unwrap_or_else(|| "main".to_owned());
        let name = name.unwrap_or_default();
        for (key, word) in [("fleet.name", &name), ("fleet.site", &site)] {
            let is_missing = word.is_empty() && key == "fleet.name";
            if !(is_missing || is_word(word)) {
                return Err(Problem::new(
                    key,
                    format!(
                        "`{}` is not a name of a fleet: expected 1 to 32 of a-z, 0-9 and `-`",
                        word.escape_debug()
                    ),
                ));
            }
        }
        if site == OPERATORS {
            return Err(Problem::new(
                "fleet.site",
                format!("\"{OPERATORS}\" is the site of operators: choose another name"),
            ));
        }
        let files = [
            ("fleet.credentials", &credentials),
            ("fleet.ca", &ca),
            ("fleet.certificate", &certificate),
            ("fleet.key", &key),
        ];
        for (key, file) in files {
            if let Some(file) = file.as_ref().filter(|file| !file.is_absolute()) {
                let message = format!("`{}` is not an absolute path", file.display());
                return Err(Problem::new(key, message));
            }
        }
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Problem::new(
                    "fleet.certificate",
                    "needs `fleet.key` as well".to_owned(),
                ));
            }
            (None, Some(_)) => {
                return Err(Problem::new(
                    "fleet.key",
                    "needs `fleet.certificate` as well".to_owned(),
                ));
            }
        };
        let quorum = quorum.unwrap_or(1);
        if !(1..=16).contains(&quorum) {
            return Err(Problem::new("fleet.quorum", format!("{quorum} is not between 1 and 16")));
        }
        if servers.is_empty() {
            return Ok(None);
        }
        if name.is_empty() {
            return Err(Problem::new(
                "fleet.servers",
                "needs `fleet.name` as well: the name of this node, unique within its site"
                    .to_owned(),
            ));
        }
        let tls = (ca.is_some() || identity.is_some()).then_some(FleetTls { ca, identity });
        Ok(Some(FleetSettings { servers, name, site, credentials, tls, quorum }))
    }
}

/// Of a subject of NATS, so without dots and wildcards.
fn is_word(word: &str) -> bool {
    (1..=32).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_server(server: &str) -> bool {
    let host = ["nats://", "tls://"].iter().find_map(|scheme| server.strip_prefix(scheme));
    server.len() <= MAX_SERVER
        && host.is_some_and(|host| {
            !host.is_empty() && !host.contains('@') && host.bytes().all(|b| b.is_ascii_graphic())
        })
}
