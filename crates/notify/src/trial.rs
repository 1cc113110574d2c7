//! Tests of mail and webhooks: a message through each, once, with the result in words.

use std::time::SystemTime;

use futures_util::future::join_all;

use crate::mail::Mailer;
use crate::webhook::Hook;
use sipward_config::{Config, Secrets};
use sipward_model::clock;
use sipward_model::text::Plain;

/// The words for a delivered message, or for why it was not delivered.
pub type Tested = Result<String, String>;

/// A result for each recipient.
pub async fn mail(config: &Config, secrets: &Secrets) -> Vec<Tested> {
    let mailer = match Mailer::new(&config.mail, secrets.smtp.as_ref()) {
        Ok(Some(mailer)) => mailer,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Err(format!("mail: {error:#}"))],
    };
    let way = mailer.way();
    let advice = if secrets.smtp.is_some() {
        "check `mail.server` and `mail.tls`, SMTP_USER and its password"
    } else {
        "check `mail.server` and `mail.tls`; no SMTP_USER with a password was found, so none was sent"
    };
    let now = clock::stamp(SystemTime::now());
    let sent = mailer.send_test(now).await.into_iter().map(|(to, sent)| match sent {
        Ok(()) => Ok(format!("mail: delivered to {} via {}", Plain(&to), Plain(&way))),
        Err(error) => Err(format!(
            "mail: not delivered to {} via {}: {}\n  {advice}",
            Plain(&to),
            Plain(&way),
            Plain(&error)
        )),
    });
    sent.collect()
}

/// A result for each webhook. Its path may be a secret and is not shown.
pub async fn webhooks(config: &Config, secrets: &Secrets) -> Vec<Tested> {
    let signed = if secrets.webhook.is_some() { "signed" } else { "not signed: no WEBHOOK_SECRET" };
    let now = clock::stamp(SystemTime::now());
    let test = |hook: Hook| async move {
        let place = hook.place();
        match hook.send_test(now).await {
            Ok(status) => Ok(format!("webhook: {status} from {} ({signed})", Plain(&place))),
            Err(error) => Err(format!(
                "webhook: not accepted by {} ({signed}): {}\n  check `webhook.urls`, WEBHOOK_SECRET and the log of \
                 the receiver",
                Plain(&place),
                Plain(&error)
            )),
        }
    };
    let hooks = Hook::all(&config.webhook, secrets.webhook.as_ref());
    join_all(hooks.into_iter().map(test)).await
}
