//! Mail and webhooks: what was delivered, and tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tokio::sync::Mutex;

use super::Control;
use super::error::ControlError;
use sipward_config::{Config, Secrets};
use sipward_model::clock;
use sipward_notify::trial::{self, Tested};
use sipward_notify::{Delivery, METRICS};
use sipward_store::Entry;

/// Seconds until a test may follow another that is not finished.
const AGAIN: u32 = 30;

/// What tests need; one runs at a time.
#[derive(Debug)]
pub(super) struct Trials {
    settings: Mutex<(Config, Secrets)>,
    /// One delivered, in this run or an earlier one.
    pub(super) worked: AtomicBool,
}

impl Trials {
    pub(super) fn new(config: &Config, secrets: &Secrets, worked: bool) -> Arc<Self> {
        let settings = Mutex::new((config.clone(), secrets.clone()));
        Arc::new(Self { settings, worked: AtomicBool::new(worked) })
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
        let Ok(settings) = self.trials.settings.try_lock() else {
            let detail = "a test is running".to_owned();
            return Err(ControlError::TooMany { detail, retry_after: AGAIN });
        };
        let (config, secrets) = &*settings;
        let (mail, webhooks) =
            tokio::join!(trial::mail(config, secrets), trial::webhooks(config, secrets));
        let results: Vec<Tested> = mail.into_iter().chain(webhooks).collect();
        if results.iter().any(Result::is_ok) && !self.trials.worked.swap(true, Ordering::Relaxed) {
            self.store.put(Entry::Notified { at: clock::stamp(SystemTime::now()) });
        }
        Ok(results)
    }
}
