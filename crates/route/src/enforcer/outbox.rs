//! Reports that wait for the daemon.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::Report;

/// Reports held at most before no further changes are taken. A daemon that lets so many wait is busy
/// with something else; its changes wait in their own queue.
const ROOM: usize = 8192;

/// Reports that wait for the daemon, so that the enforcer never does.
#[derive(Debug, Default)]
pub(super) struct Outbox(VecDeque<Report>);

impl Outbox {
    pub(super) fn push(&mut self, report: Report) {
        self.0.push_back(report);
    }

    /// Whether the answers to `changes` more changes fit.
    pub(super) fn has_room_for(&self, changes: usize) -> bool {
        self.0.len() + changes <= ROOM
    }

    /// Sends what the daemon has room for, without waiting. When nobody listens any more, reports are
    /// of no use to anybody.
    pub(super) fn deliver(&mut self, reports: &mpsc::Sender<Report>) {
        while let Some(report) = self.0.pop_front() {
            match reports.try_send(report) {
                Ok(()) => {}
                Err(TrySendError::Full(report)) => {
                    self.0.push_front(report);
                    return;
                }
                Err(TrySendError::Closed(_)) => self.0.clear(),
            }
        }
    }

    /// Waits until the daemon has room for a report; for ever when none waits.
    pub(super) async fn room(&self, reports: &mpsc::Sender<Report>) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        // A closed queue has no room but needs a look.
        drop(reports.reserve().await);
    }

    /// Sends everything, waiting for room.
    pub(super) async fn drain(&mut self, reports: &mpsc::Sender<Report>) {
        while let Some(report) = self.0.pop_front() {
            if reports.send(report).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
