//! The end, when nothing is judged any more.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::broadcast;

use sipward_config::{Config, Mode, OnExit};
use sipward_daemon::Kernel;
use sipward_model::record::{Record, Totals};
use sipward_notify::Notifiers;
use sipward_store::{Closed, Store};

/// Carries out, writes and delivers what was decided, in this order.
///
/// # Errors
/// When the kernel side failed, or cannot be flushed where `on_exit` asks for it.
pub(super) async fn shut_down(
    kernel: Kernel,
    (store, config): (Store, &Config),
    (totals, records): (Totals, &broadcast::Sender<Arc<Record>>),
    notifiers: Notifiers,
) -> anyhow::Result<()> {
    let kernel_end = kernel.end().await;
    close(store, records).await;
    if !matches!(kernel_end, Ok(Mode::Observe)) {
        flush_if_wanted(config).await?;
    }
    Record::Stopped(totals).publish(records);
    notifiers.finish().await;
    kernel_end.map(drop)
}

/// Closes the store, and says what it could not write.
async fn close(store: Store, records: &broadcast::Sender<Arc<Record>>) {
    if let Closed::Lost { entries } = store.close().await {
        let error = format!(
            "the daemon stopped before {entries} entries were written; the kernel's routes remain \
             and become bans at the next start, but their history and reasons are lost (is the \
             disk slow or full?)"
        );
        Record::StoreIncomplete { error }.publish(records);
    }
}

/// Removes everything of sipward from the kernel at the end, if `on_exit` says so.
async fn flush_if_wanted(config: &Config) -> anyhow::Result<()> {
    if config.on_exit == OnExit::Flush {
        sipward_route::flush(&config.route).await.context("cannot flush at the end")?;
    }
    Ok(())
}
