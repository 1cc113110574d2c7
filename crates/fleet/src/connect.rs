//! One connection, with errors that say what to do.

use std::path::{Path, PathBuf};

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};

use crate::settings::Settings;

/// Longest credentials file, in bytes; more than any has.
const MAX_CREDENTIALS: u64 = 64 * 1024;
/// Messages that may wait for the owner on each subscription; what does not fit is dropped and counted, and comes
/// by the stream.
const SUBSCRIPTION: usize = 8_192;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// A file cannot be read or used.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The time of the credential is over.
    #[error("the credential in {} has expired; issue a new one and put it there", path.display())]
    Expired {
        /// The credentials file.
        path: PathBuf,
    },
    /// The server does not take the credential.
    #[error(
        "the server refuses this node's credential ({0}); check that the server knows it and that it has not expired or been revoked"
    )]
    Refused(String),
    /// TLS fails.
    #[error(
        "TLS with the server fails: {0}; check `ca`, `certificate` and `key`, and how long they are valid"
    )]
    Tls(String),
    /// No server answers.
    #[error("no server answers: {0}")]
    Unreachable(String),
}

/// Connects once, to any of the servers. What happens to the connection later goes to `events`.
///
/// # Errors
/// Why there is no connection.
pub(crate) async fn connect(
    settings: &Settings,
    events: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Client, ConnectError> {
    let Settings { peer, timing, .. } = settings;
    let mut options = ConnectOptions::new()
        .name(format!("sipward {peer}"))
        .custom_inbox_prefix(inbox_prefix(settings))
        .connection_timeout(timing.connect)
        .request_timeout(Some(timing.answer))
        .subscription_capacity(SUBSCRIPTION)
        .ping_interval(std::time::Duration::from_secs(15))
        .no_echo()
        // A lost connection is ended, and the next one reads the files anew.
        .max_reconnects(settings.servers.len())
        .reconnect_delay_callback(|_| std::time::Duration::ZERO)
        .event_callback(move |event| {
            events(event);
            std::future::ready(())
        });
    if let Some(path) = &settings.credentials {
        let text = read(path, MAX_CREDENTIALS).await?;
        if expires(&text).is_some_and(|end| end <= crate::clock::now_ms() / 1000) {
            return Err(ConnectError::Expired { path: path.clone() });
        }
        options = options.credentials(&text).map_err(|error| file(path, &error))?;
    }
    if let Some(path) = &settings.ca {
        read(path, MAX_PEM).await?;
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    if let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) {
        read(certificate, MAX_PEM).await?;
        read(key, MAX_PEM).await?;
        options =
            options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    let servers = settings.servers.iter().map(|server| server.parse::<async_nats::ServerAddr>());
    let servers: Vec<_> =
        servers.collect::<Result<_, _>>().map_err(|e| ConnectError::Unreachable(e.to_string()))?;
    options.connect(servers).await.map_err(|error| reason(&error))
}

/// The API of the streams. A server of a site without streams passes requests on to the hub, where they come under a
/// prefix that the hub gives to that site (`deploy/nats/hub.conf`).
pub(crate) fn context(client: &Client, settings: &Settings) -> Context {
    let mut js = if client.server_info().jetstream {
        jetstream::new(client.clone())
    } else {
        jetstream::with_prefix(client.clone(), SITE_API)
    };
    js.set_timeout(settings.timing.answer);
    js
}

/// Prefix of the API of the streams at a site that has none.
const SITE_API: &str = "sipward.api";

/// Longest certificate or key file, in bytes: a bundle of all public authorities has a quarter of it.
const MAX_PEM: u64 = 1024 * 1024;

/// Under which answers come. Permissions name it, so that no node reads the answers of another.
pub(crate) fn inbox_prefix(settings: &Settings) -> String {
    format!("_INBOX.{}", settings.peer)
}

async fn read(path: &Path, max: u64) -> Result<String, ConnectError> {
    let metadata = tokio::fs::metadata(path).await.map_err(|error| file(path, &error))?;
    if !metadata.is_file() || metadata.len() > max {
        return Err(file(path, &format_args!("not a file of at most {max} bytes")));
    }
    tokio::fs::read_to_string(path).await.map_err(|error| file(path, &error))
}

fn file(path: &Path, why: &impl ToString) -> ConnectError {
    ConnectError::File { path: path.to_owned(), why: why.to_string() }
}

fn reason(error: &async_nats::ConnectError) -> ConnectError {
    let said = error.to_string();
    let kind = error.kind();
    // What a server says about a certificate comes when TLS is already up, as an error of the connection.
    let is_tls = kind == ConnectErrorKind::Tls
        || ["certificate", "Certificate", "tls", "TLS", "alert"].iter().any(|w| said.contains(w));
    match kind {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            ConnectError::Refused(said)
        }
        _ if said.contains("Authorization") || said.contains("Authentication") => {
            ConnectError::Refused(said)
        }
        _ if is_tls => ConnectError::Tls(said),
        _ => ConnectError::Unreachable(said),
    }
}

/// When the JWT of a credentials file ends, in seconds since 1970. A server says only that it refuses it.
fn expires(credentials: &str) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: Option<u64>,
    }
    let is_jwt = |line: &&str| line.starts_with("eyJ");
    let claims = credentials.lines().map(str::trim).find(is_jwt)?.split('.').nth(1)?;
    serde_json::from_slice::<Claims>(&base64url(claims)?).ok()?.exp.filter(|end| *end > 0)
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_says_when_it_ends() {
        // {"exp":1700000000,"name":"n1"}
        let claims = "eyJleHAiOjE3MDAwMDAwMDAsIm5hbWUiOiJuMSJ9";
        let text = format!("-----BEGIN NATS USER JWT-----\neyJ0.{claims}.sig\n------END------\n");
        assert_eq!(expires(&text), Some(1_700_000_000));
        for other in ["", "eyJ0", "eyJ0.!!.x", "eyJ0.e30.x", "SUAB"] {
            assert_eq!(expires(other), None, "{other}");
        }
        assert_eq!(base64url("_-8").unwrap(), [0xff, 0xef]);
    }
}
