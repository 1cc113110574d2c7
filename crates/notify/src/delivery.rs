//! What was delivered and what was lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;

use sipward_engine::Timestamp;
use sipward_model::clock;
use sipward_model::record::Record;

/// Counts of one way out, since the start.
#[derive(Debug)]
pub struct DeliveryStats {
    by: String,
    delivered: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
    missed: AtomicU64,
    waiting: AtomicU64,
    latest: Mutex<Latest>,
}

/// The latest delivery, and why the attempt after it failed.
#[derive(Clone, Debug, Default)]
struct Latest {
    delivered: Option<Timestamp>,
    error: Option<String>,
}

/// The counts of a [`DeliveryStats`] at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// `mail`, `metrics`, or `webhook` with the host it goes to.
    pub by: String,
    /// Messages delivered.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Messages given up, or without room.
    pub lost: u64,
    /// Records not heard of.
    pub missed: u64,
    /// Messages that wait now.
    pub waiting: u64,
    /// The wall time of the last delivery.
    pub last: Option<Timestamp>,
    /// Why the last attempt failed; `None` after a delivery.
    pub error: Option<String>,
}

impl DeliveryStats {
    pub fn new(by: String) -> Self {
        Self {
            by,
            delivered: AtomicU64::default(),
            failed: AtomicU64::default(),
            lost: AtomicU64::default(),
            missed: AtomicU64::default(),
            waiting: AtomicU64::default(),
            latest: Mutex::default(),
        }
    }

    /// The counts now.
    #[must_use]
    pub fn read(&self) -> Delivery {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Delivery {
            by: self.by.clone(),
            delivered: get(&self.delivered),
            failed: get(&self.failed),
            lost: get(&self.lost),
            missed: get(&self.missed),
            waiting: get(&self.waiting),
            last: latest.delivered,
            error: latest.error,
        }
    }

    fn note(&self, change: impl FnOnce(&mut Latest)) {
        change(&mut self.latest.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Counts deliveries, and reports when they begin and cease to fail.
#[derive(Clone, Debug)]
pub struct DeliveryReporter {
    ledger: Arc<DeliveryStats>,
    /// Weak, so that it does not keep the channel open that it waits for the end of.
    records: broadcast::WeakSender<Arc<Record>>,
    /// Something failed or was lost since the last success.
    troubled: Arc<AtomicBool>,
    /// The queue is full, and that was reported.
    full: Arc<AtomicBool>,
}

impl DeliveryReporter {
    pub(super) fn new(
        ledger: Arc<DeliveryStats>,
        records: broadcast::WeakSender<Arc<Record>>,
    ) -> Self {
        Self { ledger, records, troubled: Arc::default(), full: Arc::default() }
    }

    /// A message arrived.
    pub fn delivered(&self) {
        self.ledger.delivered.fetch_add(1, Ordering::Relaxed);
        let now = clock::stamp(SystemTime::now());
        self.ledger.note(|latest| *latest = Latest { delivered: Some(now), error: None });
        self.full.store(false, Ordering::Relaxed);
        if self.troubled.swap(false, Ordering::Relaxed) {
            let lost = self.ledger.lost.load(Ordering::Relaxed);
            self.tell(Record::Delivered { by: self.ledger.by.clone(), lost });
        }
    }

    /// An attempt failed; the next one comes after `pause`.
    pub fn failed(&self, error: String, pause: Duration) {
        self.ledger.failed.fetch_add(1, Ordering::Relaxed);
        self.trouble(error, Some(pause.as_secs_f64()));
    }

    /// An attempt failed, and the message is given up.
    pub fn gave_up(&self, error: String) {
        self.ledger.failed.fetch_add(1, Ordering::Relaxed);
        self.ledger.lost.fetch_add(1, Ordering::Relaxed);
        self.trouble(error, None);
    }

    /// A message found no room, and the oldest that waited went for it.
    pub(super) fn overflowed(&self, room: usize) {
        self.ledger.lost.fetch_add(1, Ordering::Relaxed);
        if !self.full.swap(true, Ordering::Relaxed) {
            self.trouble(
                format!("{room} messages are queued; the oldest are dropped for new ones"),
                None,
            );
        }
    }

    /// Records were not heard of.
    pub(super) fn missed(&self, count: u64) {
        self.ledger.missed.fetch_add(count, Ordering::Relaxed);
        self.tell(Record::RecordsMissed { by: self.ledger.by.clone(), count });
    }

    pub(super) fn waiting(&self, count: usize) {
        self.ledger.waiting.store(count as u64, Ordering::Relaxed);
    }

    fn trouble(&self, error: String, retry_in_seconds: Option<f64>) {
        self.troubled.store(true, Ordering::Relaxed);
        self.ledger.note(|latest| latest.error = Some(error.clone()));
        let by = self.ledger.by.clone();
        self.tell(Record::DeliveryFailed { by, error, retry_in_seconds });
    }

    fn tell(&self, record: Record) {
        match self.records.upgrade() {
            Some(records) => record.publish(&records),
            None => record.log(),
        }
    }
}
