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
pub(super) struct Outbox {
    queue: VecDeque<Report>,
    /// Packets counted and not told yet. They come every second, so they are summed, not queued.
    packets: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, report: Report) {
        match report {
            Report::Packets { count } => self.packets = self.packets.saturating_add(count),
            other => self.queue.push_back(other),
        }
    }

    /// Whether the answers to `changes` more changes fit.
    pub(super) fn has_room_for(&self, changes: usize) -> bool {
        self.queue.len() + changes <= ROOM
    }

    /// Sends what the daemon has room for, without waiting. When nobody listens any more, reports are
    /// of no use to anybody.
    pub(super) fn deliver(&mut self, reports: &mpsc::Sender<Report>) {
        while let Some(report) = self.next() {
            match reports.try_send(report) {
                Ok(()) => {}
                Err(TrySendError::Full(report)) => return self.put_back(report),
                Err(TrySendError::Closed(_)) => *self = Self::default(),
            }
        }
    }

    /// Waits until the daemon has room for a report; for ever when none waits.
    pub(super) async fn room(&self, reports: &mpsc::Sender<Report>) {
        if self.queue.is_empty() && self.packets == 0 {
            return std::future::pending().await;
        }
        // A closed queue has no room but needs a look.
        drop(reports.reserve().await);
    }

    /// Sends everything, waiting for room.
    pub(super) async fn drain(&mut self, reports: &mpsc::Sender<Report>) {
        while let Some(report) = self.next() {
            if reports.send(report).await.is_err() {
                return;
            }
        }
    }

    /// Packets go first: their count is about now, and a queue that never empties must not hide it.
    fn next(&mut self) -> Option<Report> {
        match std::mem::take(&mut self.packets) {
            0 => self.queue.pop_front(),
            count => Some(Report::Packets { count }),
        }
    }

    fn put_back(&mut self, report: Report) {
        match report {
            packets @ Report::Packets { .. } => self.push(packets),
            other => self.queue.push_front(other),
        }
    }
}

#[cfg(test)]
mod tests;
