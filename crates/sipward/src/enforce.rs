//! Carries the engine's wishes to the task that owns netlink.

use std::collections::VecDeque;

use sipward_route::Change;
use tokio::sync::mpsc;

/// Changes that wait in the channel at most; what does not fit waits in [`Wishes`].
pub const CHANGES: usize = 4_096;

/// Reports that wait for the engine at most.
pub const REPORTS: usize = 4_096;

/// The sending end of the changes. The engine's task must never wait for the kernel, so what the
/// channel does not take is kept here; the engine's own limit on bans bounds it.
#[derive(Debug)]
pub struct Wishes {
    sender: mpsc::Sender<Change>,
    waiting: VecDeque<Change>,
}

impl Wishes {
    /// Sends to `sender`.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Change>) -> Self {
        Self { sender, waiting: VecDeque::new() }
    }

    /// Passes `change` on, behind those that wait already.
    pub fn push(&mut self, change: Change) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(change);
        } else if let Err(error) = self.sender.try_send(change) {
            self.waiting.push_back(error.into_inner());
        }
    }

    /// Whether changes wait for room in the channel.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits for room and moves on what waits. Cancel-safe: a change leaves the queue only when
    /// its place in the channel is sure. Returns at once when nothing waits or the enforcer ended.
    pub async fn flow(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let Ok(permit) = self.sender.reserve().await else {
            return;
        };
        if let Some(change) = self.waiting.pop_front() {
            permit.send(change);
        }
        while let Some(change) = self.waiting.pop_front() {
            if let Err(error) = self.sender.try_send(change) {
                self.waiting.push_front(error.into_inner());
                return;
            }
        }
        // What a burst has needed is not needed for good.
        self.waiting.shrink_to(0);
    }
}
