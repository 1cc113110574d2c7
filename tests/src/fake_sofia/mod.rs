//! The SIP side of a FreeSWITCH: what `mod_sofia` does with requests, over real UDP and TCP sockets.
//!
//! It answers, and has a [`FakeFreeSwitch`](crate::fake_freeswitch::FakeFreeSwitch) send the events that a real
//! one sends. What matters in a flood is modelled after `max-recv-requests-per-second` as it was observed:
//! requests are counted a second and profile, not packets, so that several in one TCP segment count each; when
//! a second had more than the limit, all of the next second is dropped without an answer or an event, healthy
//! phones included, and what is dropped counts too.
//!
//! | module | holds |
//! |---|---|
//! | `window` | the limit |
//! | `request` | requests in datagrams and in TCP streams |
//! | `registrar` | users, nonces, registrations; what each request is answered and which events it causes |
//! | `server` | the thread with the sockets |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "what a test harness cannot do is a failed test"
)]

mod registrar;
mod request;
mod server;
mod window;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::sync::oneshot;

use crate::fake_freeswitch::Emitter;
use registrar::Registrar;

/// Requests a second that a profile takes by default (`max-recv-requests-per-second`).
pub const MAX_REQUESTS: u32 = 1_000;

/// Sources with counts of their own; further ones are counted, not named.
const MOST_SOURCES: usize = 100_000;

/// Bytes of datagrams that may wait; the kernel gives what it allows.
const BUFFER: usize = 4 << 20;

/// A fake sofia before its start.
#[derive(Clone, Debug)]
pub struct Builder {
    emitter: Emitter,
    profiles: Vec<Profile>,
    users: Vec<String>,
    max_requests: u32,
}

/// Where a profile listens.
#[derive(Clone, Debug)]
struct Profile {
    name: String,
    address: SocketAddr,
}

/// A running fake sofia; it stops when it is dropped.
#[derive(Debug)]
pub struct FakeSofia {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What arrived at a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that arrived, dropped ones included.
    pub received: u64,
    /// Requests that were dropped because the second before had too many.
    pub dropped: u64,
    /// Requests that arrived, by source.
    pub by_source: HashMap<IpAddr, u64>,
}

impl Counts {
    /// Requests that arrived from sources that `fit`.
    #[must_use]
    pub fn from(&self, fit: impl Fn(IpAddr) -> bool) -> u64 {
        self.by_source.iter().filter(|(source, _)| fit(**source)).map(|(_, count)| count).sum()
    }

    fn note(&mut self, source: IpAddr, dropped: bool) {
        self.received += 1;
        self.dropped += u64::from(dropped);
        if self.by_source.len() < MOST_SOURCES || self.by_source.contains_key(&source) {
            *self.by_source.entry(source).or_default() += 1;
        }
    }
}

/// What the handle and the server share.
#[derive(Debug)]
struct Shared {
    emitter: Emitter,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    registrar: Registrar,
    counts: HashMap<String, Counts>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeSofia {
    /// One whose events go out by the Event Socket of `emitter`.
    #[must_use]
    pub fn builder(emitter: Emitter) -> Builder {
        let (profiles, users) = (Vec::new(), Vec::new());
        Builder { emitter, profiles, users, max_requests: MAX_REQUESTS }
    }

    /// What arrived at a profile since the start.
    #[must_use]
    pub fn counts(&self, profile: &str) -> Counts {
        self.shared.lock().counts.get(profile).cloned().unwrap_or_default()
    }

    /// Registers `user` without a packet and without an event, as if from before the test.
    pub fn remember(&self, user: &str, source: IpAddr) {
        self.shared.lock().registrar.remember(user, source);
    }

    /// Makes `show registrations as json` list the current registrations from now on.
    pub fn tell_registrations(&self) {
        let list = self.shared.lock().registrar.list();
        self.shared.emitter.answer("show registrations as json", &list);
    }

    /// Phones that are registered.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.shared.lock().registrar.registered()
    }
}

impl Drop for FakeSofia {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The test has failed already if it panicked.
            let _ = thread.join();
        }
    }
}

impl Builder {
    /// A profile on UDP and TCP of `address`.
    #[must_use]
    pub fn profile(mut self, name: &str, address: SocketAddr) -> Self {
        self.profiles.push(Profile { name: name.to_owned(), address });
        self
    }

    /// Users; the password of each is [`password_of`](crate::sip::password_of) it.
    #[must_use]
    pub fn users(mut self, users: impl IntoIterator<Item = String>) -> Self {
        self.users.extend(users);
        self
    }

    /// Requests a second and profile; 0 is no limit. Default [`MAX_REQUESTS`].
    #[must_use]
    pub fn max_requests(mut self, max: u32) -> Self {
        self.max_requests = max;
        self
    }

    /// Starts it on a thread of its own, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When an address cannot be bound or the thread not be started.
    pub fn start(self) -> io::Result<FakeSofia> {
        let mut sockets = Vec::new();
        for Profile { name, address } in self.profiles {
            let udp = UdpSocket::bind(address)?;
            // What it does not give is not needed on a machine that keeps up.
            let _ = setsockopt(&udp, sockopt::RcvBuf, &BUFFER);
            udp.set_nonblocking(true)?;
            let tcp = TcpListener::bind(address)?;
            tcp.set_nonblocking(true)?;
            sockets.push(server::Sockets { name, udp, tcp });
        }
        let state = State { registrar: Registrar::new(self.users), counts: HashMap::new() };
        let shared = Arc::new(Shared { emitter: self.emitter, state: Mutex::new(state) });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (served, max) = (Arc::clone(&shared), self.max_requests);
        let thread = thread::Builder::new().name("fake-sofia".to_owned()).spawn(move || {
            runtime.block_on(server::run(sockets, served, max, stopped));
        })?;
        Ok(FakeSofia { shared, stop: Some(stop), thread: Some(thread) })
    }
}

#[cfg(test)]
mod tests;
