//! Settings: the TOML file, the environment (credentials only), and what they mean.
//!
//! | module | holds |
//! |---|---|
//! | `layers`, `survey` | the file and its drop-ins as one; everything that is wrong with them |
//! | [`mod@file`] | the file's keys, their defaults and ranges |
//! | [`error`] | errors that name line, column and the nearest known key |
//! | [`credentials`] | Event Socket credentials from the environment |
//! | [`secrets`] | password of the mail server, key of the webhooks, from the environment |
//! | the others | the settings of one section each, as the parts of the daemon take them |
//!
//! It reads files and the environment and nothing else; no part of the daemon is known here.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

mod aliases;
pub mod credentials;
pub mod error;
pub mod file;
mod fleet;
mod geo;
mod http;
mod layers;
mod mail;
pub mod secrets;
mod span;
mod store;
mod survey;
mod webhook;
mod whois;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

pub use credentials::Credentials;
pub use error::ConfigError;
pub use file::OnExit;
pub use fleet::{FleetSettings, FleetTls, MAX_FLEET_SERVERS};
pub use geo::{GeoSettings, MAX_GEO_FILES};
pub use http::{HttpSettings, TlsFiles};
pub use layers::{EXAMPLE, Layers};
pub use mail::{MailSettings, MailTls, MailTransport};
pub use secrets::{Login, Secret, Secrets};
use sipward_engine::Timestamp;
pub use sipward_model::wire::{HostEntry, Mode};

pub use store::{StoreLocation, StoreSettings};
pub use webhook::{WebhookSettings, WebhookUrl};
pub use whois::{WHOIS_PORT, WhoisServer, WhoisSettings, host_and_port};

/// Where the file is looked for when the command line names none.
pub const DEFAULT_PATH: &str = "/etc/sipward/sipward.toml";

/// Longest configuration file that is read, in bytes: 16,384 allow entries of 256 bytes. A larger
/// one is a mistake (a log, a database), not a configuration.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// What the file says of an entry of `allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowNote {
    /// The entry.
    pub host: HostEntry,
    /// When it leaves the list by itself.
    pub until: Option<Timestamp>,
    /// The operator's words.
    pub comment: Option<String>,
}

impl Config {
    /// What the file says of an entry of `allow`.
    pub fn allow_note(&self, host: &HostEntry) -> Option<&AllowNote> {
        self.allow_notes.iter().find(|note| note.host == *host)
    }

    /// The allow list at `now`: without the hosts whose end has come.
    pub fn allow_at(&self, now: Timestamp) -> impl Iterator<Item = &HostEntry> {
        let ended: Vec<&HostEntry> = self
            .allow_notes
            .iter()
            .filter(|note| note.until.is_some_and(|until| until <= now))
            .map(|note| &note.host)
            .collect();
        self.allow.iter().filter(move |host| !ended.contains(host))
    }
}

/// Everything an operator has set, checked and ready to use.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Ban, or only say what would be banned.
    pub mode: Mode,
    /// The mode is that of the command line and is not changed while the daemon runs.
    pub mode_is_fixed: bool,
    /// What happens to the routes when the daemon stops.
    pub on_exit: OnExit,
    /// Hosts that no automatic rule bans.
    pub allow: Vec<HostEntry>,
    /// What the file says of some of them.
    pub allow_notes: Vec<AllowNote>,
    /// FreeSWITCH's own access control lists that count as `allow`.
    pub allow_acl: Vec<String>,
    /// Whether `register-proxy`, `outbound-proxy` and `nonce-ttl` are read from FreeSWITCH's `sofia.conf`, which
    /// holds the passwords of the gateways.
    pub read_sofia_conf: bool,
    /// Whether the SIP ports are those of FreeSWITCH's running profiles.
    pub sip_ports_auto: bool,
    /// SIP proxies and SBCs: every failure behind them names them.
    pub proxies: Vec<HostEntry>,
    /// How often DNS names in `allow` and `proxies` are looked up again.
    pub dns_refresh: Duration,
    /// The ban policy.
    pub policy: sipward_engine::Policy,
    /// The kernel side.
    pub route: sipward_route::Settings,
    /// The shield of the SIP ports.
    pub shield: file::Shield,
    /// The Event Socket connection.
    pub esl: file::Esl,
    /// What outlives the process, and where.
    pub store: StoreSettings,
    /// Lowest level of log lines.
    pub log_level: file::LogLevel,
    /// The control API.
    pub api: file::Api,
    /// The API and the page on TCP.
    pub http: HttpSettings,
    /// Mails about bans and alarms.
    pub mail: MailSettings,
    /// Where records are posted to.
    pub webhook: WebhookSettings,
    /// How to query the owner of an address.
    pub whois: WhoisSettings,
    /// Files with the locations of addresses.
    pub geo: GeoSettings,
    /// The fleet of nodes that share bans; `None` where this one is alone.
    pub fleet: Option<FleetSettings>,
    /// Keys of `[policy]` that the file sets, dotted, without `policy.`, by their names of today.
    pub policy_keys: BTreeSet<String>,
}

impl Config {
    /// Reads and checks the file at `path` and its drop-ins. Without a path the default one is read when it
    /// exists; every key is optional, so no file at all means all defaults.
    ///
    /// # Errors
    /// When a file cannot be read, is not TOML, or holds an unknown key or a value out of range.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        Layers::read(path)?.config()
    }

    /// As [`Config::load`], with everything that is wrong instead of the first of it, and the configuration that is
    /// left without that; `None` when there is none.
    #[must_use]
    pub fn survey(path: Option<&Path>) -> (Option<Self>, Vec<ConfigError>) {
        match Layers::read(path) {
            Ok(layers) => survey::all(layers),
            Err(error) => (None, vec![error]),
        }
    }

    /// Checks the text of a configuration file; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(source: &str, path: &Path) -> Result<Self, ConfigError> {
        Layers::single(source, path).config()
    }
}

#[cfg(test)]
mod tests;
