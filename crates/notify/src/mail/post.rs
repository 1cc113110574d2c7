//! Letters → SMTP or sendmail.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as Secured, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{
    Address, AsyncSendmailTransport, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
};
use sipward_engine::Timestamp;
use tokio::time::timeout;

use super::text::MailText;
use crate::{Failure, TEST_LIMIT};
use sipward_config::{Login, MailSettings, MailTls, MailTransport};
use sipward_model::clock;
use sipward_model::text::Time;

/// Time for one step of the conversation with a mail server, and for sendmail as a whole.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message to one recipient, as it goes over the wire.
pub(super) type Message = lettre::Message;

/// Mail, ready to run.
#[derive(Debug)]
pub struct Mailer {
    settings: MailSettings,
    post: Post,
}

/// The way out.
#[derive(Debug)]
pub(super) struct Post {
    transport: Transport,
    from: Mailbox,
    to: Vec<Mailbox>,
    host: String,
}

#[derive(Debug)]
enum Transport {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Sendmail(AsyncSendmailTransport<Tokio1Executor>),
}

impl Mailer {
    /// `None` without recipients.
    ///
    /// # Errors
    /// When a password would cross the network unencrypted, or TLS cannot be set up.
    pub fn new(settings: &MailSettings, login: Option<&Login>) -> anyhow::Result<Option<Self>> {
        if settings.to.is_empty() {
            return Ok(None);
        }
        let host = host_name();
        let from = settings.from.clone().map_or_else(|| default_sender(&host), Ok)?;
        let transport = match &settings.way {
            MailTransport::Smtp { host: server, port, tls } => {
                Transport::Smtp(Box::new(smtp(server, *port, *tls, login, &host)?))
            }
            MailTransport::Sendmail(program) => {
                anyhow::ensure!(
                    login.is_none(),
                    "SMTP_PASSWORD is set, but `mail.sendmail` does not use it: unset one of them"
                );
                Transport::Sendmail(AsyncSendmailTransport::new_with_command(program))
            }
        };
        let post = Post { transport, from, to: settings.to.clone(), host };
        Ok(Some(Self { settings: settings.clone(), post }))
    }

    /// How its mails leave, for people.
    pub fn way(&self) -> String {
        match &self.settings.way {
            MailTransport::Smtp { host, port, .. } => format!("{host}:{port}"),
            MailTransport::Sendmail(program) => program.display().to_string(),
        }
    }

    /// Sends one message that is marked as a test to each recipient, all within [`TEST_LIMIT`]. Gives each
    /// recipient's address, with the reason where the message was not delivered.
    pub async fn send_test(&self, now: Timestamp) -> Vec<(String, Result<(), String>)> {
        let letter = MailText::test();
        let letter = &letter;
        let once = async |to: &Mailbox| {
            let message = self.post.message(letter, to, now).map_err(|error| error.to_string())?;
            match timeout(TEST_LIMIT, self.post.send(&message)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(Failure::Later(error) | Failure::Never(error))) => Err(error),
                Err(_) => Err(format!("not delivered within {} s", TEST_LIMIT.as_secs())),
            }
        };
        let each = self.post.to.iter().map(|to| once(to).map(|sent| (to.email.to_string(), sent)));
        join_all(each).await
    }

    pub(super) fn into_parts(self) -> (MailSettings, Post) {
        (self.settings, self.post)
    }
}

impl Post {
    /// A message for each recipient: one that is refused must not keep the others from theirs.
    pub(super) fn address(&self, letter: &MailText, now: Timestamp) -> Vec<Message> {
        let made = self.to.iter().map(|to| self.message(letter, to, now));
        made.filter_map(|message| {
            message.inspect_err(|error| tracing::error!(%error, "cannot write a mail")).ok()
        })
        .collect()
    }

    fn message(
        &self,
        letter: &MailText,
        to: &Mailbox,
        now: Timestamp,
    ) -> Result<Message, lettre::error::Error> {
        let Self { from, host, .. } = self;
        let mut random = fastrand::Rng::with_seed(clock::seed());
        // The same for every attempt, so that a mail that arrives twice is recognized.
        let id = format!("<{}.{:016x}@{}>", now.as_micros(), random.u64(..), from.email.domain());
        let date = SystemTime::UNIX_EPOCH + Duration::from_micros(now.as_micros());
        // No out-of-office answers (RFC 3834 section 5).
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let text = format!("{host}, {}\n\n{}", Time(now), letter.text);
        // Lines may be longer than SMTP's 998 bytes, and hold any character.
        let part = SinglePart::builder()
            .header(ContentType::TEXT_PLAIN)
            .header(ContentTransferEncoding::QuotedPrintable)
            .body(text);
        Message::builder()
            .from(from.clone())
            .to(to.clone())
            .subject(format!("sipward on {host}: {}", letter.subject))
            .date(date)
            .message_id(Some(id))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .singlepart(part)
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), Failure> {
        match &self.transport {
            Transport::Smtp(smtp) => match smtp.send(message.clone()).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() => Err(Failure::Never(told(&error))),
                Err(error) => Err(Failure::Later(told(&error))),
            },
            Transport::Sendmail(sendmail) => {
                let sent = tokio::time::timeout(PATIENCE, sendmail.send(message.clone())).await;
                match sent {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(Failure::Later(told(&error))),
                    Err(_) => Err(Failure::Later("sendmail did not finish".to_owned())),
                }
            }
        }
    }
}

fn smtp(
    server: &str,
    port: u16,
    tls: MailTls,
    login: Option<&Login>,
    host: &str,
) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
    let parameters = || {
        TlsParameters::new_rustls(server.to_owned())
            .with_context(|| format!("cannot set up TLS for the mail server {server}"))
    };
    let secured = match tls {
        MailTls::Off => Secured::None,
        MailTls::Starttls => Secured::Required(parameters()?),
        MailTls::Tls => Secured::Wrapper(parameters()?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server)
        .port(port)
        .tls(secured)
        .hello_name(ClientId::Domain(host.to_owned()))
        .timeout(Some(PATIENCE));
    if let Some(Login { user, password }) = login {
        anyhow::ensure!(
            tls != MailTls::Off || is_loopback(server),
            "the password for the mail server {server} would cross the network unencrypted: set \
             `mail.tls` to \"starttls\" or \"tls\""
        );
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(builder.build())
}

fn is_loopback(server: &str) -> bool {
    server == "localhost"
        || server.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// This host's name, if it is valid in a header and in a greeting.
fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let is_name = |name: &String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        (1..=253).contains(&name.len()) && name.bytes().all(fits)
    };
    name.filter(is_name).unwrap_or_else(|| "localhost".to_owned())
}

fn default_sender(host: &str) -> anyhow::Result<Mailbox> {
    let address = Address::new("sipward", host)
        .with_context(|| format!("`sipward@{host}` is not an address: set `mail.from`"))?;
    Ok(Mailbox::new(Some("sipward".to_owned()), address))
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
