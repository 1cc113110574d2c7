//! Tasks that join parts of the daemon which do not know each other.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};

use sipward_daemon::metrics::Metrics;
use sipward_daemon::{Command, Settings};
use sipward_model::clock::{self, Clock};
use sipward_model::record::Record;
use sipward_server::http::Access;
use sipward_store::{Entry, Notice, Saved, Store};

/// Whom the store's notices concern.
pub(super) struct StoreListener {
    pub(super) settings: Arc<Settings>,
    pub(super) access: Arc<Access>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) records: broadcast::Sender<Arc<Record>>,
}

/// Takes over the alarms that are stored.
pub(super) fn restore_alarms(metrics: &Metrics, saved: &Saved) {
    let (acknowledged, alarms) = (saved.acknowledged.clone(), saved.alarms.clone());
    metrics.recall(|activity, now| activity.alarms.restore(acknowledged, alarms, now));
}

/// Reports the notices of the store, and passes its late bans to the engine.
pub(super) async fn hear_store(mut notices: mpsc::Receiver<Notice>, listener: StoreListener) {
    let StoreListener { settings, access, metrics, commands, records } = listener;
    while let Some(notice) = notices.recv().await {
        let record = match notice {
            Notice::Degraded { error } => Record::StoreDegraded { error },
            Notice::Recovered { dropped } => Record::StoreRecovered { dropped },
            Notice::Begun { file } => Record::StoreBegun { file },
            Notice::Incomplete { error } => Record::StoreIncomplete { error },
            Notice::SetAside { kept: file, error } => Record::StoreSetAside { file, error },
            Notice::Late(saved) => {
                restore_alarms(&metrics, &saved);
                access.tokens.take_over(saved.tokens.clone(), saved.retired.clone());
                // They decide which bans are restored. Invalid ones are reported.
                if settings.take_over(&saved).await.is_err() {
                    return;
                }
                if commands.send(Command::Saved(saved)).await.is_err() {
                    return;
                }
                continue;
            }
        };
        record.publish(&records);
    }
}

/// Moves the ends of tokens that were made by a wrong clock, when it is set right.
pub(super) fn move_tokens(
    records: &broadcast::Sender<Arc<Record>>,
    access: &Arc<Access>,
    store: &Store,
    clock: &Clock,
) -> impl Future<Output = ()> + Send + 'static {
    let heard = records.subscribe();
    moving_tokens(heard, Arc::clone(access), store.clone(), clock.clone())
}

async fn moving_tokens(
    mut heard: broadcast::Receiver<Arc<Record>>,
    access: Arc<Access>,
    store: Store,
    clock: Clock,
) {
    loop {
        let record = match heard.recv().await {
            Ok(record) => record,
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if let Record::ClockStepped { by_seconds, .. } = *record {
            let by = clock::micros(by_seconds);
            let before = |at| clock::moved(at, by.saturating_neg());
            let (from, to) = (before(clock.at_start()), before(clock.now()));
            for saved in access.tokens.shift(from, to, by) {
                store.put(Entry::Token(saved));
            }
        }
    }
}
