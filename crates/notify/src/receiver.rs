//! A listener of records.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{DeliveryReporter, DeliveryStats};
use sipward_model::record::Record;

/// Hears every record, or says how many it did not hear.
#[derive(Debug)]
pub struct EventReceiver {
    records: broadcast::Receiver<Arc<Record>>,
    voice: DeliveryReporter,
    /// Missed records that were not reported yet.
    missed: u64,
    stop: CancellationToken,
}

impl EventReceiver {
    /// Receives all records from now on, until `stop`.
    pub fn new(
        records: &broadcast::Sender<Arc<Record>>,
        ledger: Arc<DeliveryStats>,
        stop: CancellationToken,
    ) -> Self {
        let voice = DeliveryReporter::new(ledger, records.downgrade());
        Self { records: records.subscribe(), voice, missed: 0, stop }
    }

    /// Reports the state of deliveries.
    pub fn voice(&self) -> DeliveryReporter {
        self.voice.clone()
    }

    /// The next record; `None` when the daemon stops and all earlier records were received. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        loop {
            let heard = tokio::select! {
                biased;
                heard = self.records.recv() => heard,
                () = self.stop.cancelled() => return None,
            };
            match heard {
                Ok(record) => {
                    // Not before there is room again: what is reported takes the place of the next one.
                    if self.missed > 0 {
                        self.voice.missed(std::mem::take(&mut self.missed));
                    }
                    return Some(record);
                }
                Err(RecvError::Lagged(count)) => self.missed = self.missed.saturating_add(count),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
