//! What `[webhook]` sets.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use sipward_model::record::Kind;

/// Longest URL, in bytes.
const MAX_URL: usize = 2_048;

/// `[webhook]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Receivers.
    pub targets: Vec<WebhookUrl>,
    /// The events they receive.
    pub events: Vec<Kind>,
    /// Time for one request.
    pub timeout: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            events: vec![
                Kind::Ban,
                Kind::Unban,
                Kind::Refused,
                Kind::NeedsAttention,
                Kind::Alarm,
                Kind::EslConnected,
                Kind::EslDisconnected,
                Kind::Gate,
                Kind::StoreDegraded,
                Kind::StoreRecovered,
                Kind::Started,
                Kind::Stopped,
            ],
            timeout: Duration::from_secs(10),
        }
    }
}

/// Where records are posted to.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    uri: Uri,
    host: String,
    port: u16,
    secure: bool,
}

impl WebhookUrl {
    /// Name or address, for the connection and its certificate.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the connection is TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host and port as the URL has them.
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or(self.host.as_str(), |authority| authority.as_str())
    }

    /// The URL without its path, which often is a secret itself.
    pub fn place(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }
}

impl FromStr for WebhookUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            // The path may be a secret: a chat service knows its rooms by it.
            let start: String = text.chars().take(20).flat_map(char::escape_debug).collect();
            format!("`{start}...` {why}; write https://host/path")
        };
        if text.len() > MAX_URL {
            return Err(wrong("is too long for a URL"));
        }
        let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(wrong("is neither https nor http")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong(
                "contains a password, which does not belong in the configuration file",
            ));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("has no host"));
        }
        if uri.port_u16().is_none() && authority.as_str().len() > authority.host().len() {
            return Err(wrong("has an invalid port"));
        }
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { uri, host, port, secure })
    }
}

/// Without the path, which may be a secret.
impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({})", self.authority())
    }
}

impl<'de> Deserialize<'de> for WebhookUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for WebhookUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.uri)
    }
}
