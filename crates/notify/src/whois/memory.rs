//! Answers that are known, and how many questions may still be asked.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use sipward_model::expiring::ExpiringMap;
use tokio::time::Instant;

use super::{Answer, WhoisError};

/// Answers remembered: at most 2 MB.
const MAX_KNOWN: usize = 256;

/// How long an answer holds. Networks seldom change hands.
const KNOWN_FOR: Duration = Duration::from_secs(86_400);

/// How long a failure holds: long enough not to hammer a server that is down.
const FAILED_FOR: Duration = Duration::from_secs(300);

const MINUTE: Duration = Duration::from_secs(60);

/// What a question comes to.
pub type Found = Result<Answer, WhoisError>;

#[derive(Debug)]
pub(super) struct Memory {
    known: ExpiringMap<IpAddr, Found>,
    /// When the latest questions were asked.
    asked: VecDeque<Instant>,
    per_minute: u32,
}

impl Memory {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { known: ExpiringMap::new(MAX_KNOWN), asked: VecDeque::new(), per_minute }
    }

    pub(super) fn recall(&self, address: IpAddr) -> Option<Found> {
        self.known.get(&address)
    }

    /// Counts a question, if one is left within the last minute.
    pub(super) fn may_ask(&mut self) -> bool {
        let now = Instant::now();
        while self.asked.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            self.asked.pop_front();
        }
        let room = self.asked.len() < usize::try_from(self.per_minute).unwrap_or(usize::MAX);
        if room {
            self.asked.push_back(now);
        }
        room
    }

    pub(super) fn keep(&mut self, address: IpAddr, found: Found) {
        let holds = if found.is_ok() { KNOWN_FOR } else { FAILED_FOR };
        self.known.insert(address, found, holds);
    }
}
