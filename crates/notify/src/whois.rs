//! whois (RFC 3912): the owner of an address, from its registry.
//!
//! The first server is asked, and those that it refers to. Everything is bounded: time, size, hops, what is
//! remembered, and questions a minute, because registries block clients with too many queries. What a server
//! answers is a stranger's text, so control characters leave it, and a referral into a private network is not
//! followed.
//!
//! | module | holds |
//! |---|---|
//! | `ask` | one question to one server |
//! | `answer` | what an answer says: text, referral |
//! | `memory` | answers that are known, and how many questions may still be asked |
//!
//! No crate does this: those there are cannot limit size or referrals, or bring a resolver of their own.

mod answer;
mod ask;
mod memory;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use ask::Reach;
pub use memory::Found;
use memory::Memory;
use sipward_config::{WhoisServer, WhoisSettings};

/// Servers asked for one address at most: IANA, a regional registry, a national one, and one to spare.
const MAX_HOPS: usize = 4;

/// Questions on their way at once. Each holds a socket and at most `ask::MAX_ANSWER`.
const AT_ONCE: usize = 4;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The server that knew.
    pub server: String,
    /// Its answer: lines ended by `\n`, without comments and control characters.
    pub text: String,
}

/// Why nothing was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhoisError {
    /// The address is in no registry.
    #[error("{0} is a private or reserved address, not in any registry")]
    NotPublic(IpAddr),
    /// Too many questions.
    #[error("the limit of {0} queries a minute is reached; try again later")]
    TooMany(u32),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// A server could not be asked.
    #[error("{server}: {problem}")]
    Server {
        /// Which.
        server: String,
        /// What is wrong.
        problem: String,
    },
}

/// The shared whois client.
#[derive(Debug)]
pub struct Whois {
    settings: WhoisSettings,
    memory: Mutex<Memory>,
    room: Semaphore,
}

impl Whois {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(settings: WhoisSettings) -> Self {
        let memory = Mutex::new(Memory::new(settings.per_minute));
        Self { settings, memory, room: Semaphore::new(AT_ONCE) }
    }

    /// Whom `address` belongs to: from memory, or by asking. Takes at most `timeout`.
    ///
    /// # Errors
    /// When the address is not public, no server answered, or too many were asked for.
    pub async fn look_up(&self, address: IpAddr) -> Found {
        if !ask::is_public(address) {
            return Err(WhoisError::NotPublic(address));
        }
        let deadline = Instant::now() + self.settings.timeout;
        if let Some(known) = self.memory().recall(address) {
            return known;
        }
        let too_long = WhoisError::TimedOut(self.settings.timeout);
        let Ok(Ok(_place)) = timeout_at(deadline, self.room.acquire()).await else {
            return Err(too_long);
        };
        // An earlier caller may have asked the same.
        let permitted = {
            let mut memory = self.memory();
            if let Some(known) = memory.recall(address) {
                return known;
            }
            memory.may_ask()
        };
        if !permitted {
            return Err(WhoisError::TooMany(self.settings.per_minute));
        }
        let found = timeout_at(deadline, self.follow(address)).await.unwrap_or(Err(too_long));
        self.memory().keep(address, found.clone());
        found
    }

    /// The cached answer for `address`, without a query.
    pub fn recall(&self, address: IpAddr) -> Option<Found> {
        self.memory().recall(address)
    }

    /// Queries the first server, and those it refers to. The last answer is used.
    async fn follow(&self, address: IpAddr) -> Found {
        let mut server = self.settings.server.clone();
        let mut asked: Vec<WhoisServer> = Vec::new();
        let mut best = None;
        // A configured internal server may refer to other internal servers.
        let mut reach = Reach::Anywhere;
        while asked.len() < MAX_HOPS && !asked.contains(&server) {
            let (text, seen) = match ask::ask(&server, address, reach).await {
                Ok(heard) => heard,
                // A broken referral does not spoil what is known.
                Err(problem) => match best {
                    Some(answer) => return Ok(answer),
                    None => return Err(WhoisError::Server { server: server.host, problem }),
                },
            };
            if asked.is_empty() {
                reach = if ask::is_public(seen) { Reach::Public } else { Reach::Anywhere };
            }
            let referral = answer::referral(&text);
            let said = answer::readable(&text);
            if !said.is_empty() || best.is_none() {
                best = Some(Answer { server: server.host.clone(), text: said });
            }
            asked.push(server);
            match referral {
                Some(next) => server = next,
                None => break,
            }
        }
        let WhoisServer { host, .. } = &self.settings.server;
        let silent =
            || WhoisError::Server { server: host.clone(), problem: "no answer".to_owned() };
        best.ok_or_else(silent)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
