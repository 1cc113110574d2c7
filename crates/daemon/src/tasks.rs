//! The small tasks around the engine: signals, reload, name look-ups, the heartbeat.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::engine_task::{Command, StatusHook};
use super::settings::{Applied, Current, Settings};
use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::names::Names;
use crate::systemd;
use sipward_model::clock::Clock;
use sipward_model::record::Record;
use sipward_store::{Entry, Store};

/// Cancels `stop` on SIGTERM or SIGINT.
pub fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

/// Reads the configuration again on each SIGHUP. A broken one changes nothing.
pub fn reload_on_hangup(
    settings: Arc<Settings>,
) -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            systemd::reloading();
            // Told where it happens.
            let _ = settings.reload().await;
            systemd::ready();
        }
    })
}

/// How often entries of the allow list are looked at that leave it by themselves.
const LOOK_FOR_ENDS: Duration = Duration::from_secs(5);

/// Takes off the allow list what has come to its end.
pub async fn expire_allowed(settings: Arc<Settings>) {
    loop {
        tokio::time::sleep(LOOK_FOR_ENDS).await;
        // The engine has stopped, so the daemon does.
        if settings.expire_allowed().await.is_err() {
            return;
        }
    }
}

/// How far back decisions of before the start are counted.
const DAY: Duration = Duration::from_secs(86_400);

/// How often counts are stored. A crash loses the failures counted since; bans and unbans are in the history.
const SAVE_COUNTS: Duration = Duration::from_secs(300);

/// Counts what was stored before the start, and stores counts from time to time. Without the store, counting begins
/// with the start.
pub async fn keep_counts(store: Store, metrics: Arc<Metrics>, clock: Clock) {
    let start = clock.at_start();
    let from = start.earlier(DAY);
    match tokio::try_join!(store.counts(), store.decisions_by_minute(from, start)) {
        Ok((stored, decided)) => {
            metrics.recall(|activity, _| activity.series.fill(&stored, from, &decided));
        }
        Err(error) => tracing::debug!(%error, "nothing from before the start is counted"),
    }
    loop {
        tokio::time::sleep(SAVE_COUNTS).await;
        save_counts(&store, &metrics);
    }
}

/// Stores the counts that changed since they were stored last.
pub fn save_counts(store: &Store, metrics: &Metrics) {
    if let Some((from, counts)) = metrics.recall(|activity, _| activity.series.take_unsaved()) {
        store.put(Entry::Counts { from, counts });
    }
}

/// Pause before names that have no answer yet are asked for again.
const NOT_YET_KNOWN: Duration = Duration::from_secs(10);

/// Resolves the names of `allow` and `proxies` periodically, at once after a change, and passes the lists of the
/// engine to `in_force`.
pub async fn look_up_names(
    mut names: Names,
    mut current: watch::Receiver<Current>,
    in_force: watch::Sender<Applied>,
    commands: mpsc::Sender<Command>,
) {
    let mut answered = names.are_known(&current.borrow().config);
    loop {
        // Names that are not known yet are asked for again at once.
        let refresh = if answered { current.borrow().config.dns_refresh } else { NOT_YET_KNOWN };
        tokio::select! {
            changed = current.changed() => if changed.is_err() {
                return;
            },
            () = tokio::time::sleep(refresh) => {}
        }
        answered = loop {
            let Current { config: now, generation, .. } = current.borrow_and_update().clone();
            // What needs no look-up must not wait for a slow name server.
            if commands.send(Command::Exempt(names.classes(&now))).await.is_err() {
                return;
            }
            in_force.send_replace(Applied { generation, answers: names.answers() });
            // Nor must the next change. Answers that are here by then are kept.
            let (classes, failed) = tokio::select! {
                found = names.refresh(&now) => found,
                changed = current.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            failed.iter().for_each(Record::log);
            if commands.send(Command::Exempt(classes)).await.is_err() {
                return;
            }
            in_force.send_replace(Applied { generation, answers: names.answers() });
            break names.are_known(&now);
        };
    }
}

/// Tells systemd once a beat that the engine's task works, and the log what the log has lost.
pub fn status_hook(logs: Option<LogControl>) -> StatusHook {
    let watched = systemd::watchdog_interval().is_some();
    let mut told_lost = 0;
    let mut told_status = String::new();
    Box::new(move |beat| {
        if watched {
            systemd::alive();
        }
        let status = beat.to_string();
        if status != told_status {
            systemd::status(&status);
            told_status = status;
        }
        let lost = logs.as_ref().map_or(0, LogControl::lost);
        if lost > told_lost {
            Record::LogLost { lines: lost }.log();
            told_lost = lost;
        }
    })
}
