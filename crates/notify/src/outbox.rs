//! A bounded queue of messages, and the loop that empties it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::DeliveryReporter;
use sipward_model::backoff::Backoff;
use sipward_model::clock;

/// Messages that wait, oldest first.
#[derive(Debug)]
pub struct Outbox<T> {
    waiting: Mutex<VecDeque<T>>,
    room: usize,
    news: Notify,
    closed: CancellationToken,
    voice: DeliveryReporter,
}

/// Why a message did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may later.
    Later(String),
    /// It never will.
    Never(String),
}

/// When to try again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    pub backoff: Backoff,
    /// Attempts before a message is given up.
    pub attempts: u32,
}

impl Retry {
    /// Pause after the `failed`th attempt, with up to a quarter less, so that many do not return at once.
    fn pause(&self, failed: u32, random: &mut fastrand::Rng) -> Duration {
        self.backoff.pause(failed).mul_f64(1.0 - random.f64() / 4.0)
    }
}

impl<T> Outbox<T> {
    /// With room for `room` messages.
    pub fn new(room: usize, voice: DeliveryReporter) -> Self {
        let (waiting, news) = (Mutex::default(), Notify::new());
        Self { waiting, room, news, closed: CancellationToken::new(), voice }
    }

    /// Puts a message behind the others. Without room the oldest goes: news are worth more.
    pub fn put(&self, message: T) {
        let mut waiting = self.waiting();
        if waiting.len() >= self.room {
            waiting.pop_front();
            self.voice.overflowed(self.room);
        }
        waiting.push_back(message);
        self.voice.waiting(waiting.len());
        drop(waiting);
        self.news.notify_one();
    }

    /// No message comes any more. What waits is tried once.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Sends one message after the other, in order, until it is closed and empty.
    pub async fn empty(&self, retry: Retry, mut send: impl AsyncFnMut(&T) -> Result<(), Failure>) {
        let mut random = fastrand::Rng::with_seed(clock::seed());
        while let Some(message) = self.next().await {
            let mut attempts = 0;
            loop {
                attempts += 1;
                match send(&message).await {
                    Ok(()) => break self.voice.delivered(),
                    Err(Failure::Never(error)) => break self.voice.gave_up(error),
                    Err(Failure::Later(error))
                        if attempts >= retry.attempts || self.closed.is_cancelled() =>
                    {
                        break self.voice.gave_up(error);
                    }
                    Err(Failure::Later(error)) => {
                        let pause = retry.pause(attempts, &mut random);
                        self.voice.failed(error, pause);
                        tokio::select! {
                            () = sleep(pause) => {}
                            () = self.closed.cancelled() => {}
                        }
                    }
                }
            }
        }
    }

    async fn next(&self) -> Option<T> {
        loop {
            let (message, left) = {
                let mut waiting = self.waiting();
                (waiting.pop_front(), waiting.len())
            };
            self.voice.waiting(left);
            if message.is_some() {
                return message;
            }
            tokio::select! {
                // One that came before is remembered by `Notify`.
                biased;
                () = self.news.notified() => {}
                () = self.closed.cancelled() => return None,
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
