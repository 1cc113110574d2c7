//! The small tasks around the engine: signals, reload, name look-ups, the heartbeat.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Reload;
use super::judge::{Heart, Order};
use crate::config::Config;
use crate::logging::LogControl;
use crate::names::Names;
use crate::record::Record;
use crate::systemd;

/// Cancels `stop` on SIGTERM or SIGINT.
pub(crate) fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
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

/// The configuration in force, and which of its sections a running daemon could not take over.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) config: Config,
    pub(super) needs_restart: Vec<&'static str>,
}

/// Reads the configuration again on each SIGHUP. A broken one changes nothing.
pub(super) fn reload_on_hangup(
    reload: Reload,
    logs: Option<LogControl>,
    current: watch::Sender<Current>,
    acls: watch::Sender<Vec<String>>,
    orders: mpsc::Sender<Order>,
) -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            systemd::reloading();
            match reload() {
                Ok(config) => {
                    if let Some(logs) = &logs {
                        logs.set_level(config.log_level);
                    }
                    let needs_restart = needs_restart(&current.borrow().config, &config);
                    let policy = Box::new(config.policy.clone());
                    if orders.send(Order::Policy(policy)).await.is_err() {
                        return;
                    }
                    // Also when they are the same: FreeSWITCH may have other contents for them.
                    acls.send_replace(config.allow_acl.clone());
                    if orders.send(Order::AclsChanged).await.is_err() {
                        return;
                    }
                    // Wakes the name look-ups, which tell the engine the new allow list, and then
                    // that all is in force.
                    current.send_replace(Current { config, needs_restart });
                }
                Err(error) => Record::ReloadFailed { error: error.to_string() }.log(),
            }
            systemd::ready();
        }
    })
}

/// Sections that a running daemon cannot change.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    [
        ("mode", old.mode != new.mode),
        ("on_exit", old.on_exit != new.on_exit),
        ("route", old.route != new.route),
        ("esl", old.esl != new.esl),
    ]
    .into_iter()
    .filter_map(|(section, changed)| changed.then_some(section))
    .collect()
}

/// Pause before names that have no answer yet are asked for again.
const NOT_YET_KNOWN: Duration = Duration::from_secs(10);

/// Looks the names of `allow` and `proxies` up again and again, at once after a reload.
pub(super) async fn look_up_names(
    mut names: Names,
    mut current: watch::Receiver<Current>,
    orders: mpsc::Sender<Order>,
) {
    let mut answered = names.are_known(&current.borrow().config);
    loop {
        // Names that are not known yet are asked for again at once.
        let refresh = if answered { current.borrow().config.dns_refresh } else { NOT_YET_KNOWN };
        let reloaded = tokio::select! {
            changed = current.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
            () = tokio::time::sleep(refresh) => false,
        };
        let Current { config: now, needs_restart } = current.borrow_and_update().clone();
        if reloaded {
            // What needs no look-up must not wait for a slow name server.
            for order in [Order::Exempt(names.classes(&now)), Order::Reloaded { needs_restart }] {
                if orders.send(order).await.is_err() {
                    return;
                }
            }
        }
        let (classes, failed) = names.refresh(&now).await;
        failed.iter().for_each(Record::log);
        answered = names.are_known(&now);
        if orders.send(Order::Exempt(classes)).await.is_err() {
            return;
        }
    }
}

/// Tells systemd once a beat that the engine's task works, and the log what the log has lost.
pub(super) fn heart(logs: Option<LogControl>) -> Heart {
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
