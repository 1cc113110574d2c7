//! Reports that wait for the daemon.

use std::collections::VecDeque;

use ipnet::IpNet;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::{Report, ShieldCounts, Stranger};

/// Reports held at most before no further changes are taken. A daemon that lets so many wait is busy
/// with something else; its changes wait in their own queue.
const ROOM: usize = 8192;

/// Reports that wait for the daemon, so that the enforcer never does.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Report>,
    /// What was counted and is not reported yet. It comes every second, so it is summed, not queued.
    packets: u64,
    shield: ShieldCounts,
    /// The latest.
    strangers: Vec<Stranger>,
    /// The latest.
    dropped: Option<Vec<(IpNet, u64)>>,
}

impl Outbox {
    pub(super) fn push(&mut self, report: Report) {
        match report {
            Report::Packets { count } => self.packets = self.packets.saturating_add(count),
            Report::Shield(counts) => self.shield += counts,
            Report::Strangers(strangers) => self.strangers = strangers,
            Report::Dropped(packets) => self.dropped = Some(packets),
            other => self.queue.push_back(other),
        }
    }

    /// Whether the answers to `changes` more changes fit.
    pub(super) fn has_room_for(&self, changes: usize) -> bool {
        self.queue.len() + changes <= ROOM
    }

    /// Sends what the daemon has room for, without waiting. Without a listener, reports are dropped.
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
        if self.queue.is_empty() && !self.has_counts() {
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

    /// Counts go first: they are about now, and a queue that never empties must not hide them.
    fn next(&mut self) -> Option<Report> {
        if self.packets > 0 {
            return Some(Report::Packets { count: std::mem::take(&mut self.packets) });
        }
        if !self.shield.is_empty() {
            return Some(Report::Shield(std::mem::take(&mut self.shield)));
        }
        if !self.strangers.is_empty() {
            return Some(Report::Strangers(std::mem::take(&mut self.strangers)));
        }
        if let Some(packets) = self.dropped.take() {
            return Some(Report::Dropped(packets));
        }
        self.queue.pop_front()
    }

    fn has_counts(&self) -> bool {
        self.packets > 0
            || !self.shield.is_empty()
            || !self.strangers.is_empty()
            || self.dropped.is_some()
    }

    fn put_back(&mut self, report: Report) {
        match report {
            counts @ (Report::Packets { .. }
            | Report::Shield(_)
            | Report::Strangers(_)
            | Report::Dropped(_)) => self.push(counts),
            other => self.queue.push_front(other),
        }
    }
}

#[cfg(test)]
mod tests;
