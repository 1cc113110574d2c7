//! Whom to write to, and by which server.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;

/// `[mail]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MailSettings {
    /// Recipients; empty: no mail is written.
    pub to: Vec<Mailbox>,
    /// Sender; `None`: `sipward@` this host.
    pub from: Option<Mailbox>,
    /// How mails leave.
    pub way: MailTransport,
    /// Time in which bans are collected for one mail.
    pub digest: Duration,
    /// Whether digests contain the owners of addresses.
    pub whois: bool,
}

/// How mails leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTransport {
    /// To a mail server.
    Smtp {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
        /// How the connection is secured.
        tls: MailTls,
    },
    /// By a program that takes a mail on its standard input.
    Sendmail(PathBuf),
}

/// How the connection to a mail server is secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Not at all: for a server on this host.
    #[default]
    Off,
    /// From `STARTTLS` on, or not at all (RFC 3207).
    Starttls,
    /// From the first byte (RFC 8314 section 3.3).
    Tls,
}

impl MailTls {
    /// The usual port.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Off => 25,
            Self::Starttls => 587,
            Self::Tls => 465,
        }
    }
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            to: Vec::new(),
            from: None,
            way: MailTransport::Smtp { host: "127.0.0.1".to_owned(), port: 25, tls: MailTls::Off },
            digest: Duration::from_secs(300),
            whois: true,
        }
    }
}
