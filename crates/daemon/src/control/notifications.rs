//! Mail and webhooks: what was delivered, and tests.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::Control;
use super::error::ControlError;
use sipward_config::{Config, Secrets};
use sipward_notify::trial::{self, Tested};
use sipward_notify::{Delivery, METRICS};

/// Seconds until a test may follow another that is not finished.
const AGAIN: u32 = 30;

/// What tests need; one runs at a time.
#[derive(Debug)]
pub(super) struct Trials(Mutex<(Config, Secrets)>);

impl Trials {
    pub(super) fn new(config: &Config, secrets: &Secrets) -> Arc<Self> {
        Arc::new(Self(Mutex::new((config.clone(), secrets.clone()))))
    }
}

impl Control {
    /// What was delivered since the start, one for mail and one for each webhook; empty if neither is configured.
    pub fn notifications(&self) -> Vec<Delivery> {
        let mut all = self.metrics.deliveries();
        all.retain(|delivery| delivery.by != METRICS);
        all
    }

    /// Sends a test mail to each recipient and a test event to each webhook, with the settings and secrets of the start.
    ///
    /// # Errors
    /// When a test is running.
    pub async fn test_notifications(&self) -> Result<Vec<Tested>, ControlError> {
        let Ok(settings) = self.trials.0.try_lock() else {
            let detail = "a test is running".to_owned();
            return Err(ControlError::TooMany { detail, retry_after: AGAIN });
        };
        let (config, secrets) = &*settings;
        let (mail, webhooks) =
            tokio::join!(trial::mail(config, secrets), trial::webhooks(config, secrets));
        Ok(mail.into_iter().chain(webhooks).collect())
    }
}
