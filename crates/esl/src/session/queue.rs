//! The bounded queue between the socket and the consumer.
//!
//! The writer never waits: a client that stops reading its socket freezes FreeSWITCH. What does not fit is
//! dropped, counted, and reported in its place.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Notice;

/// Room kept beyond the capacity for notices about the connection, so that a flood of events cannot push
/// them out. A consumer that is gone for days and a server that restarts all the time fill even that.
const RESERVE: usize = 64;

/// The notices of a [`Session`](super::Session). Dropping it ends the session.
#[derive(Debug)]
pub struct Notices {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

/// The session's end.
#[derive(Debug)]
pub(super) struct Sender {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    readable: Notify,
    capacity: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    notices: VecDeque<Notice>,
    bytes: usize,
    /// Dropped since the last notice that fitted.
    dropped: u64,
    ended: bool,
}

/// Both ends; dropping the notices cancels `stop`.
pub(super) fn queue(
    capacity: usize,
    max_bytes: usize,
    stop: CancellationToken,
) -> (Sender, Notices) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        readable: Notify::new(),
        capacity: capacity.max(1),
        max_bytes,
    });
    (Sender { shared: Arc::clone(&shared) }, Notices { shared, _stop: stop.drop_guard() })
}

impl Notices {
    /// The next notice, or `None` once the session has ended and everything has been read.
    ///
    /// Cancel safe: a notice is taken only when the future completes.
    pub async fn recv(&mut self) -> Option<Notice> {
        self.ready(State::pop).await
    }

    /// Appends up to `limit` notices to `buffer`, waiting for the first; returns how many. 0 once the
    /// session has ended and everything has been read, or when `limit` is 0.
    ///
    /// Cancel safe, as [`recv`](Self::recv).
    pub async fn recv_many(&mut self, buffer: &mut Vec<Notice>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let taken = self.ready(|state| {
            let before = buffer.len();
            buffer.extend(std::iter::from_fn(|| state.pop()).take(limit));
            let taken = buffer.len() - before;
            (taken > 0).then_some(taken)
        });
        taken.await.unwrap_or(0)
    }

    /// The next notice, if there is one already.
    pub fn try_recv(&mut self) -> Option<Notice> {
        self.shared.lock().pop()
    }

    async fn ready<T>(&mut self, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        loop {
            {
                let mut state = self.shared.lock();
                let taken = take(&mut state);
                if taken.is_some() || state.ended {
                    return taken;
                }
            }
            // A permit stored between the check and this wait ends the wait at once.
            self.shared.readable.notified().await;
        }
    }
}

impl Sender {
    /// Adds notices in order, as far as they fit; empties `batch`.
    pub(super) fn push_all(&self, batch: &mut Vec<Notice>) {
        if batch.is_empty() {
            return;
        }
        {
            let mut state = self.shared.lock();
            for notice in batch.drain(..) {
                state.push(notice, self.shared.capacity, self.shared.max_bytes);
            }
        }
        self.shared.readable.notify_one();
    }

    pub(super) fn push(&self, notice: Notice) {
        self.push_all(&mut vec![notice]);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.readable.notify_one();
    }
}

impl Shared {
    /// A panic elsewhere leaves no half-made state here, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, notice: Notice, capacity: usize, max_bytes: usize) {
        let size = notice.size();
        let fits = if notice.is_about_connection() {
            self.notices.len() < capacity.saturating_add(RESERVE)
        } else {
            self.notices.len() < capacity && self.bytes.saturating_add(size) <= max_bytes
        };
        if !fits {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            self.notices.push_back(Notice::Overflow { dropped });
        }
        // While little waits, events share their read buffers with their neighbours. Behind a slow
        // consumer most neighbours are dropped, and each event would keep a buffer of its own alive.
        let crowded = self.notices.len() > capacity / 2 || self.bytes > max_bytes / 2;
        self.bytes += size;
        self.notices.push_back(if crowded { notice.detached() } else { notice });
    }

    fn pop(&mut self) -> Option<Notice> {
        if let Some(notice) = self.notices.pop_front() {
            self.bytes = self.bytes.saturating_sub(notice.size());
            return Some(notice);
        }
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            return Some(Notice::Overflow { dropped });
        }
        None
    }
}

#[cfg(test)]
mod tests;
