//! Reverse DNS: the name that an address has, and whether that name has the address.
//!
//! The owner of an address, possibly an attacker, controls its name. A name is confirmed only if it resolves to the
//! address, and nothing but letters, digits, `-`, `.` and `_` of it is shown. The system's resolver is
//! asked, which blocks: on a few threads, whose answers are remembered also when they come too late for
//! anyone who asked.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dns_lookup::{LookupError, LookupErrorKind};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::names;
use sipward_model::expiring::ExpiringMap;

/// Longest wait for a name.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Questions under way at once: each holds a thread until the resolver gives up.
const AT_ONCE: usize = 4;

/// Answers remembered: some 300 kB.
const MAX_KNOWN: usize = 1_024;

/// How long an answer holds.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);

/// How long a missing name or a failure of the resolver is cached.
const UNKNOWN_FOR: Duration = Duration::from_secs(300);

/// Longest name, in bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

/// The name of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Lower case; characters that are invalid in a host name are replaced by `?`.
    pub name: String,
    /// The name leads back to the address.
    pub confirmed: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReverseError {
    /// The resolver takes too long.
    #[error("no answer within {} s; try again later", PATIENCE.as_secs())]
    TimedOut,
    /// The resolver failed.
    #[error("the resolver: {0}")]
    Resolver(String),
}

type Found = Result<Option<Name>, ReverseError>;

/// The one place that asks.
#[derive(Clone, Debug)]
pub struct Reverse {
    memory: Arc<Mutex<Memory>>,
    room: Arc<Semaphore>,
}

type Memory = ExpiringMap<IpAddr, Found>;

impl Default for Reverse {
    fn default() -> Self {
        let memory = Arc::new(Mutex::new(Memory::new(MAX_KNOWN)));
        Self { memory, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Reverse {
    /// The name of `address`; `None` when it has none. Takes at most [`PATIENCE`].
    pub async fn look_up(&self, address: IpAddr) -> Found {
        let deadline = Instant::now() + PATIENCE;
        if let Some(known) = self.recall(address) {
            return known;
        }
        let room = Arc::clone(&self.room).acquire_owned();
        let Ok(Ok(place)) = timeout_at(deadline, room).await else {
            return Err(ReverseError::TimedOut);
        };
        // An earlier caller may have asked the same.
        if let Some(known) = self.recall(address) {
            return known;
        }
        let memory = Arc::clone(&self.memory);
        // Continues without a waiting request: the thread is occupied anyway.
        let asked = tokio::spawn(async move {
            let found = ask(address).await;
            keep(
                &mut memory.lock().unwrap_or_else(PoisonError::into_inner),
                address,
                found.clone(),
            );
            drop(place);
            found
        });
        match timeout_at(deadline, asked).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => Err(ReverseError::Resolver(error.to_string())),
            Err(_) => Err(ReverseError::TimedOut),
        }
    }

    fn recall(&self, address: IpAddr) -> Option<Found> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(&address)
    }
}

fn keep(memory: &mut Memory, address: IpAddr, found: Found) {
    let holds = if matches!(found, Ok(Some(_))) { KNOWN_FOR } else { UNKNOWN_FOR };
    memory.insert(address, found, holds);
}

async fn ask(address: IpAddr) -> Found {
    let answer = tokio::task::spawn_blocking(move || dns_lookup::lookup_addr(&address)).await;
    let answer = answer.map_err(|error| ReverseError::Resolver(error.to_string()))?;
    let Some(name) = heard(answer)? else { return Ok(None) };
    // An invalid host name is not resolved.
    let confirmed = !name.contains('?')
        && names::look_up(name.clone()).await.1.is_ok_and(|found| found.contains(&address));
    Ok(Some(Name { name, confirmed }))
}

/// The name in an answer. That there is none is an answer too.
fn heard(answer: Result<String, LookupError>) -> Result<Option<String>, ReverseError> {
    match answer {
        Ok(answer) => Ok(readable(&answer)),
        Err(error) => match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Ok(None),
            _ => Err(ReverseError::Resolver(std::io::Error::from(error).to_string())),
        },
    }
}

/// What of an answer may be shown; `None` when it is the address again, which means that it has no name.
fn readable(answer: &str) -> Option<String> {
    let answer = answer.trim_end_matches('.');
    if answer.is_empty() || answer.parse::<IpAddr>().is_ok() {
        return None;
    }
    let harmless = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || "-._".contains(c) => c,
        _ => '?',
    };
    Some(answer.chars().take(MAX_NAME).map(harmless).collect())
}

#[cfg(test)]
mod tests;
