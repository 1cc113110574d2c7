//! `[mail]`, `[webhook]` and `[whois]`.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::set;
use super::span::{self, Span};
use crate::error::Problem;
use crate::{MailSettings, MailTls, MailTransport, WebhookSettings, WebhookUrl};
use crate::{WHOIS_PORT, WhoisServer, WhoisSettings, host_and_port};
use sipward_model::record::Kind;

/// Most recipients of mail: each gets a message of its own.
const MAX_RECIPIENTS: usize = 16;

/// Most receivers of webhooks: each has a queue and a connection.
const MAX_TARGETS: usize = 8;

/// `[mail]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MailFile {
    to: Option<Vec<String>>,
    from: Option<String>,
    server: Option<String>,
    tls: Option<MailTls>,
    sendmail: Option<PathBuf>,
    digest: Option<Span>,
    whois: Option<bool>,
}

/// `[webhook]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WebhookFile {
    urls: Option<Vec<WebhookUrl>>,
    events: Option<Vec<Kind>>,
    timeout: Option<Span>,
}

/// `[whois]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WhoisFile {
    server: Option<String>,
    timeout: Option<Span>,
    per_minute: Option<u32>,
}

impl MailFile {
    pub(super) fn checked(self) -> Result<MailSettings, Problem> {
        let mut settings = MailSettings::default();
        let to = self.to.unwrap_or_default();
        if to.len() > MAX_RECIPIENTS {
            let message =
                format!("{} recipients, more than {MAX_RECIPIENTS}; use a mailing list", to.len());
            return Err(Problem::new("mail.to", message));
        }
        settings.to = to.iter().map(|text| mailbox("mail.to", text)).collect::<Result<_, _>>()?;
        if let Some(from) = self.from.filter(|from| !from.is_empty()) {
            settings.from = Some(mailbox("mail.from", &from)?);
        }
        if let Some(program) = self.sendmail.filter(|program| !program.as_os_str().is_empty()) {
            if self.server.is_some() {
                let message = "`mail.server` is also set; remove one of them".to_owned();
                return Err(Problem::new("mail.sendmail", message));
            }
            if !program.is_absolute() {
                let message = format!("`{}` is not an absolute path", program.display());
                return Err(Problem::new("mail.sendmail", message));
            }
            settings.way = MailTransport::Sendmail(program);
        } else {
            let tls = self.tls.unwrap_or_default();
            let server = self.server.as_deref().unwrap_or("127.0.0.1");
            let (host, port) = place("mail.server", server, tls.port())?;
            settings.way = MailTransport::Smtp { host, port, tls };
        }
        span::set(&mut settings.digest, self.digest);
        let range = Duration::from_secs(1)..=Duration::from_secs(86_400);
        span::within("mail.digest", settings.digest, range)?;
        set(&mut settings.whois, self.whois);
        Ok(settings)
    }
}

impl WebhookFile {
    pub(super) fn checked(self) -> Result<WebhookSettings, Problem> {
        let mut settings = WebhookSettings::default();
        set(&mut settings.targets, self.urls);
        if settings.targets.len() > MAX_TARGETS {
            let message = format!("{} receivers, more than {MAX_TARGETS}", settings.targets.len());
            return Err(Problem::new("webhook.urls", message));
        }
        set(&mut settings.events, self.events);
        span::set(&mut settings.timeout, self.timeout);
        let range = Duration::from_secs(1)..=Duration::from_secs(60);
        span::within("webhook.timeout", settings.timeout, range)?;
        Ok(settings)
    }
}

impl WhoisFile {
    pub(super) fn checked(self) -> Result<WhoisSettings, Problem> {
        let mut settings = WhoisSettings::default();
        if let Some(server) = self.server {
            let (host, port) = place("whois.server", &server, WHOIS_PORT)?;
            settings.server = WhoisServer { host, port };
        }
        span::set(&mut settings.timeout, self.timeout);
        let range = Duration::from_secs(1)..=Duration::from_secs(60);
        span::within("whois.timeout", settings.timeout, range)?;
        set(&mut settings.per_minute, self.per_minute);
        if settings.per_minute > 600 {
            let message = format!("{} is more than 600", settings.per_minute);
            return Err(Problem::new("whois.per_minute", message));
        }
        Ok(settings)
    }
}

fn mailbox(key: &str, text: &str) -> Result<Mailbox, Problem> {
    text.parse::<Mailbox>().map_err(|error| {
        let text = text.escape_debug();
        let message = format!(
            "`{text}` is not a mail address \
            ({error}); write noc@example.org or Name <noc@example.org>"
        );
        Problem::new(key, message)
    })
}

fn place(key: &str, text: &str, port: u16) -> Result<(String, u16), Problem> {
    host_and_port(text, port).ok_or_else(|| {
        let text = text.escape_debug();
        Problem::new(
            key,
            format!(
                "`{text}` is not a server; \
            write mail.example.org, 192.0.2.25:587 or [2001:db8::25]:587"
            ),
        )
    })
}
