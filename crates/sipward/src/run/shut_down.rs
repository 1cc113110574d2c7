//! The end, when nothing is judged any more.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::Common;
use super::wire::Session;
use sipward_config::{Config, Mode, OnExit};
use sipward_daemon::{End, save_counts, systemd};
use sipward_model::record::{Record, Totals};
use sipward_server::http::Server;
use sipward_store::{Closed, Store};

/// The engine's task has ended; the rest still runs.
pub(super) struct Ended {
    pub(super) common: Common,
    pub(super) session: Session,
    pub(super) server: Option<Server>,
    pub(super) totals: Totals,
    pub(super) end: End,
}

impl Ended {
    /// Carries out, writes and delivers what was decided, in this order, and closes everything.
    ///
    /// # Errors
    /// When the kernel side failed, or cannot be flushed where `on_exit` asks for it, or nobody had asked for the end.
    pub(super) async fn shut_down(self) -> anyhow::Result<Totals> {
        let Self { common, session, server, totals, end } = self;
        // The lock is held until the end, the flush included.
        let Common { config, records, only: _only, kernel, store, .. } = common;
        systemd::stopping();
        common.helpers.iter().for_each(JoinHandle::abort);
        drop(server);
        session.end();
        save_counts(&store, &common.metrics);
        let kernel_end = kernel.end().await;
        close(store, &records).await;
        if !matches!(kernel_end, Ok(Mode::Observe)) {
            flush_if_wanted(&config).await?;
        }
        Record::Stopped(totals).publish(&records);
        common.notifiers.finish().await;
        kernel_end?;
        anyhow::ensure!(end == End::Asked, "the Event Socket task ended unexpectedly");
        Ok(totals)
    }
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
