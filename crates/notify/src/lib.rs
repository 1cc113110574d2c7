//! Notifications: mail and webhooks.
//!
//! Mail and webhooks live on a thread of their own with a small runtime, so that neither a slow server, nor a
//! TLS handshake, nor the making of a mail is ever in the way of a ban. They receive the broadcast of records; a slow
//! receiver misses some, which is counted and reported.
//!
//! | module | holds |
//! |---|---|
//! | `receiver` | a listener of records that says what it missed |
//! | `outbox` | a bounded queue, and the loop that empties it with retries |
//! | `delivery` | what was delivered and what was lost, for the log and the metrics |
//! | `mail`, `whois` | mail: what is gathered into one, its text, the look-up of an attacker's network |
//! | `webhook` | signed requests, in order |
//! | `trial` | tests of mail and webhooks |
//! | `tls` | TLS as a client |
//!
//! It knows no task of the engine, no store and no HTTP server.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::return_self_not_must_use,
    reason = "a part of the program, not a library for others"
)]

mod delivery;
pub mod mail;
mod outbox;
mod receiver;
pub mod tls;
pub mod trial;
pub mod webhook;
pub mod whois;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

pub use delivery::DeliveryReporter;
pub use delivery::{Delivery, DeliveryStats};
pub use outbox::{Failure, Outbox, Retry};
pub use receiver::EventReceiver;

use self::mail::Mailer;
use self::webhook::Hook;
use crate::whois::Whois;
use sipward_config::{Config, Secrets};
use sipward_model::clock::Clock;
use sipward_model::record::Record;
use sipward_model::rights;

/// Time for the last messages at the end: the whole stop of the daemon must fit into 2 s.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Longest time for a test of mail or of a webhook.
pub const TEST_LIMIT: Duration = Duration::from_secs(30);

/// How the receiver that counts for the metrics is called.
pub const METRICS: &str = "metrics";

/// Name of the thread.
const THREAD: &str = "tell";

/// The notification thread, if there are receivers.
#[derive(Debug)]
pub struct Notifiers {
    stop: CancellationToken,
    done: oneshot::Receiver<()>,
    stats: Vec<Arc<DeliveryStats>>,
}

impl Notifiers {
    /// Starts what `config` asks for; from now on nothing is missed.
    ///
    /// # Errors
    /// When a mail address or a secret does not fit, or the system gives no thread.
    pub fn start(
        config: &Config,
        secrets: &Secrets,
        whois: &Arc<Whois>,
        records: &broadcast::Sender<Arc<Record>>,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let mut stats = Vec::new();
        let mut listen = |by: String| {
            let counts = Arc::new(DeliveryStats::new(by));
            stats.push(Arc::clone(&counts));
            EventReceiver::new(records, counts, stop.clone())
        };
        let mailer = Mailer::new(&config.mail, secrets.smtp.as_ref())?;
        let mailer = mailer.map(|mailer| (mailer, listen(mail::NAME.to_owned())));
        let hooks = Hook::all(&config.webhook, secrets.webhook.as_ref());
        let hooks: Vec<_> = hooks.into_iter().map(|hook| (listen(hook.name()), hook)).collect();
        let done = if stats.is_empty() {
            oneshot::channel().1
        } else {
            let (whois, clock) = (Arc::clone(whois), clock.clone());
            apart(move || {
                let mut all: Vec<LocalBoxFuture<'static, ()>> = Vec::new();
                if let Some((mailer, events)) = mailer {
                    all.push(Box::pin(mail::run(mailer, events, whois, clock.clone())));
                }
                for (events, hook) in hooks {
                    all.push(Box::pin(webhook::run(hook, events, clock.clone())));
                }
                Box::pin(join_all(all).map(drop))
            })?
        };
        Ok(Self { stop, done, stats })
    }

    /// Whether they would start.
    ///
    /// # Errors
    /// As [`Notifiers::start`].
    pub fn check(config: &Config, secrets: &Secrets) -> anyhow::Result<()> {
        Mailer::new(&config.mail, secrets.smtp.as_ref()).map(drop)
    }

    /// What was delivered and lost so far, one for each way out.
    pub fn stats(&self) -> &[Arc<DeliveryStats>] {
        &self.stats
    }

    /// Lets them say what they have heard, for a moment.
    pub async fn finish(self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST_WORDS, self.done).await.is_err() {
            tracing::warn!("stopped before all mails and webhooks were delivered");
        }
    }
}

/// Runs `work` on its own thread, and signals when it is done.
pub fn apart(
    work: impl FnOnce() -> LocalBoxFuture<'static, ()> + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (told, done) = oneshot::channel();
    std::thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || {
            rights::keep_none();
            // `work` is called inside: its tasks belong to this runtime.
            runtime.block_on(async move { work().await });
            // The receiver is gone if the daemon no longer waits for the last messages.
            let _ = told.send(());
        })
        .context("cannot start the thread for mail and webhooks")?;
    Ok(done)
}

#[cfg(test)]
mod tests;
