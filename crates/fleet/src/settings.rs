//! The settings of the transport: where the servers are, who this node is, and how it proves that.

use std::path::PathBuf;
use std::time::Duration;

use crate::name::Peer;

/// Most servers.
pub const MAX_SERVERS: usize = 16;

/// Settings of the transport.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `nats://HOST:PORT` or `tls://HOST:PORT`, 1 to [`MAX_SERVERS`]. Any of them will do.
    pub servers: Vec<String>,
    /// This node. Its site is not `ops`, unless an operator connects.
    pub peer: Peer,
    /// Credentials file (`.creds`: a JWT and its key). Read anew at each connection, so a renewed one is taken.
    pub credentials: Option<PathBuf>,
    /// Certificates of who signs the servers' certificates, PEM. Without it the system's are used.
    pub ca: Option<PathBuf>,
    /// This node's certificate, PEM. With `key`. Read anew at each connection.
    pub certificate: Option<PathBuf>,
    /// The key of `certificate`, PEM.
    pub key: Option<PathBuf>,
    /// Whether known phones are said and read.
    pub share_known: bool,
    /// How often and how long; the defaults are meant to be kept.
    pub timing: Timing,
}

impl Settings {
    /// A node without TLS and credentials, and everything else as by default.
    #[must_use]
    pub fn new(servers: Vec<String>, peer: Peer) -> Self {
        Self {
            servers,
            peer,
            credentials: None,
            ca: None,
            certificate: None,
            key: None,
            share_known: false,
            timing: Timing::default(),
        }
    }

    /// Looks whether the settings fit together. Files are read later.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !(1..=MAX_SERVERS).contains(&self.servers.len()) {
            return Err(SettingsError::Servers);
        }
        for server in &self.servers {
            let known = ["nats://", "tls://"].iter().any(|scheme| server.starts_with(scheme));
            let parsed = server.parse::<async_nats::ServerAddr>();
            // A password in an address would be shown with it.
            if !known
                || !parsed
                    .is_ok_and(|address| !address.host().is_empty() && !address.has_user_pass())
            {
                return Err(SettingsError::Server(server.clone()));
            }
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(SettingsError::HalfCertificate);
        }
        Ok(())
    }
}

/// Why settings do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No server or too many.
    #[error("`servers` needs 1 to {MAX_SERVERS} addresses")]
    Servers,
    /// No address of a server.
    #[error(
        "`{0}` is no address of a server: write nats://HOST:PORT or tls://HOST:PORT, without a password"
    )]
    Server(String),
    /// One of two files.
    #[error("`certificate` and `key` belong together: give both or neither")]
    HalfCertificate,
}

/// How often and how long.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Longest wait for a connection to one server.
    pub connect: Duration,
    /// Longest wait for an acknowledgement or an answer of the stream.
    pub answer: Duration,
    /// Longest pause between attempts to connect, and between attempts to say something.
    pub retry: Duration,
    /// How often the applied revision is compared with the stream's.
    pub compare: Duration,
    /// Silence of the stream, with revisions missing, after which the consumer is made anew.
    pub silence: Duration,
    /// Shortest and longest pause before that, so that a fleet does not do it at once.
    pub jitter: (Duration, Duration),
    /// How often the node's status is said.
    pub status: Duration,
    /// Age at which bans and vetoes that stand for longer are said again: half of
    /// [`MAX_STANDING`](crate::message::MAX_STANDING).
    pub again: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(5),
            retry: Duration::from_secs(15),
            compare: Duration::from_secs(10),
            silence: Duration::from_secs(15),
            jitter: (Duration::from_secs(1), Duration::from_secs(30)),
            status: Duration::from_secs(30),
            again: Duration::from_secs(12 * 60 * 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_fit_say_what() {
        let peer: Peer = "berlin.n1".parse().unwrap();
        let with = |servers: &[&str]| {
            Settings::new(servers.iter().map(ToString::to_string).collect(), peer.clone())
        };
        assert_eq!(with(&["nats://[::1]:4222", "tls://nats.example.org"]).check(), Ok(()));
        assert_eq!(with(&[]).check(), Err(SettingsError::Servers));
        assert_eq!(with(&["nats://a"; 17]).check(), Err(SettingsError::Servers));
        for bad in ["", "a:4222", "ws://a", "http://a", "nats://u:secret@a", "nats://"] {
            let refused = with(&[bad]).check();
            assert_eq!(refused, Err(SettingsError::Server(bad.to_owned())), "{bad}");
        }
        let half = Settings { key: Some("k".into()), ..with(&["nats://a"]) };
        assert_eq!(half.check(), Err(SettingsError::HalfCertificate));
    }
}
